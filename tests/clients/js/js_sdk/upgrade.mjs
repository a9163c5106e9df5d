// A room is upgraded; the client follows, and shows one room.

import assert from "node:assert/strict";

import { person, roomOf } from "../people.mjs";
import { eventually, serverName, unique } from "../test.mjs";

export default async function () {
    const [alice, bob] = [await person("alice"), await person("bob")];
    const alias = unique("hall");
    const oldId = await roomOf([alice, bob], {
        room_version: "10",
        name: "Hall",
        topic: "All welcome",
        preset: "public_chat",
        room_alias_name: alias,
        power_level_content_override: { users: { [alice.getUserId()]: 100, [bob.getUserId()]: 10 } },
    });
    await bob.setRoomTag(oldId, "m.favourite", { order: 0.5 });

    const { replacement_room: newId } = await alice.upgradeRoom(oldId, "12");
    const tombstone = () => bob.getRoom(oldId).currentState.getStateEvents("m.room.tombstone", "");
    await eventually(() => tombstone()?.getContent().replacement_room === newId, "the tombstone at Bob's");
    await bob.joinRoom(newId);
    const room = await eventually(() => bob.getRoom(newId)?.getVersion() && bob.getRoom(newId), "the new room at Bob's");

    // It is the same room, anew.
    assert.equal(room.getVersion(), "12");
    assert.equal(room.name, "Hall");
    assert.equal(room.currentState.getStateEvents("m.room.topic", "").getContent().topic, "All welcome");
    assert.equal(room.getJoinRule(), "public");
    assert.equal(room.getCanonicalAlias(), `#${alias}:${serverName}`);
    assert.equal((await bob.getRoomIdForAlias(`#${alias}:${serverName}`)).room_id, newId);
    assert.equal(room.getMember(bob.getUserId()).powerLevel, 10);
    await eventually(() => room.tags["m.favourite"]?.order === 0.5, "Bob's tag in the new room");

    // The client knows where it came from, and hides the old one.
    assert.equal(room.findPredecessor().roomId, oldId);
    assert.deepEqual(bob.getRoomUpgradeHistory(newId, true).map((each) => each.roomId), [oldId, newId]);
    assert.deepEqual(bob.getVisibleRooms().map((each) => each.roomId), [newId]);
    await assert.rejects(bob.sendTextMessage(oldId, "anybody still here?"), { errcode: "M_FORBIDDEN" });
    await alice.sendTextMessage(newId, "here we are");
}
