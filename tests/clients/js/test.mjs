// What every scenario uses: the server, names of its own, waiting, and a word with the test that plays it.

import { randomBytes } from "node:crypto";
import { createInterface } from "node:readline";

export const url = process.env.WEFT_URL;
// Where those live who are said to live elsewhere: on another server, if the test has one.
export const elsewhere = process.env.WEFT_OTHER_URL ?? url;
export const serverName = "weft.test";
const suffix = randomBytes(4).toString("hex");
const ends = [];
const lines = createInterface({ input: process.stdin });

// A user name or alias that no other scenario has.
export const unique = (name) => `${name}-${suffix}`;

// Has something done when the scenario is over, however it ends.
export const atEnd = (end) => ends.push(end);

export async function endAll() {
    for (const end of ends) await end();
    lines.close();
}

// Waits for `holds` to return something true, and returns that.
export async function eventually(holds, what, seconds = 15) {
    const end = Date.now() + seconds * 1000;
    for (;;) {
        const result = await holds();
        if (result) return result;
        if (Date.now() > end) throw new Error(`never happened: ${typeof what === "function" ? what() : what}`);
        await new Promise((resolve) => setTimeout(resolve, 20));
    }
}

// Has the server stopped and started.
export async function restart() {
    const answered = new Promise((resolve) => lines.once("line", resolve));
    process.stdout.write("restart\n");
    await answered;
}
