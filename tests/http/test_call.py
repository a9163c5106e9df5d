"""What a handler may ask of its call, and what mypy says of a handler that does not fit."""

from __future__ import annotations

from pathlib import Path as File

import pytest
from mypy import api

from tests.http.kit import ALICE, endpoint
from weft.http.call import Call, Headers
from weft.protocol.api.endpoint import Empty
from weft.protocol.errors import InvalidParam


def test_who_is_asking() -> None:
    known = Call(endpoint(), Empty(), requester=ALICE, origin="there.test")
    assert (known.user_id, known.device_id, known.origin) == (ALICE.user_id, "PHONE", "there.test")
    nobody = Call(endpoint(), Empty())
    assert (nobody.maybe_requester, nobody.maybe_origin) == (None, None)
    for ask in (lambda: nobody.user_id, lambda: nobody.device_id, lambda: nobody.origin, nobody.chunks):
        with pytest.raises(RuntimeError, match="test"):
            ask()


def test_headers() -> None:
    headers = Headers([(b"via", b"a"), (b"host", b"x"), (b"via", b"b")])
    assert (headers["Via"], headers.all("VIA"), headers.get("accept"), len(headers)) == ("a, b", ["a", "b"], None, 2)
    assert dict(headers) == {"via": "a, b", "host": "x"}
    with pytest.raises(KeyError):
        headers["accept"]


def test_query() -> None:
    call = Call(endpoint(), Empty(), query_string=b"a=1&b=%20+&a=2&c=")
    assert call.query == {"a": ["1", "2"], "b": ["  "], "c": [""]}
    assert call.query is call.query
    for broken in (b"a=%ff", b"\xff=1", b"&".join([b"a=1"] * 1001)):
        with pytest.raises(InvalidParam):
            Call(endpoint(), Empty(), query_string=broken).query  # noqa: B018


def test_raw_json() -> None:
    call = Call(endpoint(), Empty(), body_bytes=b'{"a": 1}')
    assert call.raw_json == {"a": 1}
    assert call.raw_json is call.raw_json
    assert Call(endpoint(), Empty()).raw_json == {}


TYPES = """
from weft.http.call import Call, Stream, route
from weft.protocol.api.endpoint import Auth, Endpoint, Raw, Struct

class Ask(Struct):
    name: str
class Say(Struct):
    name: str
class Other(Struct):
    name: str

OF = Endpoint(operation_id="x", method="GET", paths=("/x",), request=Ask, response=Say, auth=Auth.NONE)

async def fits(call: Call[Ask]) -> Say:
    return Say(name=call.args.name)
async def bytes_as_they_are(call: Call[Ask]) -> Say | Raw | Stream:
    return Raw()
async def other_request(call: Call[Other]) -> Say:
    return Say(name="")
async def other_response(call: Call[Ask]) -> Other:
    return Other(name="")

route(OF, fits)
route(OF, bytes_as_they_are)
route(OF, other_request)
route(OF, other_response)
"""


@pytest.mark.slow
def test_mypy_refuses_a_handler_of_other_types(tmp_path: File) -> None:
    sample = tmp_path / "sample.py"
    sample.write_text(TYPES)
    report, problems, _ = api.run(["--strict", "--no-error-summary", "--cache-dir", str(tmp_path / "c"), str(sample)])
    errors = [line for line in report.splitlines() if ": error:" in line]
    assert ["other_request" in _source(line) or "other_response" in _source(line) for line in errors] == [True, True], (
        report + problems
    )


def _source(error: str) -> str:
    return TYPES.splitlines()[int(error.split(":")[1]) - 1]
