// Members loaded when they are needed, and names of rooms without a name.

import assert from "node:assert/strict";

import { RoomStateEvent } from "matrix-js-sdk";

import { account, arrival, person, roomOf, session } from "../people.mjs";
import { eventually } from "../test.mjs";

export default async function () {
    const [alice, bob, carol] = [await person("alice"), await person("bob"), await person("carol")];
    for (const [who, name] of [[alice, "Alice"], [bob, "Bob"], [carol, "Carol"]]) await who.setDisplayName(name);
    const davesAccount = await account("dave");
    await (await session(davesAccount)).setDisplayName("Dave");
    const roomId = await roomOf([alice, bob, carol, await session(davesAccount)]);
    for (let number = 0; number < 6; number++) await alice.sendTextMessage(roomId, `message ${number}`);

    // A new client knows those who spoke and itself, and the room's name and size from its summary.
    const dave = await session(davesAccount, { initialSyncLimit: 3 });
    const room = dave.getRoom(roomId);
    assert.equal(room.getJoinedMemberCount(), 4);
    assert.equal(room.name, "Alice and 2 others");
    assert.ok(!room.membersLoaded());
    const { displayname } = await dave.getProfileInfo(bob.getUserId());
    assert.equal(room.getMember(bob.getUserId())?.name, displayname, "those by whom a room is named are known");

    // Whoever speaks later comes with the message.
    const { event_id: late } = await carol.sendTextMessage(roomId, "hello from Carol");
    assert.equal((await arrival(dave, roomId, late)).sender.name, "Carol");

    // All of them, once the client asks.
    await room.loadMembersIfNeeded();
    assert.ok(room.membersLoaded());
    assert.deepEqual(room.getJoinedMembers().map((member) => member.name).sort(), ["Alice", "Bob", "Carol", "Dave"]);

    // Changes after that arrive one by one.
    const changed = new Promise((resolve) => room.currentState.on(RoomStateEvent.Members, (_event, _state, member) => {
        if (member.userId === bob.getUserId() && member.name === "Robert") resolve();
    }));
    await bob.setDisplayName("Robert");
    await changed;
    await bob.leave(roomId);
    await eventually(() => room.getMember(bob.getUserId()).membership === "leave", "Bob left");
    assert.equal(room.getJoinedMemberCount(), 3);
}
