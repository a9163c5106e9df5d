// Receipts, read markers, unread counts, typing, presence: what the client hears about others.

import assert from "node:assert/strict";

import { NotificationCountType, ReceiptType, RoomEvent, RoomMemberEvent, UserEvent } from "matrix-js-sdk";

import { arrival, person, roomOf } from "../people.mjs";
import { eventually } from "../test.mjs";

export default async function () {
    const [alice, bob] = [await person("alice"), await person("bob")];
    const roomId = await roomOf([alice, bob]);
    const [hers, his] = [alice.getRoom(roomId), bob.getRoom(roomId)];

    // Unread messages, one of which speaks to Bob.
    await bob.setDisplayName("Bob Builder");
    await eventually(() => hers.getMember(bob.getUserId()).name === "Bob Builder", "Bob's name");
    const { event_id: first } = await alice.sendTextMessage(roomId, "hello there");
    const { event_id: second } = await alice.sendMessage(roomId, {
        "msgtype": "m.text",
        "body": "can you fix it, Bob Builder?",
        "m.mentions": { user_ids: [bob.getUserId()] },
    });
    await arrival(bob, roomId, second);
    const counts = () => [
        his.getRoomUnreadNotificationCount(NotificationCountType.Total),
        his.getRoomUnreadNotificationCount(NotificationCountType.Highlight),
    ];
    await eventually(() => counts().join() === "2,1", () => `two unread, one for Bob: ${counts()}`);

    // A receipt reaches the other, and takes the counts away.
    const heard = new Promise((resolve) => hers.on(RoomEvent.Receipt, (receipt) => {
        if (receipt.getContent()[first]?.["m.read"]?.[bob.getUserId()]) resolve();
    }));
    await bob.sendReadReceipt(his.findEventById(first));
    await heard;
    assert.ok(hers.hasUserReadEvent(bob.getUserId(), first));
    assert.ok(!hers.hasUserReadEvent(bob.getUserId(), second));
    await eventually(() => counts().join() === "1,1", () => `one unread: ${counts()}`);

    // A private one is Bob's affair.
    await bob.sendReadReceipt(his.findEventById(second), ReceiptType.ReadPrivate);
    await eventually(() => counts().join() === "0,0", () => `none unread: ${counts()}`);
    await bob.setRoomReadMarkers(roomId, second);
    await eventually(() => his.getAccountData("m.fully_read")?.getContent().event_id === second, "the read marker");
    assert.ok(!hers.hasUserReadEvent(bob.getUserId(), second));

    // Typing begins and ends.
    const member = hers.getMember(bob.getUserId());
    const typing = [];
    member.on(RoomMemberEvent.Typing, () => typing.push(member.typing));
    await bob.sendTyping(roomId, true, 20_000);
    await eventually(() => typing.join() === "true", "Bob types");
    await bob.sendTyping(roomId, false, 0);
    await eventually(() => typing.join() === "true,false", "Bob stops");

    // Presence.
    const seen = [];
    const user = await eventually(() => alice.getUser(bob.getUserId()), "Bob among Alice's users");
    user.on(UserEvent.Presence, () => seen.push(user.presence));
    user.on(UserEvent.LastPresenceTs, () => seen.push(user.presenceStatusMsg));
    await bob.setPresence({ presence: "unavailable", status_msg: "at lunch" });
    await eventually(() => user.presenceStatusMsg === "at lunch", "Bob's status");
    assert.equal((await alice.getPresence(bob.getUserId())).status_msg, "at lunch");
}
