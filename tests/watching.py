"""The watch of the tests: every answer is checked against the specification's schemas, and what succeeded is noted.

A `conftest.py` imports `what_succeeds`, and gives `validated` to the servers that it starts.
"""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.spec import openapi
from weft.http.router import Router
from weft.protocol.api.declared import ANSWERED, ASKED
from weft.protocol.api.endpoint import Endpoint, Raw
from weft.protocol.errors import MatrixError
from weft.testing import Answer

_ENDPOINTS: Router[Endpoint[Any, Any]] = Router()
for _endpoint in ANSWERED:
    for _path in _endpoint.paths:
        _ENDPOINTS.add(_endpoint.method, _path, _endpoint)

#: Operations whose errors are in OAuth's form, except for what is said before they are asked: 404, 413, 429.
OAUTH_ERRORS = {"registerOauthClient", "getOauthToken", "revokeOauthToken", "authorizeDevice"}
_ASKED: Router[Endpoint[Any, Any]] = Router()
for _endpoint in ASKED:
    _ASKED.add(_endpoint.method, _endpoint.path, _endpoint)

_succeeded: set[str] = set()
_shown_by: dict[str, set[str]] = defaultdict(set)
for _operation, _test in json.loads((Path(__file__).parent / "spec" / "proof.json").read_bytes()).items():
    _shown_by[_test].add(_operation)


def validated(method: str, path: str, answer: Answer) -> None:
    """Fails the test where an answer is not what the specification says, or the server is at fault.

    That another server could not be reached, or answered wrongly, is nobody's fault here.
    """
    assert answer.status < 500 or answer.status in (502, 503, 504), f"{method} {path}: {answer.body[:500]!r}"
    try:
        endpoint = _ENDPOINTS.find(method, path.partition("?")[0].encode()).target
    except MatrixError:
        return
    if answer.status < 400:
        _succeeded.add(endpoint.name)
        if endpoint.response is Raw:
            return  # bytes as they are, which may be JSON
    if answer.status >= 400 and endpoint.operation_id in OAUTH_ERRORS and "errcode" not in answer.json:
        assert answer.json.keys() == {"error", "error_description"}, f"{method} {path}: {answer.body[:500]!r}"
        return
    if answer.headers.get("content-type", "").startswith("application/json"):
        openapi.validate_response(endpoint.operation_id, answer.status, answer.json, endpoint.api.value)


def asked(method: str, target: str) -> None:
    """Notes that the server asked something of somebody, and was answered well."""
    try:
        _succeeded.add(_ASKED.find(method, target.partition("?")[0].encode()).target.name)
    except MatrixError:
        return  # an older path


@pytest.fixture(autouse=True)
def what_succeeds(request: pytest.FixtureRequest) -> Iterator[None]:
    _succeeded.clear()
    yield
    test = request.node.nodeid
    if calls := os.environ.get("WEFT_CALLS"):
        with Path(calls).open("a", encoding="utf-8") as file:
            file.write(json.dumps({"test": test, "operations": sorted(_succeeded)}) + "\n")
    missing = _shown_by[test] - _succeeded
    assert not missing, f"tests/spec/proof.json takes this test for the proof of {sorted(missing)}"
