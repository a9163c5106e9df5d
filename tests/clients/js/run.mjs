// node run.mjs FOLDER/NAME: plays that file against the server at WEFT_URL. Exit code 0 if all it asserts holds.
// Standard output belongs to the test that started it (see test.mjs); everything else goes to standard error.

import { Console } from "node:console";
import { inspect } from "node:util";

globalThis.console = new Console(process.stderr, process.stderr);
// Clients are talkative; WEFT_CLIENT_LOG=1 shows it all.
if (!process.env.WEFT_CLIENT_LOG) for (const level of ["trace", "debug", "info", "log", "warn", "error"]) console[level] = () => {};

const { endAll } = await import("./test.mjs");
const { default: scenario } = await import(`./${process.argv[2]}.mjs`);
let code = 0;
try {
    await scenario();
} catch (error) {
    process.stderr.write(`${inspect(error)}\n`);
    code = 1;
}
await endAll();
process.exit(code);
