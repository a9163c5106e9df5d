"""Writes docs/spec-coverage.md: every operation of the specification, whether Weft answers it, and which test shows it.

    python scripts/spec_coverage.py            write the page
    python scripts/spec_coverage.py --check    exit with 1 if the page is not what would be written

The operations come from the specification's `endpoints.json` (`WEFT_SPEC` names its folder, else `../shared/spec`
beside the repository), the state from the routes of a server that is put together for it, the tests from
`tests/spec/proof.json`, which `scripts/spec_proof.py` makes.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from weft.protocol.api.declared import ANSWERED, ASKED
from weft.protocol.api.endpoint import Endpoint
from weft.testing import TestServer

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "spec-coverage.md"
PROOF = ROOT / "tests" / "spec" / "proof.json"

#: What this server asks of others: application services, identity servers.
_ASKED = {endpoint.name for endpoint in ASKED}

APIS = {
    "client-server": "Client-Server API",
    "server-server": "Server-Server API",
    "application-service": "Application Service API",
    "identity": "Identity Service API",
    "push-gateway": "Push Gateway API",
}

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Weft:
    """What there is: endpoints by method and path, which of them are routed, and by which test each is shown."""

    declared: Mapping[tuple[str, str], str]
    routed: frozenset[str]
    proof: Mapping[str, str]

    def endpoint(self, row: Row) -> str | None:
        """The name of an operation's endpoint."""
        return self.declared.get((row["method"], row["path"]))

    def state(self, row: Row) -> str:
        endpoint = self.endpoint(row)
        if endpoint is None:
            return "not yet"
        if endpoint in _ASKED:
            return "asked"
        return "answered" if endpoint in self.routed else "declared"

    def shown_by(self, row: Row) -> str:
        test = self.proof.get(self.endpoint(row) or "")
        if test is None:
            return ""
        file, _, name = test.partition("[")[0].partition("::")
        return f"[{name.removeprefix('test_').replace('_', ' ')}](../{file})"


def main() -> int:
    arguments = _parse()
    rows: list[Row] = json.loads((_spec() / "endpoints.json").read_bytes())
    text = page(
        rows,
        Weft(
            _declared((*ANSWERED, *ASKED)),
            asyncio.run(routed()),
            json.loads(PROOF.read_bytes()),
        ),
    )
    if not arguments.check:
        PAGE.write_text(text, encoding="utf-8")
        return 0
    if PAGE.is_file() and PAGE.read_text(encoding="utf-8") == text:
        return 0
    sys.stderr.write("docs/spec-coverage.md is out of date: run scripts/spec_coverage.py\n")
    return 1


async def routed() -> frozenset[str]:
    """The names of all endpoints that a server routes."""
    with tempfile.TemporaryDirectory() as folder:
        server = TestServer(Path(folder))
        await server.start()
        try:
            modules = server.server.modules
            return frozenset(route.endpoint.name for module in modules for route in module.routes)
        finally:
            await server.stop()


def page(rows: list[Row], weft: Weft) -> str:
    """The page's text; ends with a newline."""
    return "\n".join(_lines(rows, weft)) + "\n"


def _lines(rows: list[Row], weft: Weft) -> Iterator[str]:
    yield "# What of the specification Weft has"
    yield ""
    yield f"All {len(rows)} operations of the Matrix specification v1.19. *Answered* is what the server routes, *asked*"
    yield "what it asks of others; the test in the last column fails if the operation does not succeed in it. Made by"
    yield "`scripts/spec_coverage.py`."
    yield ""
    yield "| API | operations | answered or asked |"
    yield "| --- | ---: | ---: |"
    total = Counter(row["api"] for row in rows)
    answered = Counter(row["api"] for row in rows if weft.state(row) in ("answered", "asked"))
    for api, name in APIS.items():
        yield f"| [{name}](#{name.lower().replace(' ', '-')}) | {total[api]} | {answered[api]} |"
    for api, name in APIS.items():
        yield ""
        yield f"## {name}"
        yield from _tables([row for row in rows if row["api"] == api], weft)


def _tables(rows: list[Row], weft: Weft) -> Iterator[str]:
    for module, group in groupby(sorted(rows, key=_module), key=_module):
        yield ""
        yield f"### {module}"
        yield ""
        yield "| operation | route | state | shown by |"
        yield "| --- | --- | --- | --- |"
        for row in group:
            route = f"`{row['method']} {row['path']}`"
            yield f"| {row['operationId']} | {route} | {weft.state(row)} | {weft.shown_by(row)} |"


def _declared(endpoints: tuple[Endpoint[Any, Any], ...]) -> dict[tuple[str, str], str]:
    return {(endpoint.method, path): endpoint.name for endpoint in endpoints for path in endpoint.paths}


def _module(row: Row) -> str:
    """The part of the specification, spelled as a heading."""
    words = str(row["module"]).replace("_", " ")
    return words[0].upper() + words[1:]


def _spec() -> Path:
    return Path(os.environ.get("WEFT_SPEC", ROOT.parent / "shared" / "spec"))


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="only say whether the page is up to date")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
