// A browser with one page, a log of what went wrong on it, and screenshots.

import assert from "node:assert/strict";
import { join } from "node:path";

import { chromium } from "playwright-core";

import { atEnd, url } from "./test.mjs";

const FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
];

// A browser; `page` makes a page whose complaints (scripts that fail, what its security policy forbids) fail the walk.
export async function browse() {
    const browser = await chromium.launch({ executablePath: process.env.WEFT_BROWSER, args: FLAGS });
    atEnd(() => browser.close());
    const complaints = [];
    return {
        complaints,
        async page(options = {}) {
            const context = await browser.newContext({ viewport: { width: 800, height: 600 }, ...options });
            context.on("page", (page) => listen(page, complaints));
            return await context.newPage();
        },
    };
}

function listen(page, complaints) {
    page.on("pageerror", (error) => complaints.push(String(error)));
    page.on("console", (message) => {
        // A refused request is logged by the browser itself; walks provoke those.
        if (message.type() === "error" && !message.text().startsWith("Failed to load resource")) complaints.push(message.text());
    });
}

let count = 0;

// Takes a picture, and checks what should hold of every page.
export async function look(page, name) {
    await page.screenshot({ path: join(process.env.WEFT_SCREENSHOTS, `${name}-${String(++count).padStart(2, "0")}.png`) });
    assert.equal(await page.locator("html").getAttribute("lang"), "en");
    assert.equal(await page.locator("h1").count(), 1);
    assert.equal(await page.title(), await page.locator("h1").innerText());
    const nameless = await page.locator("input:visible").evaluateAll((inputs) =>
        inputs.filter((input) => !input.labels.length).map((input) => input.outerHTML),
    );
    assert.deepEqual(nameless, [], "every field has a label");
    const overflow = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    assert.equal(overflow, 0, "nothing sticks out sideways");
}

// A request as an app makes it: the status and the JSON of the answer.
export async function request(method, path, body, token) {
    const response = await fetch(url + path, {
        method,
        headers: { "Content-Type": "application/json", ...(token ? { Authorization: `Bearer ${token}` } : {}) },
        body: body && JSON.stringify(body),
    });
    return { status: response.status, json: await response.json() };
}

export const fallback = (stage, session) => `${url}/_matrix/client/v3/auth/${stage}/fallback/web?session=${encodeURIComponent(session)}`;
