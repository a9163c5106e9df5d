// Encrypted conversations: several devices, cross-signing, a backup that a new device restores, a device that goes.

import assert from "node:assert/strict";

import { Method } from "matrix-js-sdk";

import { cannotRead, encryptedRoom, encrypting, furtherDevice, reads, setUp } from "../encryption.mjs";
import { elsewhere, eventually } from "../test.mjs";

export default async function () {
    const [alice, bob] = [await encrypting("alice"), await encrypting("bob", elsewhere)];
    for (const person of [alice, bob]) await setUp(person);
    const phone = await furtherDevice(bob);
    const roomId = await encryptedRoom([alice, bob]);
    await eventually(() => phone.getRoom(roomId)?.getMyMembership() === "join", "the room on the phone");

    const { event_id: first } = await alice.sendTextMessage(roomId, "to both devices");
    for (const device of [bob, phone]) assert.equal(await reads(device, roomId, first), "to both devices");
    const { event_id: answer } = await phone.sendTextMessage(roomId, "from the phone");
    for (const device of [alice, bob]) assert.equal(await reads(device, roomId, answer), "from the phone");

    // The first device is signed by its owner, and its owner's identity is what the other one sees.
    const status = await alice.getCrypto().getDeviceVerificationStatus(bob.getUserId(), bob.getDeviceId());
    assert.equal(status.signedByOwner, true);
    const unsigned = await alice.getCrypto().getDeviceVerificationStatus(bob.getUserId(), phone.getDeviceId());
    assert.equal(unsigned.signedByOwner, false);

    // A new device reads nothing of what was, until it restores the backup with the recovery key.
    await eventually(async () => (await storedBackup(bob)).count >= 2, "two keys in the backup", 60);
    const tablet = await furtherDevice(bob, bob.recovery);
    assert.equal(await cannotRead(tablet, roomId, first), true);
    const crypto = tablet.getCrypto();
    // The secret keys are checked against the public ones, which it has to have been told.
    await eventually(() => crypto.userHasCrossSigningKeys(bob.getUserId()), "its owner's public keys");
    await crypto.bootstrapCrossSigning({});
    await crypto.loadSessionBackupPrivateKeyFromSecretStorage();
    const { imported, total } = await crypto.restoreKeyBackup();
    assert.equal(imported, total);
    assert.ok(imported >= 2);
    assert.equal(await reads(tablet, roomId, first), "to both devices");
    assert.equal(await reads(tablet, roomId, answer), "from the phone");
    await eventually(async () => {
        const seen = await alice.getCrypto().getDeviceVerificationStatus(bob.getUserId(), tablet.getDeviceId());
        return seen?.signedByOwner;
    }, "the tablet's signature at the other side", 30);

    // After a device is gone.
    phone.stopClient();
    await phone.logout();
    await eventually(async () => {
        const devices = await alice.getCrypto().getUserDeviceInfo([bob.getUserId()], true);
        return !devices.get(bob.getUserId()).has(phone.getDeviceId());
    }, "the phone gone from the list", 30);
    const { event_id: last } = await alice.sendTextMessage(roomId, "without the phone");
    for (const device of [bob, tablet]) assert.equal(await reads(device, roomId, last), "without the phone");
}

// What the server has; the client itself remembers what it was told first.
const storedBackup = (client) => client.http.authedRequest(Method.Get, "/room_keys/version");
