"""What one request asks for, read: lists and subscriptions as values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec

from weft.modules.sync.timeline import MAX_LIMIT
from weft.protocol.api.client import sliding_sync as api
from weft.protocol.errors import InvalidParam
from weft.protocol.sliding_sync import (
    ANY,
    MAX_ELEMENTS,
    RequiredState,
    RoomConfig,
    RoomFilters,
    Selection,
    is_valid_list_key,
    required_state_of,
)

Ranges = Sequence[tuple[int, int]]


@dataclass(frozen=True, slots=True)
class ListOfRooms:
    """`ranges` None: all rooms that the filters let through."""

    config: RoomConfig
    filters: RoomFilters
    ranges: Ranges | None


@dataclass(frozen=True, slots=True)
class Rules:
    lists: Mapping[str, ListOfRooms]
    subscriptions: Mapping[str, RoomConfig]
    #: The same as bytes: whether two requests ask for the same.
    spelled: bytes


def read(args: api.SlidingSyncRequest, user_id: str) -> Rules:
    """Raises `InvalidParam`."""
    if max(len(args.lists), len(args.room_subscriptions)) > api.MAX_RULES:
        raise InvalidParam(f"There may be at most {api.MAX_RULES} lists and as many subscriptions.")
    bad = next((name for name in args.lists if not is_valid_list_key(name)), None)
    if bad is not None:
        raise InvalidParam("The name of a list is made of a-z, A-Z, 0-9 and the characters . _ ~ -")
    return Rules(
        {name: _list(rule, user_id) for name, rule in args.lists.items()},
        {room_id: _config(rule, user_id) for room_id, rule in args.room_subscriptions.items()},
        msgspec.json.encode((args.lists, args.room_subscriptions)),
    )


def _list(rule: api.ListRule, user_id: str) -> ListOfRooms:
    ranges: Ranges | None = rule.ranges
    if rule.range is not None:
        ranges = [rule.range]
    if any(first > last for first, last in ranges or ()):
        raise InvalidParam("A range begins before it ends.")
    return ListOfRooms(_config(rule, user_id), _filters(rule.filters or api.RoomFilter()), ranges)


def _config(rule: api.RoomRule, user_id: str) -> RoomConfig:
    return RoomConfig(min(rule.timeline_limit, MAX_LIMIT), _required(rule.required_state, user_id))


def _required(given: list[tuple[str, str]] | api.RequiredStateRequest, user_id: str) -> RequiredState:
    if isinstance(given, list):
        return required_state_of(given, user_id)
    if len(given.include) + len(given.exclude) > MAX_ELEMENTS:
        raise InvalidParam("That is too much required state to name.")
    chosen = Selection(_elements(given.include), _elements(given.exclude))
    return RequiredState(frozenset({chosen} if chosen.include else ()), given.lazy_members)


def _elements(given: Sequence[api.RequiredStateElement]) -> frozenset[tuple[str, str]]:
    return frozenset(
        (ANY if one.type is None else one.type, ANY if one.state_key is None else one.state_key) for one in given
    )


def _filters(given: api.RoomFilter) -> RoomFilters:
    return RoomFilters(
        is_dm=given.is_dm,
        is_encrypted=given.is_encrypted,
        is_invited=given.is_invited if given.is_invited is not None else given.is_invite,
        spaces=frozenset(given.spaces) if given.spaces is not None else None,
        room_types=frozenset(given.room_types) if given.room_types is not None else None,
        not_room_types=frozenset(given.not_room_types or ()),
        tags=frozenset(given.tags) if given.tags is not None else None,
        not_tags=frozenset(given.not_tags or ()),
    )
