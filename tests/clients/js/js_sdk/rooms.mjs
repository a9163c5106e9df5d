// Public rooms and previews, invitations, knocks, restricted rooms, bans, spaces, power.

import assert from "node:assert/strict";

import { ClientEvent, EventType, JoinRule, RestrictedAllowType } from "matrix-js-sdk";

import { account, person, roomOf, session } from "../people.mjs";
import { eventually, serverName, unique } from "../test.mjs";

export default async function () {
    const [alice, bobsAccount] = [await person("alice"), await account("bob")];
    const bob = await session(bobsAccount);

    // The directory, and a look at a room before joining it.
    const alias = unique("garden");
    const { room_id: garden } = await alice.createRoom({
        name: `Garden ${alias}`,
        preset: "public_chat",
        visibility: "public",
        room_alias_name: alias,
        initial_state: [{ type: EventType.RoomHistoryVisibility, state_key: "", content: { history_visibility: "world_readable" } }],
    });
    await alice.sendTextMessage(garden, "mind the roses");
    const listed = await bob.publicRooms({ filter: { generic_search_term: alias } });
    assert.deepEqual(listed.chunk.map((room) => [room.room_id, room.num_joined_members, room.world_readable]), [[garden, 1, true]]);
    assert.equal((await alice.getRoomDirectoryVisibility(garden)).visibility, "public");
    assert.equal((await bob.getRoomSummary(`#${alias}:${serverName}`, [serverName])).room_id, garden);
    assert.deepEqual((await alice.getLocalAliases(garden)).aliases, [`#${alias}:${serverName}`]);
    await bob.joinRoom(`#${alias}:${serverName}`);
    await eventually(() => bob.getRoom(garden)?.getMyMembership() === "join", "Bob in the garden");

    // An invitation, with what it shows, refused and accepted.
    const { room_id: club } = await alice.createRoom({ name: "Club", is_direct: true });
    await alice.invite(club, bob.getUserId(), "come and see");
    const invitation = await eventually(() => bob.getRoom(club)?.getMyMembership() === "invite" && bob.getRoom(club), "the invitation");
    assert.equal(invitation.name, "Club");
    const own = invitation.getMember(bob.getUserId()).events.member;
    assert.deepEqual([own.getSender(), own.getContent().reason], [alice.getUserId(), "come and see"]);
    await bob.leave(club);
    await eventually(() => alice.getRoom(club)?.getMember(bob.getUserId())?.membership === "leave", "Bob declined");
    await alice.invite(club, bob.getUserId());
    await bob.joinRoom(club);
    await eventually(() => alice.getRoom(club)?.getMember(bob.getUserId())?.membership === "join", "Bob in the club");

    // Power: given, used, taken.
    await assert.rejects(bob.setRoomName(club, "Bob's club"), { errcode: "M_FORBIDDEN" });
    await alice.setPowerLevel(club, bob.getUserId(), 50);
    await eventually(() => bob.getRoom(club)?.getMember(bob.getUserId())?.powerLevel === 50, "Bob's power");
    await bob.setRoomName(club, "Bob's club");
    await eventually(() => alice.getRoom(club).name === "Bob's club", "the new name");
    await alice.ban(club, bob.getUserId(), "enough");
    await eventually(() => bob.getRoom(club).getMyMembership() === "ban", "Bob is banned");
    await assert.rejects(bob.joinRoom(club), { errcode: "M_FORBIDDEN" });
    await alice.unban(club, bob.getUserId());
    await bob.forget(club);
    assert.equal(bob.getRoom(club), null);

    // A knock, answered.
    const { room_id: parlour } = await alice.createRoom({
        initial_state: [{ type: EventType.RoomJoinRules, state_key: "", content: { join_rule: JoinRule.Knock } }],
    });
    await bob.knockRoom(parlour, { reason: "it rains" });
    await eventually(() => bob.getRoom(parlour)?.getMyMembership() === "knock", "Bob's knock at Bob's");
    const knocker = await eventually(() => alice.getRoom(parlour)?.getMember(bob.getUserId()), "Bob's knock at Alice's");
    assert.deepEqual([knocker.membership, knocker.events.member.getContent().reason], ["knock", "it rains"]);
    await alice.invite(parlour, bob.getUserId());
    await eventually(() => bob.getRoom(parlour).getMyMembership() === "invite", "Bob is let in");
    await bob.joinRoom(parlour);

    // A room for the members of another.
    const { room_id: shed } = await alice.createRoom({
        initial_state: [{
            type: EventType.RoomJoinRules,
            state_key: "",
            content: { join_rule: JoinRule.Restricted, allow: [{ type: RestrictedAllowType.RoomMembership, room_id: garden }] },
        }],
    });
    const carol = await person("carol");
    await assert.rejects(carol.joinRoom(shed), { errcode: "M_FORBIDDEN" });
    const entered = new Promise((resolve) => bob.on(ClientEvent.Room, (room) => room.roomId === shed && resolve()));
    await bob.joinRoom(shed);
    await entered;

    // A space, walked.
    const { room_id: grounds } = await alice.createRoom({ name: "Grounds", creation_content: { type: "m.space" } });
    for (const child of [garden, shed]) await alice.sendStateEvent(grounds, "m.space.child", { via: [serverName] }, child);
    const { rooms } = await alice.getRoomHierarchy(grounds);
    assert.equal(rooms[0].room_id, grounds);
    assert.deepEqual(new Set(rooms.map((room) => room.room_id)), new Set([grounds, garden, shed]));
    await eventually(() => alice.getRoom(grounds)?.isSpaceRoom(), "the space at Alice's");

    // Left rooms, and reports.
    await bob.leave(garden);
    const later = await session(bobsAccount);
    assert.equal(later.getRoom(garden), null);
    const left = await later.syncLeftRooms();
    assert.deepEqual(left.filter((room) => room.roomId === garden).map((room) => room.getMyMembership()), ["leave"]);
    const { event_id: rude } = await alice.sendTextMessage(shed, "something rude");
    await eventually(() => bob.getRoom(shed).findEventById(rude), "the rude message");
    await bob.reportEvent(shed, rude, -100, "rude");
    assert.deepEqual(Object.keys((await alice.getJoinedRoomMembers(shed)).joined).sort(), [alice.getUserId(), bob.getUserId()].sort());
    assert.ok((await bob.getJoinedRooms()).joined_rooms.includes(shed));
    assert.ok(await roomOf([alice, bob]));
}
