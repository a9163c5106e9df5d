// Somebody logs in to an app by the browser: the app is matrix-js-sdk's own code, the person uses Chromium.

import assert from "node:assert/strict";
import { createServer } from "node:http";

import { createClient } from "matrix-js-sdk";
import {
    completeAuthorizationCodeGrant,
    generateOidcAuthorizationUrl,
    OidcTokenRefresher,
    registerOidcClient,
} from "matrix-js-sdk/lib/oidc/index.js";

import { browse, look, request } from "../browsing.mjs";
import { atEnd, eventually, unique, url } from "../test.mjs";

const PASSWORD = "correct horse";

// What matrix-js-sdk expects of a browser.
function pretend(origin) {
    const kept = new Map();
    const storage = {
        getItem: (key) => kept.get(key) ?? null,
        setItem: (key, value) => void kept.set(key, value),
        removeItem: (key) => void kept.delete(key),
        key: (index) => [...kept.keys()][index] ?? null,
        get length() {
            return kept.size;
        },
    };
    globalThis.localStorage = storage;
    globalThis.window = { location: { origin }, sessionStorage: storage };
}

// The app's own server, to which the browser comes back: `arrived` is the address.
async function listen() {
    const app = { arrived: null };
    const server = createServer((asked, answer) => {
        if (asked.url.startsWith("/callback")) app.arrived = new URL(asked.url, app.origin);
        answer.setHeader("Content-Type", "text/html");
        answer.end("<!doctype html><title>Back in the app</title>");
    });
    await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
    atEnd(() => server.close());
    app.origin = `http://127.0.0.1:${server.address().port}`;
    return app;
}

export default async function () {
    const user = unique("alice");
    const account = { username: user, password: PASSWORD, auth: { type: "m.login.dummy" } };
    assert.equal((await request("POST", "/_matrix/client/v3/register", account)).status, 200);

    const app = await listen();
    pretend(app.origin);
    const metadata = await createClient({ baseUrl: url }).getAuthMetadata();
    assert.equal(metadata.issuer, `${url}/`);
    assert.equal(metadata.signingKeys.length, 1);
    const clientId = await registerOidcClient(metadata, {
        clientName: "Sample",
        clientUri: "https://sample.example/",
        applicationType: "native",
        redirectUris: ["http://127.0.0.1/callback"],
        contacts: [],
    });
    const begin = async (prompt) =>
        await generateOidcAuthorizationUrl({
            metadata,
            redirectUri: `${app.origin}/callback`,
            clientId,
            homeserverUrl: url,
            nonce: unique("nonce"),
            prompt,
        });

    const { page: open, complaints } = await browse();
    const page = await open();
    await page.goto(await begin());
    await look(page, "oauth-sign-in");
    await page.keyboard.press("Tab");
    await page.getByLabel("User name").fill(user);
    await page.getByLabel("Password").fill("wrong horse");
    await page.keyboard.press("Enter");
    await page.getByRole("alert").waitFor();
    await look(page, "oauth-sign-in");
    await page.getByLabel("Password").fill(PASSWORD);
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: "Sign in to Sample?" }).waitFor();
    await look(page, "oauth-consent");
    await page.getByRole("button", { name: "Continue" }).click();
    await eventually(() => app.arrived, "the browser comes back");
    assert.equal(app.arrived.searchParams.get("iss"), metadata.issuer);

    const done = await completeAuthorizationCodeGrant(app.arrived.searchParams.get("code"), app.arrived.searchParams.get("state"));
    const { access_token, refresh_token, scope } = done.tokenResponse;
    const deviceId = scope.split(" ").at(-1).split(":").at(-1);
    const client = createClient({ baseUrl: url, accessToken: access_token });
    assert.deepEqual(await client.whoami(), { user_id: `@${user}:weft.test`, device_id: deviceId });
    assert.equal(done.idTokenClaims.sub, `@${user}:weft.test`);

    const refresher = new OidcTokenRefresher(metadata.issuer, clientId, `${app.origin}/callback`, deviceId, done.idTokenClaims);
    await refresher.oidcClientReady;
    const tokens = await refresher.doRefreshAccessToken(refresh_token);
    assert.notEqual(tokens.accessToken, access_token);
    client.setAccessToken(tokens.accessToken);
    assert.equal((await client.whoami()).device_id, deviceId);

    // On a phone, in the dark: a new account, and the consent of who is signed in already.
    app.arrived = null;
    const phone = await open({ viewport: { width: 360, height: 740 }, colorScheme: "dark", hasTouch: true });
    await phone.goto(await begin("create"));
    await look(phone, "oauth-register");
    await phone.getByLabel("User name").fill(unique("bob"));
    await phone.getByLabel("Password").fill("short");
    await phone.getByRole("button", { name: "Create account" }).click();
    await look(phone, "oauth-register");
    await phone.getByLabel("Password").fill(PASSWORD);
    await phone.getByRole("button", { name: "Create account" }).click();
    await phone.getByRole("heading", { name: "Sign in to Sample?" }).waitFor();
    await look(phone, "oauth-consent");
    await phone.getByRole("button", { name: "Cancel" }).click();
    await eventually(() => app.arrived, "the browser comes back");
    assert.equal(app.arrived.searchParams.get("error"), "access_denied");

    await phone.goto(`${url}/_weft/oauth/authorize?client_id=nobody`);
    await look(phone, "oauth-refused");
    assert.deepEqual(complaints, []);
}
