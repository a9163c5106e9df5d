"""From the parts of a request to its type, and the error for each way in which they don't fit."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.http.kit import endpoint, fields
from weft.http.decode import MAX_QUERY, RequestDecoder
from weft.protocol.api.endpoint import Body, Header, Path, Query, Struct
from weft.protocol.canonical_json import MAX_DEPTH
from weft.protocol.errors import BadJson, InvalidParam, MatrixError, MissingParam, NotJson


class Page(Struct):
    start: Query[str | None] = msgspec.field(name="from", default=None)
    limit: Query[Annotated[int, msgspec.Meta(ge=0)]] = 10
    full: Query[bool] = False
    via: Query[list[str]] = msgspec.field(default_factory=list)
    dir: Query[Literal["b", "f"]] = "b"
    other: Query[str] | None = None


class Others(Struct):
    limit: Query[int] = 10
    fields: Query[dict[str, str]] = msgspec.field(default_factory=dict)


class Needs(Struct):
    where: Query[str]


class SetState(Struct):
    room_id: Path[str]
    content: Body[dict[str, Any]]
    state_key: Path[str] = ""


class Ban(Struct):
    room_id: Path[str]
    user_id: str
    reason: str | None = None
    silent: Query[bool] = False
    via: Query[list[str]] = msgspec.field(default_factory=list)


class Inner(Struct):
    depth: int


class Create(Struct):
    name: str = ""
    inner: Inner | None = None
    invite: list[str] = msgspec.field(default_factory=list)
    kind: str = msgspec.field(name="type", default="room")


class Login(Struct):
    type: str
    password: str | None = None


class Optional(Struct):
    content: Body[dict[str, Any]] = msgspec.field(default_factory=dict)


class Upload(Struct):
    content: Body[bytes]
    content_type: Header[str] = "application/octet-stream"
    filename: Query[str | None] = None


class Listed(Struct):
    items: Body[list[int]]


class Checked(Struct):
    room_id: Path[str]
    count: int = 0

    def __post_init__(self) -> None:
        if self.count > 5:
            raise ValueError("count is too large")


STATE_PATHS = ("/rooms/{roomId}/state", "/rooms/{roomId}/state/{stateKey}")


def decode(
    kind: type[msgspec.Struct],
    *,
    query: bytes = b"",
    body: bytes = b"",
    headers: tuple[tuple[bytes, bytes], ...] = (),
    paths: tuple[str, ...] = ("/test",),
    values: tuple[str, ...] = (),
) -> dict[str, Any]:
    decoder = RequestDecoder(endpoint(kind, paths=paths))
    named = dict(zip(decoder.path_names(paths[-1]), values, strict=True))
    return fields(decoder.decode(named, query, headers, body))


PAGE: dict[str, Any] = {"start": None, "limit": 10, "full": False, "via": [], "dir": "b", "other": None}


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (b"", {}),
        (b"from=s1&limit=5&full=true", {"start": "s1", "limit": 5, "full": True}),
        (b"full=false&limit=0", {"full": False, "limit": 0}),
        (b"via=a&via=b%20c&via=d+e", {"via": ["a", "b c", "d e"]}),
        (b"from=first&from=second", {"start": "first"}),
        (b"from=", {"start": ""}),
        (b"from", {"start": ""}),
        (b"from=null", {"start": "null"}),
        (b"from=5&other=true", {"start": "5", "other": "true"}),
        (b"from=%F0%9F%A6%8A&fr%6Fm=x", {"start": "🦊"}),
        (b"unknown=1&&=&dir=f", {"dir": "f"}),
        (b"start=not-its-name", {}),
    ],
)
def test_queries(query: bytes, expected: dict[str, Any]) -> None:
    assert decode(Page, query=query) == PAGE | expected


@pytest.mark.parametrize(
    "query",
    [
        b"limit=x", b"limit=", b"limit=1.5", b"limit=-1", b"limit=" + b"9" * 5000, b"full=yes", b"dir=x", b"from=%ff",
        b"from=a%00b", b"from=a\0b", b"from=\xff", b"from=" + b"a" * MAX_QUERY,
    ],
)  # fmt: skip
def test_bad_queries(query: bytes) -> None:
    with pytest.raises(InvalidParam):
        decode(Page, query=query)


def test_a_missing_query() -> None:
    with pytest.raises(MissingParam, match="where"):
        decode(Needs, query=b"elsewhere=1")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", {}),
        (b"{}", {}),
        (b' {"name": "\xc3\xa9"} ', {"name": "é"}),
        (b'{"unknown": {"deep": [1]}, "type": "space"}', {"kind": "space"}),
        (b'{"inner": {"depth": 1}, "invite": ["@a:b"]}', {"inner": {"depth": 1}, "invite": ["@a:b"]}),
        (b'{"name": "a", "name": "b"}', {"name": "b"}),
    ],
)
def test_bodies(body: bytes, expected: dict[str, Any]) -> None:
    assert decode(Create, body=body) == {"name": "", "inner": None, "invite": [], "kind": "room"} | expected


@pytest.mark.parametrize(
    ("kind", "body", "error"),
    [
        (Create, b"{", NotJson),
        (Create, b"name=x", NotJson),
        (Create, b'{"name": "\xff"}', NotJson),
        (Create, b'{"unknown": "\xff"}', NotJson),
        (Create, b'{"name": "\\ud800"}', NotJson),
        (Create, b"\xef\xbb\xbf{}", NotJson),
        (Create, b'{"name": NaN}', NotJson),
        (Create, b'{"name": 5, oops', NotJson),
        (Create, b'{"name": 5}', BadJson),
        (Create, b'{"name": null}', BadJson),
        (Create, b"[]", BadJson),
        (Create, b'"text"', BadJson),
        (Create, b'{"invite": "x"}', BadJson),
        (Create, b'{"inner": {}}', BadJson),
        (Create, b'{"inner": {"depth": ' + b"9" * 5000 + b"}}", BadJson),
        (Create, b'{"inner": {"depth": 1e999}}', BadJson),
        (Login, b"", NotJson),
        (Login, b"{}", MissingParam),
        (Login, b'{"password": "x"}', MissingParam),
        (Login, b'{"password": 5}', BadJson),
        (Listed, b'["x"]', BadJson),
        (Listed, b"{}", BadJson),
        (Listed, b"", NotJson),
    ],
)
def test_bad_bodies(kind: type[msgspec.Struct], body: bytes, error: type[MatrixError]) -> None:
    with pytest.raises(error) as refusal:
        decode(kind, body=body)
    assert type(refusal.value) is error


@pytest.mark.parametrize("depth", [MAX_DEPTH - 1, MAX_DEPTH, 990, 5000, 100_000])
def test_nesting(depth: int) -> None:
    bodies = [b'{"unknown":' + b"[" * depth + b"]" * depth + b"}", b'{"a":' * depth + b"{}" + b"}" * depth]
    for body in bodies:
        if depth < MAX_DEPTH:
            assert decode(Create, body=body)["name"] == ""
        else:
            with pytest.raises(BadJson, match="too deep"):
                decode(Create, body=body)


def test_many_brackets_are_not_deep() -> None:
    flat = (
        b'{"invite": [' + b",".join([b'"[[[{{{\\"["'] * 500) + b'], "unknown": [' + b",".join([b"[{}]"] * 500) + b"]}"
    )
    assert len(decode(Create, body=flat)["invite"]) == 500


def test_path_and_whole_body() -> None:
    content = {"a": {"b": [1, 2**60, 1.5]}}
    body = msgspec.json.encode(content)
    assert decode(SetState, paths=STATE_PATHS, values=("!r:x", ""), body=body) == {
        "room_id": "!r:x",
        "state_key": "",
        "content": content,
    }
    assert decode(SetState, paths=STATE_PATHS[:1], values=("!r:x",), body=b"{}")["state_key"] == ""
    with pytest.raises(BadJson):
        decode(SetState, paths=STATE_PATHS[:1], values=("!r:x",), body=b"[]")


def test_path_query_and_keys() -> None:
    ban: dict[str, Any] = {"paths": ("/rooms/{roomId}/ban",), "values": ("!r:x",)}
    assert decode(Ban, query=b"silent=true&via=a", body=b'{"user_id": "@u:x", "room_id": 5}', **ban) == {
        "room_id": "!r:x",
        "user_id": "@u:x",
        "reason": None,
        "silent": True,
        "via": ["a"],
    }
    with pytest.raises(MissingParam, match="user_id"):
        decode(Ban, body=b"{}", **ban)
    with pytest.raises(InvalidParam):
        decode(Ban, query=b"silent=maybe", body=b'{"user_id": "@u:x"}', **ban)


class SendLater(Struct, kw_only=True):
    room_id: Path[str] = msgspec.field(name="roomId")
    delay: Query[int | None] = msgspec.field(name="org.example.delay", default=None)
    content: Body[dict[str, Any]]


def test_a_fault_is_told_by_the_parameters_name() -> None:
    """Also where the rest of the request is in its body."""
    send: dict[str, Any] = {"paths": ("/rooms/{roomId}/send",), "values": ("!r:x",), "body": b"{}"}
    assert decode(SendLater, query=b"org.example.delay=5", **send) == {"room_id": "!r:x", "delay": 5, "content": {}}
    with pytest.raises(InvalidParam, match=r"\$\.org\.example\.delay"):
        decode(SendLater, query=b"org.example.delay=soon", **send)


def test_a_body_that_may_be_absent() -> None:
    assert decode(Optional) == {"content": {}}
    assert decode(Optional, body=b'{"a": 1}') == {"content": {"a": 1}}


def test_bytes_and_headers() -> None:
    headers = ((b"content-type", b"image/png"), (b"content-type", b"second"), (b"host", b"x"))
    assert RequestDecoder(endpoint(Upload)).decode({}, b"filename=a.png", headers, b"\xff\0") == Upload(
        content=b"\xff\0", content_type="image/png", filename="a.png"
    )
    assert RequestDecoder(endpoint(Upload)).decode({}, b"", (), b"") == Upload(content=b"")


def test_what_a_type_itself_refuses_is_bad_json() -> None:
    with pytest.raises(BadJson, match="count is too large"):
        decode(Checked, paths=("/{roomId}",), values=("!r:x",), body=b'{"count": 6}')


class Needy(Struct):
    room_id: Path[str]


class Confused(Struct):
    content: Body[dict[str, Any]]
    key: str


@pytest.mark.parametrize(
    ("kind", "path"),
    [(Needy, "/rooms"), (Needy, "/rooms/{roomId}/{extra}"), (Page, "/{from}"), (Confused, "/x")],
)
def test_mistakes_show_at_start_up(kind: type[msgspec.Struct], path: str) -> None:
    with pytest.raises(TypeError):
        RequestDecoder(endpoint(kind, path=path))


@given(st.binary(max_size=200), st.binary(max_size=100))
def test_nothing_but_our_errors(body: bytes, query: bytes) -> None:
    for kind in (Create, Login, Listed, Page):
        try:
            decoded = decode(kind, body=body, query=query)
        except (NotJson, BadJson, MissingParam, InvalidParam):
            continue
        assert set(decoded) == set(kind.__struct_fields__)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(st.characters(exclude_categories=["Cs"])),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner),
        max_leaves=10,
    )
)
def test_any_content_survives(value: Any) -> None:
    body = msgspec.json.encode({"content": value})
    assert decode(Optional, body=body) == {"content": {"content": value}}


def test_parameters_that_no_field_names() -> None:
    query = b"channel=%23x&limit=5&a+b=c&channel=y&access_token=secret&user_id=u&device_id=d"
    assert decode(Others, query=query) == {"limit": 5, "fields": {"channel": "#x", "a b": "c"}}
    assert decode(Others) == {"limit": 10, "fields": {}}
