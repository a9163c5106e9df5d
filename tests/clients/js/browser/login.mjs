// The login page that an app without one of its own opens.

import assert from "node:assert/strict";

import { browse, look, request } from "../browsing.mjs";
import { unique, url } from "../test.mjs";

export default async function () {
    const user = unique("alice");
    const account = { username: user, password: "correct horse", auth: { type: "m.login.dummy" } };
    assert.equal((await request("POST", "/_matrix/client/v3/register", account)).status, 200);
    const { page: open, complaints } = await browse();
    const page = await open();
    const handedOver = new Promise((resolve) => page.exposeFunction("handOver", resolve));
    await page.addInitScript(() => {
        window.matrixLogin = { onLogin: (response) => window.handOver(response) };
    });
    await page.goto(`${url}/_matrix/static/client/login/?device_id=KITCHEN&initial_device_display_name=Kitchen+tablet`);
    await look(page, "login");

    await page.getByLabel("User name").fill(user);
    await page.getByLabel("Password").fill("wrong horse");
    await page.keyboard.press("Enter");
    await page.getByRole("alert").filter({ hasText: /\w/ }).waitFor();
    await look(page, "login");

    await page.getByLabel("Password").fill("correct horse");
    await page.getByRole("button", { name: "Log in" }).click();
    await page.getByText("You are logged in").waitFor();
    await look(page, "login");
    const response = await handedOver;
    assert.equal(response.device_id, "KITCHEN");
    const devices = await request("GET", "/_matrix/client/v3/devices", undefined, response.access_token);
    assert.equal(devices.json.devices.find((device) => device.device_id === "KITCHEN").display_name, "Kitchen tablet");

    // On a small dark screen.
    const phone = await open({ viewport: { width: 320, height: 568 }, colorScheme: "dark" });
    await phone.goto(`${url}/_matrix/static/client/login/`);
    await look(phone, "login");

    // Without scripts it says what is missing.
    const plain = await open({ javaScriptEnabled: false });
    await plain.goto(`${url}/_matrix/static/client/login/`);
    await plain.screenshot({ path: `${process.env.WEFT_SCREENSHOTS}/login-without-scripts.png` });
    assert.ok(await plain.locator("noscript .wrong").isVisible());
    assert.ok(!(await plain.getByLabel("User name").isVisible()));
    assert.deepEqual(complaints, []);
}
