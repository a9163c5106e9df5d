// The server restarts while clients wait in sync: they come back by themselves, miss nothing and repeat nothing.

import assert from "node:assert/strict";

import { ClientEvent, MemoryStore, RoomEvent, SyncState } from "matrix-js-sdk";

import { arrival, person, roomOf, said } from "../people.mjs";
import { eventually, restart } from "../test.mjs";

export default async function () {
    const [alice, bob] = [await person("alice"), await person("bob")];
    const roomId = await roomOf([alice, bob]);
    const { event_id: before } = await alice.sendTextMessage(roomId, "before");
    await arrival(bob, roomId, before);
    const states = [];
    const resets = [];
    bob.on(ClientEvent.Sync, (state) => states.push(state));
    bob.getRoom(roomId).on(RoomEvent.TimelineReset, () => resets.push(1));
    assert.ok(bob.store instanceof MemoryStore);

    await restart();
    await eventually(() => states.includes(SyncState.Reconnecting) || states.includes(SyncState.Error), () => `Bob notices: ${states}`, 30);
    bob.retryImmediately();
    await eventually(() => states.at(-1) === SyncState.Syncing, () => `Bob is back: ${states}`, 30);
    const { event_id: after } = await alice.sendTextMessage(roomId, "after");
    await arrival(bob, roomId, after);
    assert.deepEqual(said(bob, roomId), ["before", "after"]);
    assert.deepEqual(resets, []);

    // Paging goes on by tokens from before, too.
    await bob.scrollback(bob.getRoom(roomId), 50);
    assert.equal(bob.getRoom(roomId).getLiveTimeline().getEvents()[0].getType(), "m.room.create");
    assert.deepEqual(said(bob, roomId), ["before", "after"]);
}
