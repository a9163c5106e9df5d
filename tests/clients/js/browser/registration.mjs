// A whole registration through pages that an app opens in a window: a token, then the terms; then the account is there.

import assert from "node:assert/strict";

import { browse, fallback, look, request } from "../browsing.mjs";
import { unique } from "../test.mjs";

export default async function () {
    const account = { username: unique("alice"), password: "correct horse" };
    const { status, json: asked } = await request("POST", "/_matrix/client/v3/register", account);
    assert.equal(status, 401);
    assert.deepEqual(asked.flows, [{ stages: ["m.login.registration_token", "m.login.terms"] }]);
    assert.deepEqual(Object.keys(asked.params["m.login.terms"].policies).sort(), ["conduct", "privacy"]);

    // The app's own page, elsewhere; it opens windows and hears when they are done.
    const { page: open, complaints } = await browse();
    const app = await open();
    await app.goto("data:text/html,<title>An app</title>");
    const openWindow = async (stage) => {
        const opened = app.waitForEvent("popup");
        await app.evaluate((address) => {
            window.done = new Promise((resolve) => addEventListener("message", (event) => resolve(event.data), { once: true }));
            window.open(address);
        }, fallback(stage, asked.session));
        const page = await opened;
        await page.waitForLoadState();
        return page;
    };

    const tokens = await openWindow("m.login.registration_token");
    await look(tokens, "token");
    await tokens.getByLabel("Registration token").fill("guessed");
    await tokens.keyboard.press("Enter");
    await tokens.getByRole("alert").waitFor();
    await look(tokens, "token");
    await tokens.getByLabel("Registration token").fill(process.env.WEFT_REGISTRATION_TOKEN);
    await tokens.keyboard.press("Enter");
    await tokens.getByRole("status").waitFor();
    await look(tokens, "token");
    assert.equal(await app.evaluate(() => window.done), "authDone");
    await tokens.close();

    const halfway = await request("POST", "/_matrix/client/v3/register", { ...account, auth: { session: asked.session } });
    assert.equal(halfway.status, 401);
    assert.deepEqual(halfway.json.completed, ["m.login.registration_token"]);

    const terms = await openWindow("m.login.terms");
    await look(terms, "terms");
    const links = await terms.getByRole("link").evaluateAll((all) => all.map((each) => [each.lang, each.innerText, each.getAttribute("href")]));
    assert.deepEqual(links.sort(), [
        ["de", "Datenschutz", "http://127.0.0.1/datenschutz"],
        ["en", "Manners", "http://127.0.0.1/conduct"],
        ["en", "Privacy policy", "http://127.0.0.1/privacy"],
    ]);
    const boxes = terms.getByRole("checkbox");
    assert.equal(await boxes.count(), 2);
    await boxes.first().check();
    await terms.getByRole("button", { name: "Continue" }).click();
    await look(terms, "terms");
    assert.ok(await boxes.first().isVisible(), "one is not enough");
    await boxes.last().check();
    await terms.getByRole("button", { name: "Continue" }).click();
    await terms.getByRole("status").waitFor();
    await look(terms, "terms");
    assert.equal(await app.evaluate(() => window.done), "authDone");

    const made = await request("POST", "/_matrix/client/v3/register", { ...account, auth: { session: asked.session } });
    assert.equal(made.status, 200, JSON.stringify(made.json));
    const whoami = await request("GET", "/_matrix/client/v3/account/whoami", undefined, made.json.access_token);
    assert.equal(whoami.json.user_id, made.json.user_id);

    // The terms on a small dark screen.
    const { json: again } = await request("POST", "/_matrix/client/v3/register", { ...account, username: unique("bob") });
    const phone = await open({ viewport: { width: 320, height: 568 }, colorScheme: "dark" });
    await phone.goto(fallback("m.login.terms", again.session));
    await look(phone, "terms");
    assert.deepEqual(complaints, []);
}
