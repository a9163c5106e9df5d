"""Matching: literals, parameters, encodings, methods."""

from __future__ import annotations

from contextlib import suppress
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weft.http.router import MAX_PATH, Router
from weft.protocol.errors import InvalidParam, Unrecognized

TEMPLATES = (
    ("GET", "/v3/sync"),
    ("GET", "/v3/pushrules/"),
    ("GET", "/v3/profile/{userId}"),
    ("GET", "/v3/profile/{userId}/displayname"),
    ("PUT", "/v3/profile/{userId}/displayname"),
    ("DELETE", "/v3/profile/{userId}/{keyName}"),
    ("GET", "/v3/profile/{userId}/{keyName}"),
    ("PUT", "/v3/rooms/{roomId}/state/{eventType}"),
    ("PUT", "/v3/rooms/{roomId}/state/{eventType}/{stateKey}"),
    ("GET", "/v3/user/mine/filter/{filterId}"),
    ("GET", "/v3/user/{userId}/tags/all"),
    ("POST", "/v3/keys/upload"),
    ("GET", "/v3/keys/{name}"),
)


def router() -> Router[str]:
    made: Router[str] = Router()
    for method, template in TEMPLATES:
        made.add(method, template, f"{method} {template}")
    return made


@pytest.mark.parametrize(
    ("method", "path", "template", "values"),
    [
        ("GET", "/v3/sync", "/v3/sync", []),
        ("GET", "/v3/%73ync", "/v3/sync", []),
        ("GET", "/v3/pushrules/", "/v3/pushrules/", []),
        ("GET", "/v3/profile/@a:b", "/v3/profile/{userId}", ["@a:b"]),
        ("GET", "/v3/profile/%40a%3Ab", "/v3/profile/{userId}", ["@a:b"]),
        ("GET", "/v3/profile/a%2Fb%3Fc%25", "/v3/profile/{userId}", ["a/b?c%"]),
        ("GET", "/v3/profile/a+b", "/v3/profile/{userId}", ["a+b"]),
        ("GET", "/v3/profile/displayname/displayname", "/v3/profile/{userId}/displayname", ["displayname"]),
        ("GET", "/v3/profile/u/other", "/v3/profile/{userId}/{keyName}", ["u", "other"]),
        ("PUT", "/v3/rooms/!r/state/m.room.name", "/v3/rooms/{roomId}/state/{eventType}", ["!r", "m.room.name"]),
        ("PUT", "/v3/rooms/!r/state/t/", "/v3/rooms/{roomId}/state/{eventType}/{stateKey}", ["!r", "t", ""]),
        ("PUT", "/v3/rooms/!r/state/t/k", "/v3/rooms/{roomId}/state/{eventType}/{stateKey}", ["!r", "t", "k"]),
        ("GET", "/v3/user/mine/filter/1", "/v3/user/mine/filter/{filterId}", ["1"]),
    ],
)
def test_finds(method: str, path: str, template: str, values: list[str]) -> None:
    assert router().find(method, path.encode()) == (f"{method} {template}", values)


def test_a_literal_that_leads_nowhere_gives_way_to_the_parameter() -> None:
    assert router().find("GET", b"/v3/user/mine/tags/all") == ("GET /v3/user/{userId}/tags/all", ["mine"])


def test_a_literal_without_the_method_gives_way_to_the_parameter() -> None:
    assert router().find("DELETE", b"/v3/profile/u/displayname").values == ["u", "displayname"]
    assert router().find("GET", b"/v3/keys/upload").values == ["upload"]


def test_head_is_answered_by_get() -> None:
    assert router().find("HEAD", b"/v3/sync").target == "GET /v3/sync"


@pytest.mark.parametrize(
    "path",
    ["", "/", "/v3", "/v3/sync/", "//v3/sync", "/v3/profile", "/v3/rooms//state/t", "/v3/profile//displayname", "*"],
)
def test_unknown_path(path: str) -> None:
    with pytest.raises(Unrecognized) as refusal:
        router().find("GET", path.encode())
    assert refusal.value.status == 404


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("POST", "/v3/sync", "GET, HEAD, OPTIONS"),
        ("POST", "/v3/profile/u/displayname", "GET, HEAD, OPTIONS, PUT"),
        ("GET", "/v3/rooms/!r/state/t", "OPTIONS, PUT"),
        ("BREW", "/v3/keys/upload", "OPTIONS, POST"),
    ],
)
def test_known_path_other_method(method: str, path: str, allow: str) -> None:
    with pytest.raises(Unrecognized) as refusal:
        router().find(method, path.encode())
    assert (refusal.value.status, refusal.value.headers["Allow"]) == (405, allow)


@pytest.mark.parametrize("value", [b"%ff", b"%C3", b"\xff", b"a%00b", b"%ED%A0%80"])
def test_a_parameter_that_is_not_text(value: bytes) -> None:
    with pytest.raises(InvalidParam):
        router().find("GET", b"/v3/profile/" + value)
    with pytest.raises(InvalidParam):
        router().find("GET", b"/v3/profile/" + value + b"/displayname")
    with pytest.raises(Unrecognized):
        router().find("GET", b"/v3/nowhere/" + value)


def test_the_replacement_character_is_text() -> None:
    assert router().find("GET", b"/v3/profile/%EF%BF%BD").values == ["\ufffd"]


def test_a_path_too_long() -> None:
    with pytest.raises(Unrecognized) as refusal:
        router().find("GET", b"/v3/profile/" + b"a" * MAX_PATH)
    assert refusal.value.status == 414


def test_two_of_one_shape_collide() -> None:
    made = router()
    with pytest.raises(ValueError, match="two endpoints"):
        made.add("GET", "/v3/profile/{other}", "x")


@given(
    st.lists(
        st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1), min_size=3, max_size=3
    )
)
def test_any_text_survives(values: list[str]) -> None:
    room, kind, key = (quote(value, safe="") for value in values)
    path = f"/v3/rooms/{room}/state/{kind}/{key}".encode()
    assert router().find("PUT", path).values == values


@given(st.binary(max_size=60))
def test_nothing_but_our_errors(path: bytes) -> None:
    with suppress(Unrecognized, InvalidParam):
        assert router().find("GET", b"/v3/profile/" + path).target.startswith("GET ")
