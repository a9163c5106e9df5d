// Messages with their local echo, edits, replies, reactions, redactions.

import assert from "node:assert/strict";

import { arrival, event, person, roomOf, said } from "../people.mjs";
import { eventually } from "../test.mjs";

export default async function () {
    const [alice, bob] = [await person("alice"), await person("bob")];
    const roomId = await roomOf([alice, bob], { name: "Tea" });
    assert.equal(bob.getRoom(roomId).name, "Tea");

    // The echo of one's own message takes the place of what was shown before the server answered.
    for (const body of ["one", "two", "three"]) await alice.sendTextMessage(roomId, body);
    await eventually(() => said(bob, roomId).length === 3, "three messages at Bob's");
    await eventually(() => said(alice, roomId).length === 3, "three messages at Alice's");
    assert.deepEqual(said(bob, roomId), ["one", "two", "three"]);
    assert.deepEqual(said(alice, roomId), ["one", "two", "three"]);
    assert.deepEqual(alice.getRoom(roomId).getPendingEvents(), []);
    const own = alice.getRoom(roomId).getLastLiveEvent();
    assert.ok(own.getUnsigned().transaction_id);
    assert.equal(bob.getRoom(roomId).getLastLiveEvent().getUnsigned().transaction_id, undefined);

    // An edit.
    const { event_id: original } = await alice.sendTextMessage(roomId, "teh message");
    await arrival(bob, roomId, original);
    await alice.sendMessage(roomId, {
        "msgtype": "m.text",
        "body": "* the message",
        "m.new_content": { msgtype: "m.text", body: "the message" },
        "m.relates_to": { rel_type: "m.replace", event_id: original },
    });
    await eventually(() => event(bob, roomId, original).getContent().body === "the message", "the edit at Bob's");
    const fetched = await bob.fetchRoomEvent(roomId, original);
    assert.equal(fetched.content.body, "teh message");
    assert.equal(fetched.unsigned["m.relations"]["m.replace"].content["m.new_content"].body, "the message");

    // A reply.
    const { event_id: reply } = await bob.sendMessage(roomId, {
        "msgtype": "m.text",
        "body": "Indeed",
        "m.relates_to": { "m.in_reply_to": { event_id: original } },
    });
    assert.equal((await arrival(alice, roomId, reply)).replyEventId, original);

    // Reactions, counted by the client from what sync brings.
    for (const [who, key] of [[bob, "👍"], [alice, "👍"], [bob, "🎉"]]) {
        await who.sendEvent(roomId, "m.reaction", {
            "m.relates_to": { rel_type: "m.annotation", event_id: original, key },
        });
    }
    const counted = () =>
        alice
            .getRoom(roomId)
            .relations.getChildEventsForEvent(original, "m.annotation", "m.reaction")
            ?.getSortedAnnotationsByKey()
            .filter(([, events]) => events.size > 0)
            .map(([key, events]) => [key, events.size]);
    await eventually(() => JSON.stringify(counted()) === '[["👍",2],["🎉",1]]', "three reactions at Alice's");
    const { events } = await bob.relations(roomId, original, "m.annotation", "m.reaction");
    assert.deepEqual(events.map((each) => each.getRelation().key).sort(), ["🎉", "👍", "👍"].sort());
    await assert.rejects(
        bob.sendEvent(roomId, "m.reaction", { "m.relates_to": { rel_type: "m.annotation", event_id: original, key: "🎉" } }),
        { errcode: "M_DUPLICATE_ANNOTATION" },
    );
    for (const unsent of bob.getRoom(roomId).getPendingEvents().slice()) bob.cancelPendingEvent(unsent);

    // Redactions: of a message, and of a reaction, which is then no longer counted.
    await bob.redactEvent(roomId, reply, undefined, { reason: "never mind" });
    await eventually(() => event(alice, roomId, reply).isRedacted(), "the redaction at Alice's");
    assert.equal(event(alice, roomId, reply).getContent().body, undefined);
    const cheer = events.find((each) => each.getRelation().key === "🎉");
    await bob.redactEvent(roomId, cheer.getId());
    await eventually(() => JSON.stringify(counted()) === '[["👍",2]]', "one reaction less");
    assert.equal((await alice.fetchRoomEvent(roomId, reply)).unsigned.redacted_because.content.reason, "never mind");
}
