"""Every endpoint that is declared is routed by the server, and there is a test in which it succeeds."""

from __future__ import annotations

import ast
import json
from functools import cache
from pathlib import Path

import pytest

from weft.protocol.api.declared import ANSWERED, ASKED
from weft.testing import TestServer

ROOT = Path(__file__).parents[2]
PROOF: dict[str, str] = json.loads((Path(__file__).parent / "proof.json").read_bytes())
#: Declared, and not answered yet: with what they come.
NOT_ROUTED: dict[str, str] = {}
OPERATIONS = [endpoint.name for endpoint in ANSWERED if endpoint.name not in NOT_ROUTED]
OF_OTHERS = [endpoint.name for endpoint in ASKED]


async def test_the_server_routes_every_endpoint_once(tmp_path: Path) -> None:
    server = TestServer(tmp_path, settings={"thread_subscriptions": {"enabled": True}})
    await server.start()
    routed = [route.endpoint.name for module in server.server.modules for route in module.routes]
    await server.stop()
    assert len(routed) == len(set(routed))
    assert set(OPERATIONS) <= set(routed)
    assert not NOT_ROUTED.keys() & set(routed), "take them from the table"


@pytest.mark.parametrize("operation", [*OPERATIONS, *OF_OTHERS])
def test_every_endpoint_has_a_test(operation: str) -> None:
    """scripts/spec_proof.py finds the tests; each is held to it by tests/watching.py."""
    assert operation in PROOF, "no test of tests/modules has it succeed, or scripts/spec_proof.py was not run since"
    file, _, name = PROOF[operation].partition("::")
    assert name.partition("[")[0] in _tests_of(ROOT / file)


def test_nothing_else_is_named() -> None:
    assert PROOF.keys() <= {*OPERATIONS, *OF_OTHERS}


@cache
def _tests_of(file: Path) -> frozenset[str]:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    return frozenset(node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
