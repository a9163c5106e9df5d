// Threads as the client keeps them: roots, replies, their list, receipts and unread counts of each thread.

import assert from "node:assert/strict";

import { NotificationCountType, ThreadEvent } from "matrix-js-sdk";

import { account, arrival, person, roomOf, session } from "../people.mjs";
import { eventually } from "../test.mjs";

export default async function () {
    const [alice, bob, carolsAccount] = [await person("alice"), await person("bob"), await account("carol")];
    const carol = await session(carolsAccount);
    const roomId = await roomOf([alice, bob, carol]);
    carol.stopClient();

    const { event_id: root } = await alice.sendTextMessage(roomId, "Where shall we eat?");
    await arrival(bob, roomId, root);
    const reply = async (body) => await bob.sendMessage(roomId, root, { msgtype: "m.text", body });
    await reply("Pizza");
    const thread = await eventually(() => alice.getRoom(roomId).getThread(root), "the thread at Alice's");
    await eventually(() => thread.initialEventsFetched && texts(thread).length === 2, "the thread's beginning at Alice's");
    await reply("Pasta");
    await reply("Soup");
    const { event_id: outside } = await alice.sendTextMessage(roomId, "not in the thread");
    await arrival(bob, roomId, outside);

    // The thread at somebody who saw it grow.
    await eventually(() => thread.length === 3, "three replies");
    await eventually(() => texts(thread).length === 4, "the thread's timeline");
    assert.deepEqual(texts(thread), ["Where shall we eat?", "Pizza", "Pasta", "Soup"]);
    assert.equal(thread.replyToEvent.getContent().body, "Soup");
    assert.deepEqual(
        alice.getRoom(roomId).getLiveTimeline().getEvents().filter((each) => each.threadRootId && !each.isThreadRoot),
        [],
        "replies are not in the main timeline",
    );

    // At somebody who comes later: from the list of threads, and from the bundled summary of the root.
    const later = await session(carolsAccount, { initialSyncLimit: 1 });
    const room = later.getRoom(roomId);
    await room.createThreadsTimelineSets();
    await room.fetchRoomThreads();
    assert.deepEqual(room.threadsTimelineSets[0].getLiveTimeline().getEvents().map((each) => each.getId()), [root]);
    assert.deepEqual(room.threadsTimelineSets[1].getLiveTimeline().getEvents(), [], "Carol said nothing in a thread");
    const found = room.getThread(root);
    await eventually(() => found.length === 3 && found.initialEventsFetched, "the thread at Carol's");
    await eventually(() => texts(found).length === 4, "the thread's timeline at Carol's");
    assert.deepEqual(texts(found), ["Where shall we eat?", "Pizza", "Pasta", "Soup"]);
    assert.equal(found.hasCurrentUserParticipated, false);

    // Counts of each thread, and a receipt that clears one thread's only.
    const unread = () => [
        room.getThreadUnreadNotificationCount(root, NotificationCountType.Total),
        room.getRoomUnreadNotificationCount(NotificationCountType.Total),
    ];
    await eventually(() => unread()[0] === 3 && unread()[1] === 2, () => `3 unread in the thread, 2 outside: ${unread()}`);
    await later.sendReadReceipt(found.replyToEvent);
    await eventually(() => unread()[0] === 0, () => `the thread is read: ${unread()}`);
    assert.equal(unread()[1], 2);
    await eventually(() => thread.hasUserReadEvent(later.getUserId(), found.replyToEvent.getId()), "Carol's receipt at Alice's");

    // It goes on growing, live; and shrinks when a reply is redacted.
    const grown = new Promise((resolve) => found.once(ThreadEvent.NewReply, resolve));
    const { event_id: last } = await alice.sendMessage(roomId, root, { msgtype: "m.text", body: "Soup it is" });
    await grown;
    await eventually(() => found.length === 4, "four replies");
    await alice.redactEvent(roomId, root, last);
    await eventually(() => found.length === 3, "three replies again");
}

const texts = (thread) => thread.timeline.map((each) => each.getContent().body).filter((body) => body !== undefined);
