// Stages of user-interactive authentication in a page: consent, and the password before a device is deleted.

import assert from "node:assert/strict";

import { browse, fallback, look, request } from "../browsing.mjs";
import { unique, url } from "../test.mjs";

export default async function () {
    const { page: open, complaints } = await browse();
    const page = await open();

    // An account, by consenting in the page.
    const account = { username: unique("alice"), password: "correct horse" };
    const asked = await request("POST", "/_matrix/client/v3/register", account);
    assert.equal(asked.status, 401);
    await page.goto(fallback("m.login.dummy", asked.json.session));
    await look(page, "consent");
    await page.getByRole("button", { name: "Continue" }).click();
    await page.getByRole("status").waitFor();
    await look(page, "consent");
    const made = await request("POST", "/_matrix/client/v3/register", { ...account, auth: { session: asked.json.session } });
    assert.equal(made.status, 200);
    const token = made.json.access_token;

    // A second device, deleted with the password given in the page.
    const login = { type: "m.login.password", identifier: { type: "m.id.user", user: account.username }, password: account.password };
    const { json: second } = await request("POST", "/_matrix/client/v3/login", login);
    const device = `/_matrix/client/v3/devices/${second.device_id}`;
    const { status, json: challenge } = await request("DELETE", device, {}, token);
    assert.equal(status, 401);
    await page.goto(fallback("m.login.password", challenge.session));
    await look(page, "password");
    assert.equal(await page.getByLabel("User name").inputValue(), made.json.user_id);
    await page.getByLabel("Password").fill("wrong horse");
    await page.keyboard.press("Enter");
    await page.getByRole("alert").waitFor();
    await look(page, "password");
    assert.equal((await request("DELETE", device, { auth: { session: challenge.session } }, token)).status, 401);
    await page.getByLabel("Password").fill("correct horse");
    await page.keyboard.press("Enter");
    await page.getByRole("status").waitFor();
    await look(page, "password");
    assert.equal((await request("DELETE", device, { auth: { session: challenge.session } }, token)).status, 200);
    assert.equal((await request("GET", "/_matrix/client/v3/account/whoami", undefined, second.access_token)).status, 401);

    // What does not exist, or no longer.
    await page.goto(fallback("m.login.password", challenge.session));
    await look(page, "gone");
    assert.ok(await page.getByText("expired").isVisible());
    const { json: other } = await request("DELETE", `/_matrix/client/v3/devices/${made.json.device_id}`, {}, token);
    await page.goto(fallback("m.login.terms", other.session));
    await look(page, "not-asked-for");
    await page.goto(`${url}/_matrix/client/v3/auth/m.login.password/fallback/web?session=%3Cscript%3Ealert(1)%3C/script%3E`);
    await look(page, "gone");
    assert.deepEqual(complaints, []);
}
