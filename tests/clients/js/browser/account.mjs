// Somebody signs in on a television by the code that it shows, and looks after their account; all without scripts.

import assert from "node:assert/strict";

import { browse, look, request } from "../browsing.mjs";
import { unique, url } from "../test.mjs";

const PASSWORD = "correct horse";
const GRANT = "urn:ietf:params:oauth:grant-type:device_code";

async function post(path, form) {
    const response = await fetch(url + path, { method: "POST", body: new URLSearchParams(form) });
    return { status: response.status, json: await response.json() };
}

export default async function () {
    const user = unique("alice");
    const account = { username: user, password: PASSWORD, auth: { type: "m.login.dummy" }, initial_device_display_name: "Laptop" };
    const { json: laptop } = await request("POST", "/_matrix/client/v3/register", account);

    // The television: a client that can show a code, and nothing more.
    const { json: client } = await request("POST", "/_weft/oauth/register", {
        client_name: "Living room TV",
        client_uri: "https://tv.example/",
        policy_uri: "https://tv.example/privacy",
        application_type: "native",
        grant_types: [GRANT, "refresh_token"],
    });
    const scope = "urn:matrix:client:api:* urn:matrix:client:device:TELEVISION";
    const { json: asked } = await post("/_weft/oauth/device", { client_id: client.client_id, scope });
    const poll = () => post("/_weft/oauth/token", { grant_type: GRANT, device_code: asked.device_code, client_id: client.client_id });
    assert.equal((await poll()).json.error, "authorization_pending");

    const { page: open, complaints } = await browse();
    const page = await open({ viewport: { width: 360, height: 740 }, javaScriptEnabled: false });
    await page.goto(asked.verification_uri);
    await look(page, "link");
    await page.getByLabel("User name").fill(user);
    await page.getByLabel("Password").fill(PASSWORD);
    await page.keyboard.press("Enter");
    await page.getByLabel("The code that your device shows").fill("BCDF GHJK");
    await page.keyboard.press("Enter");
    await page.getByRole("alert").waitFor();
    await look(page, "link");
    await page.getByLabel("The code that your device shows").fill(asked.user_code.toLowerCase());
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: "Sign in to Living room TV?" }).waitFor();
    assert.ok(await page.getByText(asked.user_code, { exact: true }).isVisible());
    await look(page, "link");
    await page.getByRole("button", { name: "Continue" }).click();
    await page.getByRole("status").waitFor();
    await look(page, "link");
    const { status, json: tokens } = await poll();
    assert.equal(status, 200, JSON.stringify(tokens));
    assert.equal((await request("GET", "/_matrix/client/v3/account/whoami", undefined, tokens.access_token)).json.device_id, "TELEVISION");

    // The account.
    const base = `${url}/_weft/account`;
    await page.goto(base);
    await look(page, "account");
    await page.getByRole("link", { name: "Profile" }).click();
    await page.getByLabel("Name").fill("Alice Liddell");
    await look(page, "account");
    await page.getByRole("button", { name: "Save" }).click();
    await look(page, "account");
    await page.getByRole("link", { name: "Your account" }).click();
    await page.getByRole("link", { name: "Devices" }).click();
    await look(page, "account");
    await page.getByRole("link", { name: "Living room TV" }).click();
    await look(page, "account");
    await page.getByRole("link", { name: "Sign this device out" }).click();
    await look(page, "account");
    await page.getByRole("button", { name: "Sign out this device" }).click();
    await page.getByRole("status").waitFor();
    assert.equal((await request("GET", "/_matrix/client/v3/account/whoami", undefined, tokens.access_token)).status, 401);

    await page.goto(`${base}?action=password`);
    await look(page, "account");
    await page.getByLabel("New password").fill("battery staple");
    await page.getByRole("checkbox").uncheck();
    await page.getByRole("button", { name: "Change it" }).click();
    await page.getByRole("status").waitFor();
    assert.equal((await request("GET", "/_matrix/client/v3/account/whoami", undefined, laptop.access_token)).status, 200);

    const desktop = await open({ javaScriptEnabled: false });
    await desktop.goto(`${base}?action=org.matrix.account_deactivate`);
    await desktop.getByLabel("User name").fill(user);
    await desktop.getByLabel("Password").fill("battery staple");
    await desktop.keyboard.press("Enter");
    await desktop.getByRole("heading", { name: "Deactivate your account?" }).waitFor();
    await look(desktop, "account");
    await desktop.goto(base);
    await look(desktop, "account");
    await desktop.goto(`${base}?action=org.matrix.cross_signing_reset`);
    await look(desktop, "account");
    await desktop.goto(`${base}?action=org.matrix.account_deactivate`);
    await desktop.getByLabel("I am sure").check();
    await desktop.getByRole("button", { name: "Deactivate my account" }).click();
    await desktop.getByRole("status").waitFor();
    await look(desktop, "account");
    assert.equal((await request("GET", "/_matrix/client/v3/account/whoami", undefined, laptop.access_token)).status, 401);
    assert.deepEqual(complaints, []);
}
