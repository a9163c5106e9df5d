// A new device is signed in by one that is signed in already and shows a QR code; it is given the keys that sign others.

import assert from "node:assert/strict";

import { QrCodeData } from "@matrix-org/matrix-sdk-crypto-wasm";
import { MSC4108RendezvousSession } from "matrix-js-sdk/lib/rendezvous/transports/index.js";
import { MSC4108SecureChannel } from "matrix-js-sdk/lib/rendezvous/channels/index.js";
import { MSC4108SignInWithQR, PayloadType } from "matrix-js-sdk/lib/rendezvous/index.js";

import { browse, look, request } from "../browsing.mjs";
import { encrypting, encryptingSession, setUp } from "../encryption.mjs";
import { password } from "../people.mjs";
import { eventually, url } from "../test.mjs";

const GRANT = "urn:ietf:params:oauth:grant-type:device_code";
const DEVICE = "NEWPHONE";

async function post(path, form) {
    const response = await fetch(url + path, { method: "POST", body: new URLSearchParams(form) });
    return await response.json();
}

export default async function () {
    const laptop = await encrypting("alice");
    await setUp(laptop);
    const failures = [];
    const onFailure = (reason) => failures.push(reason);

    // The laptop shows the code, the phone scans it.
    const shown = new MSC4108RendezvousSession({ client: laptop, onFailure });
    await shown.send("");
    const old = new MSC4108SignInWithQR(new MSC4108SecureChannel(shown, undefined, onFailure), false, laptop, onFailure);
    await old.generateCode();
    const code = QrCodeData.fromBytes(old.code);
    assert.equal(code.serverName, "weft.test");
    const scanned = new MSC4108RendezvousSession({ url: code.rendezvousUrl, onFailure });
    const phone = new MSC4108SignInWithQR(new MSC4108SecureChannel(scanned, code.publicKey, onFailure), true, undefined, onFailure);
    await Promise.all([old.negotiateProtocols(), phone.negotiateProtocols()]);
    assert.equal(old.checkCode, phone.checkCode);

    // The phone asks to be let in, and the laptop's user lets it in.
    const client = await request("POST", "/_weft/oauth/register", {
        client_name: "Phone",
        client_uri: "https://phone.example/",
        application_type: "native",
        grant_types: [GRANT, "refresh_token"],
    });
    const client_id = client.json.client_id;
    const scope = `urn:matrix:client:api:* urn:matrix:client:device:${DEVICE}`;
    const { device_code, ...asked } = await post("/_weft/oauth/device", { client_id, scope });
    await phone.send({
        type: PayloadType.Protocol,
        protocol: "device_authorization_grant",
        device_authorization_grant: asked,
        device_id: DEVICE,
    });
    const { verificationUri } = await old.deviceAuthorizationGrant();
    assert.equal(verificationUri, asked.verification_uri_complete);
    const sharing = old.shareSecrets();
    assert.equal((await phone.receive()).type, PayloadType.ProtocolAccepted);
    const { page: open, complaints } = await browse();
    const page = await open({ javaScriptEnabled: false });
    await page.goto(verificationUri);
    await page.getByLabel("User name").fill(laptop.getUserIdLocalpart());
    await page.getByLabel("Password").fill(password);
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: "Sign in to Phone?" }).waitFor();
    await look(page, "qr-code");
    await page.getByRole("button", { name: "Continue" }).click();
    await page.getByRole("status").waitFor();
    const { access_token } = await post("/_weft/oauth/token", { grant_type: GRANT, device_code, client_id });

    // The phone has all it needs: what is signed by it counts, and the laptop believes it.
    const user_id = laptop.getUserId();
    const fresh = await encryptingSession(url, { user_id, device_id: DEVICE, access_token });
    const { secrets } = await phone.shareSecrets();
    await sharing;
    await fresh.getCrypto().importSecretsBundle(secrets);
    await fresh.getCrypto().crossSignDevice(DEVICE);
    await eventually(() => fresh.getCrypto().isCrossSigningReady(), "cross-signing on the phone", 30);
    await eventually(async () => {
        const status = await laptop.getCrypto().getDeviceVerificationStatus(user_id, DEVICE);
        return status?.signedByOwner;
    }, "the phone is signed", 30);
    assert.deepEqual(failures, []);
    assert.deepEqual(complaints, []);
}
