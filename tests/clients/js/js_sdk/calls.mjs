// Who takes part in a call, as clients of today say it: by sticky events, which are sent later, too, for who goes away.
// A session that begins in the middle of much talk is told of it all the same.

import assert from "node:assert/strict";

// The client wants Node 22 for this alone.
Promise.withResolvers ??= () => {
    const made = {};
    made.promise = new Promise((resolve, reject) => Object.assign(made, { resolve, reject }));
    return made;
};
const { createClient, MemoryStore } = await import("matrix-js-sdk-43");

import { atEnd, eventually, unique, url } from "../test.mjs";

const password = "correct horse";
const transport = { type: "livekit", livekit_service_url: "https://livekit.weft.test" };

export default async function () {
    const alice = await session(await account("alice"));
    const bobs = await account("bob");
    const { room_id: roomId } = await alice.createRoom({
        preset: "public_chat",
        power_level_content_override: { events_default: 0 },
    });
    const bob = await session(bobs);
    await bob.joinRoom(roomId);
    await eventually(() => bob.getRoom(roomId)?.getJoinedMemberCount() === 2, "both in the room");

    // One that is newer steps into the place of the one before, and each is over after its time.
    const type = "org.weft.place";
    const stick = (duration, body, key) =>
        alice._unstable_sendStickyEvent(roomId, duration, null, type, { body, msc4354_sticky_key: key });
    await stick(60_000, "sticky 1", "place");
    await stick(61_000, "sticky 2", "place");
    await stick(3_000, "sticky 3", "short");
    const held = (client, key) =>
        client.getRoom(roomId)?._unstable_getKeyedStickyEvent(alice.getUserId(), type, key);
    await eventually(() => held(bob, "place")?.getContent().body === "sticky 2", "the newer one");
    await eventually(() => held(bob, "short")?.getContent().body === "sticky 3", "the short one");
    await eventually(() => held(bob, "short") === undefined, "its end");
    assert.equal(held(bob, "place").getContent().body, "sticky 2");

    const ofAlice = join(alice, roomId);
    const present = (client) => call(client, roomId).memberships.map((one) => one.userId).sort();
    await eventually(() => present(bob).length === 1, () => `Alice in the call: ${present(bob)}`);
    for (let number = 0; number < 30; number++) await alice.sendTextMessage(roomId, `so much to say ${number}`);

    // Behind all that, for who begins anew.
    const again = await session(await login(bobs));
    assert.equal(held(again, "place").getContent().body, "sticky 2");
    await eventually(() => present(again).length === 1, () => `Alice in the call: ${present(again)}`);
    const ofBob = join(again, roomId);
    await eventually(() => present(alice).length === 2, () => `both in the call: ${present(alice)}`);
    assert.deepEqual(present(alice), [alice.getUserId(), bob.getUserId()].sort());

    await ofBob.leaveRoomSession(5_000);
    await eventually(() => present(alice).length === 1, () => `Bob gone: ${present(alice)}`);

    // Alice's client is gone without a word; the server says it for her.
    alice.stopClient();
    ofAlice.membershipManager.stop?.();
    gone.add(alice);
    await eventually(() => present(again).length === 0, () => `Alice gone: ${present(again)}`, 30);
}

const gone = new Set();

function call(client, roomId) {
    return client.matrixRTC.getRoomSession(client.getRoom(roomId), { application: "m.call", id: "ROOM" });
}

function join(client, roomId) {
    const joined = call(client, roomId);
    const identity = { userId: client.getUserId(), deviceId: client.getDeviceId(), memberId: `${client.getDeviceId()}-1` };
    joined.joinRTCSession(identity, [transport], transport, {
        unstableSendStickyEvents: true,
        manageMediaKeys: false,
        delayedLeaveEventDelayMs: 4_000,
        delayedLeaveEventRestartMs: 1_000,
    });
    return joined;
}

async function account(name) {
    const auth = { type: "m.login.dummy" };
    return await createClient({ baseUrl: url }).registerRequest({ username: unique(name), password, auth });
}

async function login({ user_id }) {
    const { access_token, device_id } = await createClient({ baseUrl: url }).loginRequest({
        type: "m.login.password",
        identifier: { type: "m.id.user", user: user_id },
        password,
    });
    return { user_id, access_token, device_id };
}

async function session({ user_id, device_id, access_token }) {
    const client = createClient({
        baseUrl: url,
        userId: user_id,
        deviceId: device_id,
        accessToken: access_token,
        store: new MemoryStore(),
        fetchFn: (...args) => (gone.has(client) ? Promise.reject(new TypeError("gone")) : fetch(...args)),
    });
    atEnd(() => client.stopClient());
    await client.startClient({ initialSyncLimit: 10, pollTimeout: 10_000 });
    await eventually(() => client.isInitialSyncComplete(), "the first sync");
    return client;
}
