"""Writes docs/spec-coverage.md: every operation of the specification, and whether Weft has it.

    python scripts/spec_coverage.py            write the page
    python scripts/spec_coverage.py --check    exit with 1 if the page is not what would be written

The operations come from the specification's `endpoints.json` (`WEFT_SPEC` names its folder, else `../shared/spec`
beside the repository), the state from the endpoints that are declared. `--proof FILE` adds the tests: a JSON object
from operation to the id of a test that calls it.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import groupby
from pathlib import Path
from typing import Any

from weft.protocol.api import client
from weft.protocol.api.endpoint import Endpoint

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "spec-coverage.md"

#: A route that is there for another operation, while this one's use of it isn't.
OTHER_USE = {"inviteBy3PID"}

APIS = {
    "client-server": "Client-Server API",
    "server-server": "Server-Server API",
    "application-service": "Application Service API",
    "identity": "Identity Service API",
    "push-gateway": "Push Gateway API",
}

Row = dict[str, Any]


def main() -> int:
    arguments = _parse()
    rows: list[Row] = json.loads((_spec() / "endpoints.json").read_bytes())
    proof: dict[str, str] = json.loads(arguments.proof.read_bytes()) if arguments.proof else {}
    text = page(rows, client.ENDPOINTS, proof)
    if not arguments.check:
        PAGE.write_text(text, encoding="utf-8")
        return 0
    if PAGE.is_file() and PAGE.read_text(encoding="utf-8") == text:
        return 0
    sys.stderr.write("docs/spec-coverage.md is out of date: run scripts/spec_coverage.py\n")
    return 1


def page(rows: list[Row], endpoints: tuple[Endpoint[Any, Any], ...], proof: Mapping[str, str]) -> str:
    """The page's text; ends with a newline."""
    routes = {(endpoint.method, path) for endpoint in endpoints for path in endpoint.paths}
    done = {_key(row) for row in rows if (row["method"], row["path"]) in routes and row["operationId"] not in OTHER_USE}
    return "\n".join(_lines(rows, done, proof)) + "\n"


def _lines(rows: list[Row], done: set[tuple[str, str]], proof: Mapping[str, str]) -> Iterator[str]:
    yield "# What of the specification Weft has"
    yield ""
    yield f"All {len(rows)} operations of the Matrix specification v1.19. Made by `scripts/spec_coverage.py`."
    yield ""
    yield "| API | operations | declared |"
    yield "| --- | ---: | ---: |"
    total = Counter(row["api"] for row in rows)
    declared = Counter(api for api, _ in done)
    for api, name in APIS.items():
        yield f"| [{name}](#{name.lower().replace(' ', '-')}) | {total[api]} | {declared[api]} |"
    for api, name in APIS.items():
        yield ""
        yield f"## {name}"
        yield from _tables([row for row in rows if row["api"] == api], done, proof)


def _tables(rows: list[Row], done: set[tuple[str, str]], proof: Mapping[str, str]) -> Iterator[str]:
    for module, group in groupby(sorted(rows, key=_module), key=_module):
        yield ""
        yield f"### {module}"
        yield ""
        yield "| operation | route | state | proof |" if proof else "| operation | route | state |"
        yield "| --- | --- | --- | --- |" if proof else "| --- | --- | --- |"
        for row in group:
            state = "declared" if _key(row) in done else "not yet"
            cells = [row["operationId"], f"`{row['method']} {row['path']}`", state]
            yield f"| {' | '.join(cells + ([proof.get(row['operationId'], '')] if proof else []))} |"


def _key(row: Row) -> tuple[str, str]:
    return row["api"], row["operationId"]


def _module(row: Row) -> str:
    """The part of the specification, spelled as a heading."""
    words = str(row["module"]).replace("_", " ")
    return words[0].upper() + words[1:]


def _spec() -> Path:
    return Path(os.environ.get("WEFT_SPEC", ROOT.parent / "shared" / "spec"))


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="only say whether the page is up to date")
    parser.add_argument("--proof", type=Path, help="JSON: operation to test")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
