// A client that syncs by sliding windows: rooms, names, messages, invitations, receipts, typing, and a restart.

import assert from "node:assert/strict";
import { createClient, MemoryStore } from "matrix-js-sdk";
import { SlidingSync } from "matrix-js-sdk/lib/sliding-sync.js";

import { account, person, said } from "../people.mjs";
import { atEnd, eventually, restart, url } from "../test.mjs";

const shown = { timeline_limit: 20, required_state: [["m.room.create", ""], ["m.room.topic", ""], ["m.room.member", "$ME"], ["m.room.member", "$LAZY"]] };

async function slidingSession({ user_id, device_id, access_token }) {
    const client = createClient({ baseUrl: url, userId: user_id, deviceId: device_id, accessToken: access_token, store: new MemoryStore() });
    const lists = new Map([["all", { ranges: [[0, 9]], sort: [], ...shown }]]);
    const slidingSync = new SlidingSync(url, lists, shown, client, 5_000);
    atEnd(() => client.stopClient());
    await client.startClient({ slidingSync, threadSupport: true });
    return { client, slidingSync };
}

export default async function () {
    const [alice, bobs] = [await person("alice"), await account("bob")];
    const early = (await alice.createRoom({ name: "Early", preset: "public_chat", invite: [bobs.user_id] })).room_id;
    await alice.sendTextMessage(early, "before anybody came");
    const { client: bob } = await slidingSession(bobs);

    await eventually(() => bob.getRoom(early)?.getMyMembership() === "invite", "the invitation");
    await bob.joinRoom(early);
    await eventually(() => bob.getRoom(early)?.getMyMembership() === "join", "the room");
    await eventually(() => bob.getRoom(early).name === "Early", () => `the name, not ${bob.getRoom(early).name}`);
    await eventually(() => said(bob, early).includes("before anybody came"), "what was said before");

    await alice.sendTextMessage(early, "hello bob");
    await eventually(() => said(bob, early).at(-1) === "hello bob", "a message");
    const answer = (await bob.sendTextMessage(early, "hello alice")).event_id;
    await eventually(() => said(alice, early).at(-1) === "hello alice", "the answer");
    await eventually(() => said(bob, early).at(-1) === "hello alice", "one's own message");

    await alice.setRoomName(early, "Renamed");
    await alice.sendStateEvent(early, "m.room.topic", { topic: "tea" });
    await eventually(() => bob.getRoom(early).name === "Renamed", "the new name");
    await eventually(() => bob.getRoom(early).currentState.getStateEvents("m.room.topic", "")?.getContent().topic === "tea", "the topic");

    await eventually(() => alice.getRoom(early).findEventById(answer), "the event to read");
    await alice.sendReadReceipt(alice.getRoom(early).findEventById(answer));
    await eventually(() => bob.getRoom(early).getEventReadUpTo(alice.getUserId(), true) === answer, "the receipt");
    await alice.sendTyping(early, true, 20_000);
    await eventually(() => bob.getRoom(early).getMember(alice.getUserId())?.typing === true, "alice typing");

    const later = (await alice.createRoom({ name: "Later", invite: [bobs.user_id] })).room_id;
    await eventually(() => bob.getRoom(later)?.getMyMembership() === "invite", "the second invitation");
    await bob.setAccountData("org.example.test", { kept: true });
    await eventually(() => bob.getAccountData("org.example.test")?.getContent().kept === true, "account data");

    await restart();
    await eventually(async () => {
        try {
            return await alice.sendTextMessage(early, "after the restart");
        } catch {
            return null;
        }
    }, "the server is back", 60);
    await eventually(() => said(bob, early).at(-1) === "after the restart", "a message after the restart", 60);
    assert.equal(said(bob, early).filter((text) => text === "hello bob").length, 1);
}
