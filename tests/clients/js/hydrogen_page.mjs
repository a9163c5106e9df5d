// Hydrogen, a web client, put together as its package says and served from an origin of its own.

import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { dirname, join, normalize } from "node:path";
import { fileURLToPath } from "node:url";

import { atEnd } from "./test.mjs";

const PACKAGES = join(dirname(fileURLToPath(import.meta.url)), "..", "node_modules");
const HYDROGEN = "hydrogen-view-sdk";
// Those that are not modules yet are wrapped into one.
const WRAPPED = {
    "another-json": "another-json/another-json.js",
    "base64-arraybuffer": "base64-arraybuffer/lib/base64-arraybuffer.js",
    "off-color": "off-color/cjs/index.js",
};
const IMPORTS = {
    "hydrogen-view-sdk": `/packages/${HYDROGEN}/lib-build/hydrogen.es.js`,
    "dompurify": "/packages/dompurify/dist/purify.es.js",
    "@matrix-org/olm/olm.js": "data:text/javascript,",
    ...Object.fromEntries(Object.keys(WRAPPED).map((name) => [name, `/wrapped/${name}`])),
};
const TYPES = { js: "text/javascript", css: "text/css", html: "text/html", svg: "image/svg+xml", json: "application/json" };

// Without encryption: Hydrogen does without where it is given no library for it.
const PAGE = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>Hydrogen</title>
<link rel="stylesheet" href="/packages/${HYDROGEN}/asset-build/assets/theme-element-light.css">
<script type="importmap">${JSON.stringify({ imports: IMPORTS })}</script>
</head>
<body class="hydrogen">
<script type="module">
import { createNavigation, createRouter, FeatureSet, Platform, RootViewModel } from "hydrogen-view-sdk";

const platform = new Platform({ container: document.body, assetPaths: { serviceWorker: "/sw.js" }, config: {} });
await platform.init();
const navigation = createNavigation();
platform.setNavigation(navigation);
const urlRouter = createRouter({ navigation, history: platform.history });
urlRouter.attach();

const features = await FeatureSet.load(platform.settingsStorage);
const root = new RootViewModel({ platform, urlRouter, navigation, features });
await root.load();
platform.createAndMountRootView(root);
</script>
</body>
</html>`;

// The address of the page.
export async function hydrogen() {
    const server = createServer(async (request, response) => {
        const path = new URL(request.url, "http://localhost").pathname;
        const [type, body] = await content(path).catch(() => [null, ""]);
        response.writeHead(type ? 200 : 404, { "Content-Type": type ?? "text/plain" }).end(body);
    });
    await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
    atEnd(() => server.closeAllConnections());
    return `http://127.0.0.1:${server.address().port}/`;
}

async function content(path) {
    const [, kind, ...rest] = normalize(path).split("/");
    const name = rest.join("/");
    if (kind === "packages") return [TYPES[name.split(".").at(-1)] ?? "application/octet-stream", await readFile(join(PACKAGES, name))];
    if (kind === "sw.js") return [TYPES.js, await readFile(join(PACKAGES, HYDROGEN, "lib-build", "sw.js"))];
    if (kind === "wrapped") return [TYPES.js, wrapped(await readFile(join(PACKAGES, WRAPPED[name]), "utf8"))];
    return [TYPES.html, PAGE];
}

const wrapped = (code) => `const module = { exports: {} }; (function (module, exports) {${code}\n})(module, module.exports); export default module.exports;`;
