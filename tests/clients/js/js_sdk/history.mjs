// Going back in time: scrollback to the beginning, jumping to an old event and paging from there both ways.

import assert from "node:assert/strict";

import { Direction, EventTimeline } from "matrix-js-sdk";

import { account, person, roomOf, said, session } from "../people.mjs";
import { eventually } from "../test.mjs";

const MESSAGES = 57;

export default async function () {
    const alice = await person("alice");
    const bobsAccount = await account("bob");
    const roomId = await roomOf([alice, await session(bobsAccount)]);
    const sent = [];
    for (let number = 0; number < MESSAGES; number++) {
        sent.push((await alice.sendTextMessage(roomId, `message ${number}`)).event_id);
    }
    const bodies = sent.map((_, number) => `message ${number}`);

    // From the newest to the first, without a gap or a repetition.
    const bob = await session(bobsAccount, { initialSyncLimit: 5 });
    const room = bob.getRoom(roomId);
    assert.deepEqual(said(bob, roomId), bodies.slice(-5));
    for (let turn = 0; room.oldState.paginationToken !== null; turn++) {
        assert.ok(turn < 30, "scrollback never ends");
        await bob.scrollback(room, 10);
    }
    assert.deepEqual(said(bob, roomId), bodies);
    assert.equal(room.getLiveTimeline().getEvents()[0].getType(), "m.room.create");

    // What happened while a client was away is more than one answer holds: a gap that paging fills.
    const away = await session(bobsAccount, { initialSyncLimit: 5 });
    const middle = sent[20];
    const set = away.getRoom(roomId).getUnfilteredTimelineSet();
    const timeline = await away.getEventTimeline(set, middle);
    assert.ok(timeline.getEvents().some((each) => each.getId() === middle));
    for (const backwards of [true, false]) {
        let turns = 0;
        while (await away.paginateEventTimeline(timeline, { backwards, limit: 8 })) assert.ok(++turns < 30, "paging never ends");
    }
    const everything = [];
    for (let each = timeline; each; each = each.getNeighbouringTimeline(EventTimeline.FORWARDS)) everything.push(...each.getEvents());
    const found = everything.filter((each) => each.getType() === "m.room.message").map((each) => each.getContent().body);
    assert.deepEqual(found, bodies);

    // By time, by word, and by relation to an event.
    const when = room.findEventById(middle).getTs();
    const at = await bob.timestampToEvent(roomId, when, Direction.Forward);
    assert.ok(at.origin_server_ts >= when);
    const search = await eventually(async () => {
        const results = await bob.searchRoomEvents({ term: "message 33", filter: { rooms: [roomId] } });
        return results.count > 0 ? results : null;
    }, "the message is found by search");
    assert.equal(search.results[0].context.getEvent().getContent().body, "message 33");
}
