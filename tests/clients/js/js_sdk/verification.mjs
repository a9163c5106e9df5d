// Verification by comparing emoji: one's own new device over to-device messages, and somebody else in a room.

import assert from "node:assert/strict";

import { CryptoEvent, VerificationPhase, VerificationRequestEvent, VerifierEvent } from "matrix-js-sdk/lib/crypto-api/index.js";

import { encryptedRoom, encrypting, furtherDevice, setUp } from "../encryption.mjs";
import { elsewhere, eventually } from "../test.mjs";

export default async function () {
    const [alice, bob] = [await encrypting("alice"), await encrypting("bob", elsewhere)];
    for (const person of [alice, bob]) await setUp(person);

    // A new device of Alice's, which her first one signs.
    const phone = await furtherDevice(alice);
    const asked = incoming(alice);
    const request = await phone.getCrypto().requestOwnUserVerification();
    await compare(request, await asked);
    await eventually(async () => {
        const status = await alice.getCrypto().getDeviceVerificationStatus(alice.getUserId(), phone.getDeviceId());
        return status?.signedByOwner;
    }, "the new device is signed", 30);
    // It has been given the keys that sign others, too.
    await eventually(() => phone.getCrypto().isCrossSigningReady(), "cross-signing on the new device", 30);

    // Alice and Bob, in a room.
    const roomId = await encryptedRoom([alice, bob]);
    const askedBob = incoming(bob);
    const between = await alice.getCrypto().requestVerificationDM(bob.getUserId(), roomId);
    await compare(between, await askedBob);
    for (const [one, other] of [[alice, bob], [bob, alice]]) {
        await eventually(async () => {
            const status = await one.getCrypto().getUserVerificationStatus(other.getUserId());
            return status.isCrossSigningVerified();
        }, "the other one is verified", 30);
    }
    // What Alice's first device signed, her other one believes.
    await eventually(async () => {
        const status = await phone.getCrypto().getUserVerificationStatus(bob.getUserId());
        return status.isCrossSigningVerified();
    }, "Bob is verified on the new device", 30);
}

function incoming(client) {
    return new Promise((resolve) => client.once(CryptoEvent.VerificationRequestReceived, resolve));
}

const phase = (request, wanted) =>
    new Promise((resolve) => {
        const look = () => request.phase === wanted && resolve();
        request.on(VerificationRequestEvent.Change, look);
        look();
    });

// Both accept, see the same emoji, and say so.
async function compare(request, other) {
    await other.accept();
    await phase(request, VerificationPhase.Ready);
    const verifier = await request.startVerification("m.sas.v1");
    await phase(other, VerificationPhase.Started);
    const sides = [verifier, other.verifier].map((side) => {
        const shown = new Promise((resolve) => side.once(VerifierEvent.ShowSas, resolve));
        return { side, shown };
    });
    const verified = sides.map(({ side }) => side.verify());
    const [mine, theirs] = await Promise.all(sides.map(({ shown }) => shown));
    assert.deepEqual(mine.sas.emoji, theirs.sas.emoji);
    for (const { confirm } of [mine, theirs]) await confirm();
    await Promise.all(verified);
    await Promise.all([phase(request, VerificationPhase.Done), phase(other, VerificationPhase.Done)]);
}
