// A person who chats with Hydrogen, a web client, in a browser, with somebody who uses matrix-js-sdk.

import assert from "node:assert/strict";
import { join } from "node:path";

import { browse } from "../browsing.mjs";
import { hydrogen } from "../hydrogen_page.mjs";
import { account, password, person, roomOf, said, session } from "../people.mjs";
import { eventually, url } from "../test.mjs";

export default async function () {
    const [alice, bobsAccount] = [await person("alice"), await account("bob")];
    await alice.setDisplayName("Alice");
    const bob = await session(bobsAccount);
    const roomId = await roomOf([alice, bob], { name: "Tea room" });
    bob.stopClient();
    for (let number = 101; number <= 140; number++) await alice.sendTextMessage(roomId, `cup ${number}`);

    const { page: open, complaints } = await browse();
    const page = await open({ viewport: { width: 1100, height: 700 } });
    const look = async (name) => await page.screenshot({ path: join(process.env.WEFT_SCREENSHOTS, `hydrogen-${name}.png`) });
    await page.goto(await hydrogen());
    await page.getByLabel("Homeserver").fill(url);
    await page.getByLabel("Username").fill(bobsAccount.user_id);
    await page.getByLabel("Password").fill(password);
    await look("login");
    await page.getByRole("button", { name: "Log In" }).click();
    await page.getByText("Tea room").waitFor();
    await look("rooms");
    await page.getByText("Tea room").click();
    await page.getByText("cup 140").waitFor();
    await look("timeline");
    assert.deepEqual(complaints, []);

    // Each hears the other.
    await page.getByPlaceholder("Send a message").fill("a biscuit with it?");
    await page.keyboard.press("Enter");
    await eventually(() => said(alice, roomId).includes("a biscuit with it?"), "what was typed in Hydrogen at Alice's");
    await alice.sendTextMessage(roomId, "gladly");
    await page.getByText("gladly").waitFor();

    // Back in time by scrolling.
    await page.locator(".Timeline_scroller").evaluate((scroller) => (scroller.scrollTop = 0));
    await eventually(async () => {
        await page.locator(".Timeline_scroller").evaluate((scroller) => (scroller.scrollTop = 0));
        return await page.getByText("cup 101").isVisible();
    }, "the first message, by scrolling");
    await look("beginning");

    // A reaction and a redaction come in.
    const event = alice.getRoom(roomId).getLastLiveEvent();
    await alice.sendEvent(roomId, "m.reaction", { "m.relates_to": { rel_type: "m.annotation", event_id: event.getId(), key: "🫖" } });
    await page.locator(".Timeline_messageReactions").getByText("🫖").waitFor({ state: "attached" });
    await alice.redactEvent(roomId, event.getId());
    await page.getByText("This message has been deleted").waitFor({ state: "attached" });
    await look("end");
    assert.deepEqual(complaints, []);
}
