// People who use matrix-js-sdk with its Rust crypto: cross-signing, secret storage, key backup.

import { createClient, MemoryStore } from "matrix-js-sdk";
import { logger } from "matrix-js-sdk/lib/logger.js";

import { account, password } from "./people.mjs";
import { atEnd, eventually, url } from "./test.mjs";

logger.setLevel(logger.levels.ERROR);

// A client with encryption of a new account; its recovery key is made by `setUp`.
export async function encrypting(name, baseUrl = url) {
    return await encryptingSession(baseUrl, await account(name, baseUrl));
}

// A further device of somebody; `recovery` is that of the first, or nothing for a device that does not know it.
export async function furtherDevice(client, recovery = {}) {
    const { baseUrl } = client;
    const login = await createClient({ baseUrl }).loginRequest({
        type: "m.login.password",
        identifier: { type: "m.id.user", user: client.getUserId() },
        password,
    });
    return await encryptingSession(baseUrl, login, recovery);
}

// A client with encryption of a session that is there already.
export async function encryptingSession(baseUrl, { user_id, device_id, access_token }, recovery = {}) {
    const client = createClient({
        baseUrl,
        userId: user_id,
        deviceId: device_id,
        accessToken: access_token,
        store: new MemoryStore(),
        timelineSupport: true,
        cryptoCallbacks: {
            getSecretStorageKey: async ({ keys }) => (recovery.key ? [Object.keys(keys)[0], recovery.key.privateKey] : null),
        },
    });
    client.recovery = recovery;
    atEnd(() => client.stopClient());
    await client.initRustCrypto({ useIndexedDB: false });
    await client.startClient({ initialSyncLimit: 20, pollTimeout: 10_000 });
    await eventually(() => client.isInitialSyncComplete(), "the first sync");
    return client;
}

// Keys that sign others, secret storage and a backup, as clients make them for a new account.
export async function setUp(client) {
    const crypto = client.getCrypto();
    await crypto.bootstrapCrossSigning({ authUploadDeviceSigningKeys: consent(client) });
    client.recovery.key = await crypto.createRecoveryKeyFromPassphrase();
    await crypto.bootstrapSecretStorage({
        createSecretStorageKey: async () => client.recovery.key,
        setupNewKeyBackup: true,
    });
    await eventually(() => crypto.isCrossSigningReady(), "cross-signing");
    await eventually(() => crypto.getActiveSessionBackupVersion(), "the backup");
}

// Answers what the server asks before it replaces keys that sign others.
export const consent = (client) => async (makeRequest) => {
    try {
        return await makeRequest(null);
    } catch (error) {
        if (error.httpStatus !== 401) throw error;
        const identifier = { type: "m.id.user", user: client.getUserId() };
        return await makeRequest({ type: "m.login.password", session: error.data.session, identifier, password });
    }
};

const encryption = { type: "m.room.encryption", state_key: "", content: { algorithm: "m.megolm.v1.aes-sha2" } };

// An encrypted room that the first one makes and the others join.
export async function encryptedRoom([maker, ...others]) {
    const invite = others.map((other) => other.getUserId());
    const { room_id } = await maker.createRoom({ invite, initial_state: [encryption] });
    for (const other of others) {
        await eventually(() => other.getRoom(room_id)?.getMyMembership() === "invite", "the invite");
        await other.joinRoom(room_id);
    }
    for (const each of [maker, ...others]) {
        await eventually(
            () => each.getRoom(room_id)?.hasEncryptionStateEvent() && each.getRoom(room_id).getJoinedMemberCount() === others.length + 1,
            "everybody in the encrypted room",
        );
    }
    return room_id;
}

// Waits until a device reads a message; what it reads.
export async function reads(client, roomId, eventId) {
    const found = await eventually(async () => {
        const event = client.getRoom(roomId)?.findEventById(eventId);
        if (!event) return null;
        await client.decryptEventIfNeeded(event);
        return event.isDecryptionFailure() || event.isBeingDecrypted() || event.getType() === "m.room.encrypted" ? null : event;
    }, `${eventId} read by ${client.getUserId()} ${client.getDeviceId()}`, 30);
    return found.getContent().body;
}

// Whether a device has a message and can't read it.
export async function cannotRead(client, roomId, eventId) {
    const event = await eventually(() => client.getRoom(roomId)?.findEventById(eventId), `${eventId} arrived`);
    await eventually(() => !event.isBeingDecrypted(), "a try at reading it");
    return event.isDecryptionFailure();
}
