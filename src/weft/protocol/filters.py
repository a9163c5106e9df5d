"""Filters: which events and rooms a client asked for, and which fields of them.

A filter arrives as hostile JSON and is compiled once; `Filter` and `EventFilter` are then asked for every event, and
should not cost anything where the client asked for everything (`passes_everything`).

A list that is absent or null includes all, an empty one includes nothing, and what a `not_…` list names is excluded
whatever else says. Keys that the specification doesn't name are ignored.

Rules: https://spec.matrix.org/v1.19/client-server-api/#filtering
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any, Final, Literal, TypeVar

import msgspec

from weft.protocol import globs
from weft.protocol.errors import BadJson, NotJson
from weft.protocol.property_paths import Path, parse_path

#: Of any list in a filter.
MAX_ENTRIES: Final = 2000
#: Event types whose answer an `EventFilter` remembers.
_MAX_REMEMBERED: Final = 1000

EventFormat = Literal["client", "federation"]
_Names = list[str] | None
_ShapeT = TypeVar("_ShapeT", bound="_EventFilterJson | _FilterJson")


# As clients write them


class _EventFilterJson(msgspec.Struct, frozen=True):
    """`EventFilter` and `RoomEventFilter` in one: where the latter's keys mean nothing they are ignored."""

    limit: int | float | None = None
    types: _Names = None
    not_types: _Names = None
    senders: _Names = None
    not_senders: _Names = None
    rooms: _Names = None
    not_rooms: _Names = None
    contains_url: bool | None = None
    lazy_load_members: bool | None = None
    include_redundant_members: bool | None = None
    unread_thread_notifications: bool | None = None
    related_by_senders: _Names = None
    related_by_rel_types: _Names = None


class _RoomFilterJson(msgspec.Struct, frozen=True):
    rooms: _Names = None
    not_rooms: _Names = None
    include_leave: bool | None = None
    ephemeral: _EventFilterJson | None = None
    state: _EventFilterJson | None = None
    timeline: _EventFilterJson | None = None
    account_data: _EventFilterJson | None = None


class _FilterJson(msgspec.Struct, frozen=True):
    event_fields: _Names = None
    event_format: EventFormat | None = None
    presence: _EventFilterJson | None = None
    account_data: _EventFilterJson | None = None
    room: _RoomFilterJson | None = None


# Compiled


class EventFilter:
    """Which events of one part of a response are wanted."""

    __slots__ = (
        "_limit",
        "_memory",
        "_not_senders",
        "_senders",
        "_wants_type",
        "contains_url",
        "include_redundant_members",
        "lazy_load_members",
        "passes_everything",
        "passes_nothing",
        "related_by_rel_types",
        "related_by_senders",
        "unread_thread_notifications",
        "wants_room",
    )

    def __init__(self, given: _EventFilterJson) -> None:
        """Raises `BadJson`."""
        self._limit = given.limit
        self._wants_type = _type_test(_entries(given.types), _entries(given.not_types) or [])
        self._memory: dict[str, bool] = {}
        self._senders = _names(given.senders, "@")
        self._not_senders = _names(given.not_senders, "@") or frozenset()
        #: Whether events of a room (by id) may be wanted.
        self.wants_room = _room_test(given.rooms, given.not_rooms)
        #: True or False asks for events with or without a `url` in their content.
        self.contains_url = given.contains_url
        self.lazy_load_members = given.lazy_load_members is True
        self.include_redundant_members = given.include_redundant_members is True
        self.unread_thread_notifications = given.unread_thread_notifications is True
        #: Asks for events to which others relate; see `wants_relations`. None where that doesn't matter.
        self.related_by_senders = _names(given.related_by_senders, "@")
        self.related_by_rel_types = _names(given.related_by_rel_types)
        #: Every event of every room is wanted, so that asking can be left out.
        self.passes_everything = given == _EventFilterJson(
            limit=given.limit,
            lazy_load_members=given.lazy_load_members,
            include_redundant_members=given.include_redundant_members,
            unread_thread_notifications=given.unread_thread_notifications,
        )
        #: No event can be wanted, so that looking for any can be left out.
        self.passes_nothing = [] in (given.types, given.senders, given.rooms)

    def limit(self, default: int, maximum: int) -> int:
        """How many events to give at most: what the client asked for, within 1 and `maximum`."""
        return default if self._limit is None else int(max(1, min(self._limit, maximum)))

    def wants_type(self, event_type: str) -> bool:
        wanted = self._memory.get(event_type)
        if wanted is None:
            wanted = self._wants_type(event_type)
            if len(self._memory) < _MAX_REMEMBERED:
                self._memory[event_type] = wanted
        return wanted

    def wants_sender(self, sender: str | None) -> bool:
        """None is the sender of what nobody sent, which no list of senders includes or excludes."""
        return (self._senders is None or sender in self._senders) and sender not in self._not_senders

    def wants(self, event_type: str, sender: str | None, *, has_url: bool = False) -> bool:
        """Whether an event is wanted, if its room is. `has_url` says whether its content has the key `url`."""
        return self.passes_everything or (
            self.wants_type(event_type)
            and self.wants_sender(sender)
            and (self.contains_url is None or self.contains_url is has_url)
        )

    def matches_event(self, event: Mapping[str, Any]) -> bool:
        """The same for an event as JSON, of a room or not; its room is asked for too if it names one."""
        if self.passes_everything:
            return True
        content, room_id, sender = event.get("content"), event.get("room_id"), event.get("sender")
        has_url = isinstance(content, Mapping) and "url" in content
        return self.wants(str(event.get("type")), sender if isinstance(sender, str) else None, has_url=has_url) and (
            not isinstance(room_id, str) or self.wants_room(room_id)
        )

    @property
    def asks_for_relations(self) -> bool:
        return self.related_by_senders is not None or self.related_by_rel_types is not None

    def wants_relations(self, relations: Iterable[tuple[str, str]]) -> bool:
        """Whether an event to which others relate (each as its `rel_type` and its sender) is wanted.

        https://github.com/matrix-org/matrix-spec-proposals/blob/main/proposals/3440-threading-via-relations.md
        """
        return not self.asks_for_relations or any(
            (self.related_by_rel_types is None or rel_type in self.related_by_rel_types)
            and (self.related_by_senders is None or sender in self.related_by_senders)
            for rel_type, sender in relations
        )


class Filter:
    """A whole filter, as `/sync` takes it."""

    __slots__ = (
        "account_data",
        "event_fields",
        "event_format",
        "include_leave",
        "presence",
        "room_account_data",
        "room_ephemeral",
        "room_state",
        "room_timeline",
        "wants_room",
    )

    def __init__(self, given: _FilterJson) -> None:
        """Raises `BadJson`."""
        room = given.room or _RoomFilterJson()
        self.presence = EventFilter(given.presence or _EventFilterJson())
        self.account_data = EventFilter(given.account_data or _EventFilterJson())
        self.room_ephemeral = EventFilter(room.ephemeral or _EventFilterJson())
        self.room_state = EventFilter(room.state or _EventFilterJson())
        self.room_timeline = EventFilter(room.timeline or _EventFilterJson())
        self.room_account_data = EventFilter(room.account_data or _EventFilterJson())
        #: Whether anything of a room (by id) is wanted; asked before the filters of its parts.
        self.wants_room = _room_test(room.rooms, room.not_rooms)
        self.include_leave = room.include_leave is True
        self.event_format: EventFormat = given.event_format or "client"
        fields = _entries(given.event_fields)
        #: Which fields of events to give; None for all.
        self.event_fields = None if fields is None else EventFields(fields)

    @property
    def lazy_load_members(self) -> bool:
        return self.room_state.lazy_load_members

    @property
    def include_redundant_members(self) -> bool:
        return self.room_state.include_redundant_members

    @property
    def unread_thread_notifications(self) -> bool:
        return self.room_timeline.unread_thread_notifications


class EventFields:
    """A choice of fields, each a dot-separated path."""

    __slots__ = ("_wanted",)

    def __init__(self, paths: Iterable[str]) -> None:
        self._wanted: _Tree = {}
        for path in sorted((parse_path(path) for path in paths), key=len):
            _plant(self._wanted, path)

    def of(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """A copy of the event with just these fields; what is not there is not made up."""
        return _pick(event, self._wanted)


# Names within names; None is a field that is wanted whole.
_Tree = dict[str, "_Tree | None"]


def _plant(tree: _Tree, path: Path) -> None:
    """Shorter paths come first: within a field that is wanted whole nothing needs to be said."""
    *parents, last = path
    for name in parents:
        inner = tree.setdefault(name, {})
        if inner is None:
            return
        tree = inner
    tree[last] = None


def _pick(value: Mapping[str, Any], wanted: _Tree) -> dict[str, Any]:
    picked: dict[str, Any] = {}
    for name, inner in wanted.items():
        if name not in value:
            continue
        if inner is None:
            picked[name] = value[name]
        elif isinstance(value[name], Mapping):
            picked[name] = _pick(value[name], inner)
    return picked


# Reading


def parse_filter(value: object) -> Filter:
    """Compiles a filter that is parsed JSON. Raises `BadJson`."""
    return Filter(_convert(value, _FilterJson))


def parse_event_filter(value: object) -> EventFilter:
    """Compiles an event filter that is parsed JSON, as in searches. Raises `BadJson`."""
    return EventFilter(_convert(value, _EventFilterJson))


@lru_cache(maxsize=128)
def decode_filter(text: str) -> Filter:
    """Reads and compiles a filter that stands in a query. Raises `NotJson` or `BadJson`."""
    return Filter(_decode(text, _FilterJson))


@lru_cache(maxsize=128)
def decode_event_filter(text: str) -> EventFilter:
    """The same for the event filter that `/messages` and `/context` take."""
    return EventFilter(_decode(text, _EventFilterJson))


def _convert(value: object, shape: type[_ShapeT]) -> _ShapeT:
    try:
        return msgspec.convert(value, shape)
    except msgspec.ValidationError as error:
        raise BadJson(f"The filter is not valid: {error}.") from None


def _decode(text: str, shape: type[_ShapeT]) -> _ShapeT:
    try:
        return msgspec.json.decode(text, type=shape)
    except msgspec.ValidationError as error:
        raise BadJson(f"The filter is not valid: {error}.") from None
    except (ValueError, RecursionError):
        raise NotJson("The filter is not valid JSON.") from None


def _entries(names: _Names) -> _Names:
    if names is not None and len(names) > MAX_ENTRIES:
        raise BadJson(f"A list in a filter has at most {MAX_ENTRIES} entries.")
    return names


def _names(names: _Names, sigil: str = "") -> frozenset[str] | None:
    if _entries(names) is None:
        return None
    found = frozenset(names or ())
    if not all(name.startswith(sigil) for name in found):
        raise BadJson(f"The filter is not valid: ids in this list start with {sigil!r}.")
    return found


def _type_test(types: _Names, not_types: list[str]) -> Callable[[str], bool]:
    included = [globs.star_matcher(pattern) for pattern in set(types or ())]
    excluded = [globs.star_matcher(pattern) for pattern in set(not_types)]

    def test(event_type: str) -> bool:
        if types is not None and not any(matches(event_type) for matches in included):
            return False
        return not any(matches(event_type) for matches in excluded)

    return test


def _room_test(rooms: _Names, not_rooms: _Names) -> Callable[[str], bool]:
    included, excluded = _names(rooms, "!"), _names(not_rooms, "!") or frozenset()
    if included is not None:
        return (included - excluded).__contains__
    return lambda room_id: room_id not in excluded


#: What holds where a client sends no filter.
EVERYTHING: Final = parse_filter({})
EVERY_EVENT: Final = parse_event_filter({})
