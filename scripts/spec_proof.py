"""Writes tests/spec/proof.json: for every endpoint a test in which it succeeds.

    WEFT_CALLS=/tmp/calls .venv/bin/python -m pytest -n auto tests/modules tests/federation
    .venv/bin/python scripts/spec_proof.py /tmp/calls

A test that is named there fails from then on if the endpoint does not succeed in it (`tests/watching.py`).
Tests that are named already stay, so that the file changes only where it must; so a run of the new tests is enough.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

from weft.protocol.api.declared import ANSWERED, ASKED

PROOF = Path(__file__).parents[1] / "tests" / "spec" / "proof.json"

#: The operations that succeeded in a test.
Calls = Mapping[str, frozenset[str]]


def main(files: list[str]) -> None:
    calls = _read(line for file in files for line in Path(file).read_text(encoding="utf-8").splitlines())
    before: dict[str, str] = json.loads(PROOF.read_bytes()) if PROOF.exists() else {}
    operations = sorted(endpoint.name for endpoint in (*ANSWERED, *ASKED))
    chosen = {operation: test for operation in operations if (test := _choose(operation, calls, before))}
    PROOF.write_text(json.dumps(chosen, indent=1) + "\n", encoding="utf-8")
    if missing := [operation for operation in operations if operation not in chosen]:
        print(f"No test for {', '.join(missing)}.")


def _read(lines: Iterable[str]) -> Calls:
    records = map(json.loads, lines)
    return {record["test"]: frozenset(record["operations"]) for record in records}


def _choose(operation: str, calls: Calls, before: Mapping[str, str]) -> str | None:
    """The test that was named before; else the one whose name speaks of it most, and that does little else."""
    tests = [test for test, operations in calls.items() if operation in operations]
    named = before.get(operation)
    if named is not None and (named in tests or named not in calls):
        return named
    words = _words(operation)
    return min(tests, key=lambda test: (-len(words & _words(test)), "[" in test, len(calls[test]), test), default=None)


def _words(text: str) -> set[str]:
    """How the words of a name in any spelling begin; so `creation` is `create`, and `rooms` is `room`."""
    return {word.lower().removesuffix("s")[:5] for word in re.findall(r"[A-Z]?[a-z]+", text)} - {"test", "modul", "py"}


if __name__ == "__main__":
    main(sys.argv[1:])
