"""Filters: what each key includes and excludes, which fields are given, and hostile filters."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weft.protocol import filters
from weft.protocol.errors import BadJson, NotJson
from weft.protocol.filters import EVERY_EVENT, EVERYTHING, MAX_ENTRIES, EventFilter

ALICE, BOB, ROOM, OTHER = "@alice:example.org", "@bob:example.org", "!room:example.org", "!other:example.org"
EVENT: dict[str, Any] = {
    "type": "m.room.message",
    "sender": ALICE,
    "room_id": ROOM,
    "event_id": "$event",
    "content": {"body": "hi", "url": "mxc://a/b", "m.relates_to": {"rel_type": "m.thread", "event_id": "$x"}},
    "unsigned": {"age": 5},
}


def event_filter(**fields: Any) -> EventFilter:
    return filters.parse_event_filter(fields)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, True),
        ({"types": None, "senders": None, "not_types": None, "contains_url": None}, True),
        ({"types": ["m.room.message"]}, True),
        ({"types": ["m.room.*"]}, True),
        ({"types": ["*"]}, True),
        ({"types": ["m.*.message"]}, True),
        ({"types": ["m.room.messag?"]}, False),
        ({"types": ["M.room.message"]}, False),
        ({"types": ["m.room"]}, False),
        ({"types": ["m.room.topic", "m.room.message"]}, True),
        ({"types": []}, False),
        ({"not_types": ["m.room.message"]}, False),
        ({"not_types": ["m.*"]}, False),
        ({"not_types": []}, True),
        ({"types": ["m.room.message"], "not_types": ["m.room.message"]}, False),
        ({"types": ["m.*"], "not_types": ["m.room.member"]}, True),
        ({"senders": [ALICE]}, True),
        ({"senders": [BOB]}, False),
        ({"senders": ["@*:example.org"]}, False),
        ({"senders": []}, False),
        ({"not_senders": [ALICE]}, False),
        ({"not_senders": [BOB]}, True),
        ({"senders": [ALICE], "not_senders": [ALICE]}, False),
        ({"rooms": [ROOM]}, True),
        ({"rooms": [OTHER]}, False),
        ({"rooms": []}, False),
        ({"not_rooms": [ROOM]}, False),
        ({"not_rooms": [OTHER]}, True),
        ({"rooms": [ROOM], "not_rooms": [ROOM]}, False),
        ({"contains_url": True}, True),
        ({"contains_url": False}, False),
        ({"org.example.unknown": {"a": 1}}, True),
    ],
)
def test_event_filters(fields: dict[str, Any], expected: bool) -> None:
    compiled = event_filter(**fields)
    assert compiled.matches_event(EVENT) is expected
    assert filters.decode_event_filter(json.dumps(fields)).matches_event(EVENT) is expected
    assert (compiled.wants("m.room.message", ALICE, has_url=True) and compiled.wants_room(ROOM)) is expected
    if compiled.passes_everything:
        assert expected
    if compiled.passes_nothing:
        assert not expected


@pytest.mark.parametrize(
    ("fields", "event", "expected"),
    [
        ({"contains_url": True}, {"type": "x", "content": {}}, False),
        ({"contains_url": False}, {"type": "x", "content": {}}, True),
        ({"contains_url": True}, {"type": "x"}, False),
        ({"contains_url": True}, {"type": "x", "content": {"url": None}}, True),
        ({"senders": [ALICE]}, {"type": "m.typing", "content": {}}, False),
        ({"not_senders": [ALICE]}, {"type": "m.typing", "content": {}}, True),
        ({"rooms": [ROOM]}, {"type": "m.push_rules", "content": {}}, True),
        ({"types": ["m.typing"]}, {}, False),
        ({"senders": [ALICE]}, {"type": [], "sender": {}, "content": "url"}, False),
    ],
)
def test_events_that_lack_something(fields: dict[str, Any], event: dict[str, Any], expected: bool) -> None:
    assert event_filter(**fields).matches_event(event) is expected


@pytest.mark.parametrize(
    ("given_limit", "expected"),
    [(None, 10), (5, 5), (1, 1), (0, 1), (-7, 1), (100, 100), (101, 100), (2**70, 100), (5.0, 5), (1e300, 100)],
)
def test_limits_are_clamped(given_limit: Any, expected: int) -> None:
    limit = event_filter(limit=given_limit).limit(default=10, maximum=100)
    assert limit == expected
    assert type(limit) is int


def test_shortcuts() -> None:
    assert EVERY_EVENT.passes_everything
    assert event_filter(limit=5, lazy_load_members=True, unread_thread_notifications=True).passes_everything
    assert not event_filter(types=["*"]).passes_everything
    assert not event_filter(related_by_rel_types=["m.thread"]).passes_everything
    for name in ("types", "senders", "rooms"):
        assert event_filter(**{name: []}).passes_nothing
    assert not event_filter(not_types=[]).passes_nothing


def test_remembering_types_has_an_end() -> None:
    compiled = event_filter(types=["m.1*"])
    assert sum(compiled.wants_type(f"m.{number}") for number in range(5000)) == 1111
    assert sum(compiled.wants_type(f"m.{number}") for number in range(5000)) == 1111


@pytest.mark.parametrize(
    ("fields", "relations", "expected"),
    [
        ({}, [], True),
        ({"related_by_rel_types": ["m.thread"]}, [], False),
        ({"related_by_rel_types": ["m.thread"]}, [("m.thread", BOB)], True),
        ({"related_by_rel_types": ["m.thread"]}, [("m.replace", BOB)], False),
        ({"related_by_senders": [ALICE]}, [("m.thread", ALICE)], True),
        ({"related_by_senders": [ALICE], "related_by_rel_types": ["x"]}, [("m.thread", ALICE), ("x", BOB)], False),
        ({"related_by_senders": [ALICE], "related_by_rel_types": ["x"]}, [("x", BOB), ("x", ALICE)], True),
    ],
)
def test_relations(fields: dict[str, Any], relations: list[tuple[str, str]], expected: bool) -> None:
    compiled = event_filter(**fields)
    assert compiled.wants_relations(relations) is expected
    assert compiled.asks_for_relations is bool(fields)


def test_a_whole_filter() -> None:
    compiled = filters.parse_filter(
        {
            "event_fields": ["type", "content"],
            "event_format": "federation",
            "presence": {"types": ["m.presence"], "not_senders": [ALICE]},
            "account_data": {"types": ["m.direct"]},
            "room": {
                "rooms": [ROOM, OTHER],
                "not_rooms": [OTHER],
                "include_leave": True,
                "state": {"types": ["m.room.*"], "lazy_load_members": True, "include_redundant_members": True},
                "timeline": {"limit": 5, "unread_thread_notifications": True},
                "ephemeral": {"types": []},
                "account_data": {"not_types": ["m.tag"]},
            },
        }
    )
    assert compiled.event_format == "federation"
    assert compiled.include_leave
    assert compiled.lazy_load_members
    assert compiled.include_redundant_members
    assert compiled.unread_thread_notifications
    assert [compiled.wants_room(room) for room in (ROOM, OTHER, "!x:y")] == [True, False, False]
    assert compiled.presence.wants("m.presence", BOB)
    assert not compiled.presence.wants("m.presence", ALICE)
    assert compiled.account_data.wants("m.direct", None)
    assert not compiled.account_data.wants("m.push_rules", None)
    assert compiled.room_ephemeral.passes_nothing
    assert not compiled.room_account_data.wants("m.tag", None)
    assert compiled.room_timeline.limit(10, 50) == 5
    assert compiled.room_state.wants("m.room.topic", ALICE)
    assert not compiled.room_state.wants("m.other", ALICE)


def test_no_filter_wants_everything_but_left_rooms() -> None:
    assert EVERYTHING.wants_room(ROOM)
    assert EVERYTHING.event_format == "client"
    assert EVERYTHING.event_fields is None
    for switch in ("include_leave", "lazy_load_members", "unread_thread_notifications", "include_redundant_members"):
        assert getattr(EVERYTHING, switch) is False
    for part in ("presence", "account_data", "room_ephemeral", "room_state", "room_timeline", "room_account_data"):
        assert getattr(EVERYTHING, part).passes_everything
    assert filters.parse_filter({"room": None, "presence": None}).presence.passes_everything


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ([], {}),
        (["type"], {"type": "m.room.message"}),
        (["content.body", "sender"], {"content": {"body": "hi"}, "sender": ALICE}),
        (["content.body", "content"], {"content": EVENT["content"]}),
        (["content", "content.body"], {"content": EVENT["content"]}),
        (["content.body.deep"], {"content": {}}),
        (["type.deep"], {}),
        (["missing", "unsigned.missing"], {"unsigned": {}}),
        ([r"content.m\.relates_to.rel_type"], {"content": {"m.relates_to": {"rel_type": "m.thread"}}}),
        (["content.m.relates_to"], {"content": {}}),
        (["", ".", "content."], {"content": {}}),
    ],
)
def test_event_fields(fields: list[str], expected: dict[str, Any]) -> None:
    chosen = filters.parse_filter({"event_fields": fields}).event_fields
    assert chosen is not None
    before = json.dumps(EVENT)
    assert chosen.of(EVENT) == expected
    assert json.dumps(EVENT) == before


BAD: list[Any] = [
    None,
    [],
    "x",
    5,
    {"room": []},
    {"room": {"state": {"types": "m.room.member"}}},
    {"room": {"state": {"types": [1]}}},
    {"room": {"state": {"senders": ["alice"]}}},
    {"room": {"timeline": {"limit": "10"}}},
    {"room": {"timeline": {"limit": True}}},
    {"room": {"timeline": {"not_rooms": ["room"]}}},
    {"room": {"rooms": ["#alias:example.org"]}},
    {"room": {"rooms": {}}},
    {"room": {"include_leave": "yes"}},
    {"room": {"state": {"lazy_load_members": 1}}},
    {"event_format": "xml"},
    {"event_format": 1},
    {"event_fields": "type"},
    {"event_fields": [None]},
    {"event_fields": ["x"] * (MAX_ENTRIES + 1)},
    {"presence": {"not_types": ["x"] * (MAX_ENTRIES + 1)}},
    {"presence": {"types": ["x"] * (MAX_ENTRIES + 1)}},
    {"presence": {"senders": ["@x"] * (MAX_ENTRIES + 1)}},
    {"account_data": {"contains_url": "x"}},
    {"account_data": {"related_by_senders": ["x"]}},
]


@pytest.mark.parametrize("value", BAD, ids=lambda value: str(value)[:40])
def test_what_is_no_filter(value: Any) -> None:
    with pytest.raises(BadJson):
        filters.parse_filter(value)
    with pytest.raises(BadJson):
        filters.decode_filter(json.dumps(value))


@pytest.mark.parametrize("text", ["", "{", "nonsense", '{"limit": NaN}', "[" * 100_000, '{"x":' * 100_000, "\ud800"])
def test_what_is_not_even_json(text: str) -> None:
    with pytest.raises((NotJson, BadJson)):
        filters.decode_filter(text)
    with pytest.raises((NotJson, BadJson)):
        filters.decode_event_filter(text)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
names = st.lists(
    st.sampled_from(["m.*", "*", ALICE, ROOM, "m.room.message", "@", "!"]) | st.text(max_size=6), max_size=3
)
event_filters = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(("types", "not_types", "senders", "not_senders", "rooms", "not_rooms"), names | anything),
        **dict.fromkeys(("limit", "contains_url", "lazy_load_members", "related_by_senders"), anything),
    },
)
whole_filters = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(("presence", "account_data"), event_filters | anything),
        "event_fields": names | anything,
        "event_format": st.sampled_from(["client", "federation"]) | anything,
        "room": st.fixed_dictionaries({}, optional=dict.fromkeys(("state", "timeline"), event_filters)) | anything,
    },
)


@given(whole_filters | anything, anything)
def test_hostile_filters_are_compiled_or_refused(value: Any, content: Any) -> None:
    try:
        compiled = filters.parse_filter(value)
    except BadJson:
        return
    for event in (EVENT, {"type": content, "sender": content, "content": content, "room_id": content}):
        assert compiled.room_timeline.matches_event(event) in (True, False)
        assert compiled.event_fields is None or set(compiled.event_fields.of(event)) <= set(event)
    assert 1 <= compiled.room_timeline.limit(10, 50) <= 50


@given(event_filters)
def test_an_exclusion_never_lets_more_through(value: dict[str, Any]) -> None:
    try:
        narrow, wide = (
            filters.parse_event_filter(value),
            filters.parse_event_filter({key: each for key, each in value.items() if not key.startswith("not_")}),
        )
    except BadJson:
        return
    assert wide.matches_event(EVENT) or not narrow.matches_event(EVENT)
