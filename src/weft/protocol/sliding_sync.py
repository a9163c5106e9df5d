"""What a client asks of sliding sync: which rooms, and what of each. Values, and how they combine.

Clients of today write it as the experiment did (`["m.room.member", "$LAZY"]`), the proposal in another way
(`{"include": […], "lazy_members": true}`). Both mean a `RoomConfig` here.

https://github.com/matrix-org/matrix-spec-proposals/blob/main/proposals/4186-simplified-sliding-sync.md
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import msgspec

from weft.protocol.event import StateKey
from weft.protocol.identifiers import is_opaque_identifier

ANY: Final = "*"
_LAZY: Final = "$LAZY"
_ME: Final = "$ME"
_MEMBER: Final = "m.room.member"
#: How many places may be named in one `required_state`: more is no list but a mistake.
MAX_ELEMENTS: Final = 1_000

#: A type and a state key; `ANY` in either matches everything.
Element = tuple[str, str]


class Selection(msgspec.Struct, frozen=True, array_like=True):
    """State in any place of `include` and none of `exclude`."""

    include: frozenset[Element] = frozenset()
    exclude: frozenset[Element] = frozenset()

    def matches(self, key: StateKey) -> bool:
        return _is_in(key, self.include) and not (self.exclude and _is_in(key, self.exclude))


class RequiredState(msgspec.Struct, frozen=True, array_like=True):
    """State that any of the selections matches; and with `lazy`, the members that the timeline needs.

    Where members are loaded lazily, only a selection that names a member's user (or all members, by their type)
    matches a member.
    """

    selections: frozenset[Selection] = frozenset()
    lazy: bool = False

    def matches(self, key: StateKey) -> bool:
        if self.lazy and key[0] == _MEMBER:
            return any((_MEMBER, key[1]) in one.include and one.matches(key) for one in self.selections)
        return any(one.matches(key) for one in self.selections)

    def __or__(self, other: RequiredState) -> RequiredState:
        """What either asks for. Lazy only if nobody wants all members."""
        both = RequiredState(_merged([*self.selections, *other.selections]))
        every = (self, other)
        lazy = any(one.lazy for one in every) and not any(one.wants_every_member for one in every)
        return RequiredState(both.selections, lazy)

    @property
    def wants_every_member(self) -> bool:
        return not self.lazy and any(one.matches((_MEMBER, "@:")) for one in self.selections)

    def of(self, state: Mapping[StateKey, str]) -> dict[StateKey, str]:
        """The part of a state that is asked for. Costs as much as is named, but for wildcards."""
        found: dict[StateKey, str] = {}
        if any(ANY in element for one in self.selections for element in one.include):
            for key, event_id in state.items():
                if self.matches(key):
                    found[key] = event_id
            return found
        for one in self.selections:
            for key in one.include:
                named = state.get(key)
                if named is not None and one.matches(key):
                    found[key] = named
        return found


class RoomConfig(msgspec.Struct, frozen=True, array_like=True):
    """What is told of a room: so many events of its timeline, and this of its state."""

    timeline_limit: int = 0
    required_state: RequiredState = RequiredState()

    def __or__(self, other: RoomConfig) -> RoomConfig:
        if self == other:
            return self
        return RoomConfig(max(self.timeline_limit, other.timeline_limit), self.required_state | other.required_state)


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomFilters:
    """Which of the user's rooms a list is of; None where that doesn't matter. Room types: None is that of most."""

    is_dm: bool | None = None
    is_encrypted: bool | None = None
    is_invited: bool | None = None
    spaces: frozenset[str] | None = None
    room_types: frozenset[str | None] | None = None
    not_room_types: frozenset[str | None] = frozenset()
    tags: frozenset[str] | None = None
    not_tags: frozenset[str] = frozenset()

    @property
    def asks_for_types(self) -> bool:
        return self.room_types is not None or bool(self.not_room_types)

    def wants_type(self, room_type: str | None) -> bool:
        if room_type in self.not_room_types:
            return False
        return self.room_types is None or room_type in self.room_types

    def wants_tags(self, tags: Collection[str]) -> bool:
        if not self.not_tags.isdisjoint(tags):
            return False
        return self.tags is None or not self.tags.isdisjoint(tags)


def required_state_of(elements: Iterable[Element], user_id: str) -> RequiredState:
    """The experiment's spelling: `$ME` is the user, and a member `$LAZY` asks for lazy members."""
    include: set[Element] = set()
    lazy = False
    for event_type, state_key in elements:
        if state_key == _LAZY:
            lazy = lazy or event_type == _MEMBER
        else:
            include.add((event_type, user_id if state_key == _ME else state_key))
    return RequiredState(frozenset({Selection(frozenset(include))} if include else ()), lazy)


def is_valid_list_key(key: str) -> bool:
    """Whether a list may have this name: an opaque identifier."""
    return is_opaque_identifier(key)


def within(ranges: Iterable[tuple[int, int]] | None, count: int) -> Iterator[int]:
    """The indexes that ranges (ends included; they may overlap) select of `count` entries; None selects all."""
    if ranges is None:
        yield from range(count)
        return
    told = 0
    for first, last in sorted(ranges):
        yield from range(max(first, told), min(last + 1, count))
        told = max(told, last + 1)


def _is_in(key: StateKey, elements: Collection[Element]) -> bool:
    return key in elements or (key[0], ANY) in elements or (ANY, key[1]) in elements or (ANY, ANY) in elements


def _merged(selections: Iterable[Selection]) -> frozenset[Selection]:
    """Those that exclude nothing are one."""
    plain: set[Element] = set()
    others: set[Selection] = set()
    for one in selections:
        if one.exclude:
            others.add(one)
        else:
            plain |= one.include
    return frozenset({*others, Selection(frozenset(plain))} if plain else others)
