"""Searching in the rooms that one is or was in.

What is found is looked at with the searcher's eyes before it is told, counted or paged over: neither a hidden event
nor how many there are shows.

https://spec.matrix.org/v1.19/client-server-api/#server-side-search
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import msgspec

from weft.http.call import Requester
from weft.modules.events import Sight, Viewer
from weft.modules.events.user_rooms import UserRooms
from weft.modules.history.service import Context, History
from weft.modules.membership.viewing import View
from weft.modules.search import store, tokens
from weft.modules.search.index import Index
from weft.modules.search.looking import Looker, Result
from weft.modules.search.store import Find, Key, Match
from weft.modules.search.tokens import Continuation
from weft.modules.search.words import wanted_by
from weft.protocol.api.client import search as api
from weft.protocol.errors import Forbidden
from weft.protocol.filters import EVERY_EVENT, EventFilter, parse_event_filter
from weft.rooms.engine import Engine

DEFAULT_LIMIT, MAX_LIMIT = 10, 100
_MAX_CONTEXT = 50
_BATCH = 100
_MAX_LOOKED_AT = 1_000
#: Rooms whose matches are counted.
_MAX_COUNTED = 200
_KEYS: Final[dict[api.SearchKey, Key]] = {
    "content.body": "body",
    "content.name": "name",
    "content.topic": "topic",
}


@dataclass(slots=True)
class _Found:
    """What a search has come to. `looked_at` are the matches that were looked at, in order."""

    results: list[Result] = field(default_factory=list)
    looked_at: list[Match] = field(default_factory=list)
    more: bool = True


class Search:
    def __init__(
        self, engine: Engine, index: Index, history: History, *, user_rooms: UserRooms, sight: Sight, enabled: bool
    ) -> None:
        self._engine = engine
        self._index = index
        self._history = history
        self._user_rooms = user_rooms
        self._sight = sight
        self._enabled = enabled

    async def room_events(
        self, requester: Requester, criteria: api.RoomEventsCriteria, next_batch: str | None
    ) -> api.RoomEventResults:
        """A page of matches. Raises `Forbidden` where this server does not search."""
        if not self._enabled:
            raise Forbidden("Search is switched off on this server.")
        start = tokens.parse(next_batch) if next_batch is not None else Continuation()
        chosen = parse_event_filter(criteria.filter) if criteria.filter else EVERY_EVENT
        wanted = wanted_by(criteria.search_term)
        viewer = await self._history.viewer(requester)
        await self._index.caught_up()
        find = Find(
            words=wanted.words,
            keys=list(dict.fromkeys(_KEYS[key] for key in (_KEYS if criteria.keys is None else criteria.keys))),
            rooms=await self._rooms(viewer, chosen),
            ignored=viewer.ignored,
        )
        if not (find.words and find.keys and find.rooms):
            return api.RoomEventResults(count=0, highlights=[], results=[])
        scope = await self._within(find, start)
        looker = Looker(self._engine, self._history, self._sight, viewer.user_id, chosen)
        limit = chosen.limit(DEFAULT_LIMIT, MAX_LIMIT)
        found = await self._look(looker, scope, start, criteria.order_by == "recent", limit)
        return api.RoomEventResults(
            count=max(await self._count(looker, find, found), len(found.results)),
            highlights=wanted.shown,
            results=await self._told(found.results, criteria, viewer),
            state=await self._states(found.results, viewer) if criteria.include_state else None,
            groups=_groups(found, criteria, start),
            next_batch=tokens.spell(_after(found.looked_at, start)) if found.more else None,
        )

    async def _rooms(self, viewer: Viewer, chosen: EventFilter) -> list[int]:
        """The rooms that the user is or was in, as the filter wants them, by number."""
        seats = await self._user_rooms.of(viewer.user_id)
        return [
            seat.number
            for room_id, seat in seats.items()
            if seat.membership in ("join", "leave", "ban") and not seat.forgotten and chosen.wants_room(room_id)
        ]

    async def _within(self, find: Find, start: Continuation) -> Find:
        """The search within the group that a token names."""
        if start.group is None:
            return find
        key, value = start.group
        if key == "sender":
            return replace(find, sender=value)
        room = await self._engine.rooms.find(value)
        return replace(find, rooms=[room.number] if room is not None and room.number in find.rooms else [])

    async def _look(self, looker: Looker, find: Find, start: Continuation, recent: bool, limit: int) -> _Found:
        """Goes through the matches until there are enough that the user may see."""
        found = _Found(more=bool(find.rooms))
        while found.more and len(found.results) < limit and len(found.looked_at) < _MAX_LOOKED_AT:
            here = _after(found.looked_at, start)
            if recent:
                matches = await self._engine.database.read(store.newest, find, _BATCH, here.last)
            else:
                matches = await self._engine.database.read(store.best, find, _BATCH, here.offset)
            visible = await looker.visible(matches)
            for index, match in enumerate(matches):
                found.looked_at.append(match)
                if match.event_id in visible:
                    found.results.append(visible[match.event_id])
                if len(found.results) == limit:
                    found.more = index + 1 < len(matches) or len(matches) == _BATCH
                    return found
            found.more = len(matches) == _BATCH
        return found

    async def _count(self, looker: Looker, find: Find, found: _Found) -> int:
        """About how many matches there are: all in rooms whose whole history is the user's to see; else those seen."""
        total = 0
        for result in found.results:
            total += not await looker.is_open(result.view)
        counted = await self._engine.database.read(store.counts, find)
        for number, count in list(counted.items())[:_MAX_COUNTED]:
            view = await looker.view(await self._engine.rooms.room_id(number))
            if view is not None and await looker.is_open(view):
                total += count
        return total

    # -- the answer

    async def _told(
        self, results: Sequence[Result], criteria: api.RoomEventsCriteria, viewer: Viewer
    ) -> list[api.SearchResult]:
        told: list[api.SearchResult] = []
        for result in results:
            formed = (await self._history.formed(result.view.room, [result.seen], viewer))[0]
            around = await self._context(result, criteria.event_context, viewer) if criteria.event_context else None
            told.append(api.SearchResult(rank=result.match.rank, result=msgspec.Raw(formed), context=around))
        return told

    async def _context(self, result: Result, config: api.EventContextConfig, viewer: Viewer) -> api.EventContextResult:
        before, after = min(config.before_limit, _MAX_CONTEXT), min(config.after_limit, _MAX_CONTEXT)
        context = await self._history.context(result.view, result.seen, viewer, before, after)
        formed = await self._history.formed(result.view.room, [*context.before, *context.after], viewer)
        told = [msgspec.Raw(one) for one in formed]
        return api.EventContextResult(
            events_before=told[: len(context.before)],
            events_after=told[len(context.before) :],
            start=context.start.spell(),
            end=context.end.spell(),
            profile_info=await self._profiles(result.view, context) if config.include_profile else None,
        )

    async def _profiles(self, view: View, context: Context) -> dict[str, api.UserProfile]:
        """What those who speak were called at the time."""
        snapshot = context.last.snapshot
        if snapshot is None:
            return {}
        senders = {one.stored.event.sender for one in context.all}
        members = await self._history.states.members_at(view.room, snapshot, senders)
        return {user_id: _profile(stored.event.content) for user_id, stored in members.items()}

    async def _states(self, results: Iterable[Result], viewer: Viewer) -> dict[str, list[msgspec.Raw]]:
        """The state of each room that has results, as the user may see it."""
        states: dict[str, list[msgspec.Raw]] = {}
        for view in {result.view.room.id: result.view for result in results}.values():
            found = await self._engine.rooms.events(list(view.state.state.values()))
            formed = self._history.states.bytes_of(found.values(), viewer)
            states[view.room.id] = [msgspec.Raw(one) for one in formed]
        return states


def _after(looked_at: Sequence[Match], start: Continuation) -> Continuation:
    """Where the search goes on."""
    if not looked_at:
        return start
    last = looked_at[-1]
    return Continuation(start.offset + len(looked_at), (last.origin_server_ts, last.position), start.group)


def _groups(
    found: _Found, criteria: api.RoomEventsCriteria, start: Continuation
) -> dict[api.GroupKey, dict[str, api.GroupValue]]:
    """The results by room or by sender, in the order of each group's first one."""
    keys = [group.key for group in (criteria.groupings.group_by if criteria.groupings else None) or []]
    recent = criteria.order_by == "recent"
    groups: dict[api.GroupKey, dict[str, api.GroupValue]] = {}
    for key in keys:
        if key is None:
            continue
        values: dict[str, list[Result]] = {}
        for result in found.results:
            event = result.seen.stored.event
            values.setdefault(event.room_id if key == "room_id" else event.sender, []).append(result)
        groups[key] = {
            value: api.GroupValue(
                order=order,
                results=[result.match.event_id for result in results],
                next_batch=_group_token(found, key, value, start, recent) if found.more else None,
            )
            for order, (value, results) in enumerate(values.items(), 1)
        }
    return groups


def _group_token(found: _Found, key: api.GroupKey, value: str, start: Continuation, recent: bool) -> str | None:
    """Where a search within one group goes on."""
    if start.group not in (None, (key, value)):
        return None
    if start.group is None and start.offset and not recent:
        # How many of the matches on earlier pages were of this group is not known any more.
        return None
    inside = [match for match in found.looked_at if (match.room_id if key == "room_id" else match.sender) == value]
    return tokens.spell(_after(inside, Continuation(start.offset if start.group else 0, None, (key, value))))


def _profile(content: Mapping[str, Any]) -> api.UserProfile:
    name, picture = content.get("displayname"), content.get("avatar_url")
    return api.UserProfile(
        displayname=name if isinstance(name, str) else None,
        avatar_url=picture if isinstance(picture, str) and picture.startswith("mxc://") else None,
    )
