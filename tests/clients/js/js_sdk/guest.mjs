// A guest looks into a room that all the world may read, and writes where guests may.

import assert from "node:assert/strict";

import { createClient, MemoryStore } from "matrix-js-sdk";

import { person, said } from "../people.mjs";
import { eventually, url } from "../test.mjs";

export default async function () {
    const alice = await person("alice");
    const { room_id: roomId } = await alice.createRoom({ preset: "public_chat", name: "Market" });
    await alice.setGuestAccess(roomId, { allowJoin: true, allowRead: true });
    await alice.sendTextMessage(roomId, "fresh fish");

    const { user_id, device_id, access_token } = await createClient({ baseUrl: url }).registerGuest({});
    const guest = createClient({
        baseUrl: url,
        userId: user_id,
        deviceId: device_id,
        accessToken: access_token,
        store: new MemoryStore(),
        timelineSupport: true,
    });
    guest.setGuest(true);
    const room = await guest.peekInRoom(roomId, 20);
    assert.equal(room.name, "Market");
    assert.deepEqual(said(guest, roomId), ["fresh fish"]);
    await alice.sendTextMessage(roomId, "and chips");
    await eventually(() => said(guest, roomId).includes("and chips"), "the news at the guest's");
    guest.stopPeeking();

    await guest.joinRoom(roomId);
    await guest.sendTextMessage(roomId, "how much?");
    await eventually(() => said(alice, roomId).includes("how much?"), "the guest's question");
    await assert.rejects(guest.createRoom({}), { errcode: "M_GUEST_ACCESS_FORBIDDEN" });
}
