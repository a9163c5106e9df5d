// People who use matrix-js-sdk as a client does: its own store, its own sync loop, threads and lazily loaded members.

import { createClient, EventStatus, MemoryStore, PendingEventOrdering } from "matrix-js-sdk";

import { atEnd, eventually, unique, url } from "./test.mjs";

export const password = "correct horse";

// A new account, logged in and syncing.
export async function person(name, options = {}) {
    return await session(await account(name), options);
}

// A new account: user_id, device_id, access_token.
export async function account(name, baseUrl = url) {
    return await createClient({ baseUrl }).registerRequest({
        username: unique(name),
        password,
        auth: { type: "m.login.dummy" },
    });
}

// A client of that account that has synced once.
export async function session({ user_id, device_id, access_token }, options = {}) {
    const client = createClient({
        baseUrl: url,
        userId: user_id,
        deviceId: device_id,
        accessToken: access_token,
        store: new MemoryStore(),
        timelineSupport: true,
    });
    atEnd(() => client.stopClient());
    await client.startClient({
        initialSyncLimit: 10,
        lazyLoadMembers: true,
        threadSupport: true,
        pendingEventOrdering: PendingEventOrdering.Detached,
        pollTimeout: 10_000,
        ...options,
    });
    await eventually(() => client.isInitialSyncComplete(), "the first sync");
    return client;
}

// A room that the first one makes and the others join; all of them know that everybody is in it.
export async function roomOf([maker, ...others], options = {}) {
    const { room_id } = await maker.createRoom({ invite: others.map((other) => other.getUserId()), ...options });
    for (const other of others) await other.joinRoom(room_id);
    for (const each of [maker, ...others]) {
        await eventually(() => each.getRoom(room_id)?.getJoinedMemberCount() === others.length + 1, "everybody in the room");
    }
    return room_id;
}

export const event = (client, roomId, eventId) => client.getRoom(roomId)?.findEventById(eventId);

// Waits until `client` has the event, with the server's word for it.
export async function arrival(client, roomId, eventId) {
    return await eventually(() => {
        const found = event(client, roomId, eventId);
        return found && (found.status === null || found.status === EventStatus.SENT) ? found : null;
    }, `${eventId} at ${client.getUserId()}`);
}

// The texts of the messages in a room's live timeline, oldest first.
export const said = (client, roomId) =>
    client
        .getRoom(roomId)
        .getLiveTimeline()
        .getEvents()
        .filter((each) => each.getType() === "m.room.message")
        .map((each) => each.getContent().body);
