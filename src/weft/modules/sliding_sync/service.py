"""Answers sliding sync: finds the rooms that the request asks for and tells what is new in them, or waits.

https://github.com/matrix-org/matrix-spec-proposals/blob/main/proposals/4186-simplified-sliding-sync.md
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import orjson

from weft.http.call import Requester
from weft.modules.events import Viewer
from weft.modules.events.user_rooms import Seat, UserRooms
from weft.modules.receipts.store import KIND as RECEIPT
from weft.modules.receipts.store import PRIVATE_KIND as PRIVATE_RECEIPT
from weft.modules.sliding_sync.connections import OUTSIDE, Changes, Connection, Connections, Position, Settled
from weft.modules.sliding_sync.extensions import ExtensionParts, ExtensionResults, Moment
from weft.modules.sliding_sync.lists import Lists
from weft.modules.sliding_sync.matches import Matches, Wanted
from weft.modules.sliding_sync.room_sections import RoomQuery, RoomSections, Section
from weft.modules.sliding_sync.rules import ListOfRooms, Rules, read
from weft.modules.sliding_sync.store import Told
from weft.modules.sync.answer import json_object
from weft.modules.sync.service import Surroundings
from weft.modules.sync.waking import Waking
from weft.modules.thread_subscriptions.store import KIND as THREAD_SUBSCRIPTION
from weft.protocol.api.client import sliding_sync as api
from weft.protocol.errors import InvalidParam
from weft.protocol.sliding_sync import RoomConfig, within
from weft.rooms.engine import Engine
from weft.storage import events
from weft.storage.events import StoredEvent
from weft.storage.positions import Entry, Vector

_MAX_WAIT_MS: Final = 10 * 60 * 1000
#: Kinds of entries that can change which rooms a list has, in what order, or what is told of a room.
_OF_ROOMS: Final = frozenset({"event", "resolution", "forgotten", "account_data"})
#: The state besides what is asked for that a room's section is made from.
_LOOKED_AT: Final = (("m.room.history_visibility", ""), ("m.room.name", ""), ("m.room.avatar", ""))
#: Kinds that are told by extensions for a room that is shown; of one that is not, they are told when it is again.
_BESIDE_ROOMS: Final = frozenset({RECEIPT, PRIVATE_RECEIPT, THREAD_SUBSCRIPTION, "account_data"})
#: So many rooms are read together.
_AT_ONCE: Final = 50


@dataclass(slots=True, kw_only=True)
class _News:
    """What lies between what the client has and what it will have. `entries` None: not at hand."""

    since: Vector | None
    upto: Vector
    entries: Sequence[Entry] | None
    seats: Mapping[str, Seat]
    #: New events by the room's number, where they are at hand.
    new: Mapping[int, Sequence[StoredEvent]] | None
    #: Rooms in which something happened, by id; and those of which only extensions tell.
    touched: Collection[str]
    beside: Collection[str]


class SlidingSync:
    def __init__(
        self,
        engine: Engine,
        *,
        user_rooms: UserRooms,
        connections: Connections,
        lists: Lists,
        sections: RoomSections,
        extensions: ExtensionParts,
        waking: Waking,
        around: Surroundings,
    ) -> None:
        self._engine = engine
        self._user_rooms = user_rooms
        self._connections = connections
        self._lists = lists
        self._sections = sections
        self._extensions = extensions
        self._waking = waking
        self._around = around

    async def sync(self, requester: Requester, args: api.SlidingSyncRequest) -> bytes:
        """One answer, as JSON. Waits up to `timeout` while there is nothing to tell. Raises `UnknownPosError`."""
        rules = read(args, requester.user_id)
        since: Vector | None = None
        if args.pos is None:
            connection = self._connections.begin(requester, args.conn_id)
        else:
            position = Position.parse(args.pos)
            since = position.cut
            await self._engine.log.catch_up(since)
            connection = await self._connections.resume(requester, args.conn_id, position)
        await self._acknowledge(requester, args.extensions.to_device)
        wait_ms = min(args.timeout, _MAX_WAIT_MS) if since is not None else 0
        await self._around.seen(requester, args.set_presence, wait_ms)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + wait_ms / 1000
        while True:
            await self._waking.ready(requester.user_id, since)
            upto = self._engine.log.head
            remaining = deadline - loop.time()
            is_last = remaining <= 0 or self._engine.log.closed
            async with connection.lock:
                answer = await self._answer(connection, requester, args, rules, since, upto, is_last)
            if answer is not None:
                return answer
            if self._engine.log.head == upto:
                await self._engine.log.wait(requester.user_id, remaining)

    async def _acknowledge(self, requester: Requester, asked: api.ToDeviceConfig) -> None:
        if asked.enabled and asked.since is not None:
            has = Vector.parse(asked.since)
            await self._engine.log.catch_up(has)
            if not self._engine.log.head.covers(has):
                raise InvalidParam("The token of messages to the device is not one that this server made.")
            await self._around.acknowledged(requester, has)

    async def _answer(
        self,
        connection: Connection,
        requester: Requester,
        args: api.SlidingSyncRequest,
        rules: Rules,
        since: Vector | None,
        upto: Vector,
        is_last: bool,
    ) -> bytes | None:
        """The answer; None where there is nothing to tell and it is not the last moment to tell that."""
        news = await self._news(connection, requester.user_id, since, upto)
        changes = Changes()
        rooms: dict[str, Section] = {}
        settled = connection.settled
        if settled is not None and settled.spelled == rules.spelled and not _is_of_rooms(news):
            matches = settled.matches
        else:
            matches = await self._lists.match(connection, requester.user_id, news.seats, rules)
            rooms = await self._rooms(connection, requester, matches, news, changes)
        _fall_behind(connection, matches, news, changes)
        moment = Moment(
            requester=requester,
            since=since,
            upto=upto,
            entries=news.entries,
            seats=news.seats,
            windows=matches.windows,
            subscriptions=[room_id for room_id in rules.subscriptions if room_id in matches.rooms],
            anew=_told_anew(connection, changes),
            timelines={room_id: section.timeline for room_id, section in rooms.items()},
        )
        extensions = await self._extensions.tell(moment, args.extensions)
        if not (rooms or extensions.is_news or since is None or is_last):
            return None
        changes.settled = Settled(rules.spelled, matches)
        numbers = {room_id: news.seats[room_id].number for room_id in changes.rooms}
        position = await self._connections.answer(connection, upto, changes, numbers)
        return _json(position, rules, matches, rooms, extensions)

    # -- what has happened

    async def _news(self, connection: Connection, user_id: str, since: Vector | None, upto: Vector) -> _News:
        seats = dict(await self._user_rooms.of(user_id))
        entries = self._engine.log.since(since) if since is not None else None
        new: dict[int, list[StoredEvent]] | None = None
        touched: set[str] = set()
        beside: set[str] = set()
        if entries is not None:
            entries = [e for e in entries if e.position in upto and self._waking.concerns(e, user_id, seats)]
            new = {}
            for entry in entries:
                if entry.kind == "event" and entry.room is not None and isinstance(entry.payload, StoredEvent):
                    new.setdefault(entry.room, []).append(entry.payload)
            for entry in entries:
                room_id = await self._room_of(entry)
                if room_id is not None and _touches(entry, user_id):
                    touched.add(room_id)
                elif room_id is not None and entry.kind in _BESIDE_ROOMS:
                    beside.add(room_id)
        elif since is not None:
            touched = await self._touched(connection, seats, since)
        return _News(since=since, upto=upto, entries=entries, seats=seats, new=new, touched=touched, beside=beside)

    async def _room_of(self, entry: Entry) -> str | None:
        if entry.room is not None:
            return await self._engine.rooms.room_id(entry.room)
        # What is one's own about a room has its id as the key.
        return entry.key if entry.kind in _BESIDE_ROOMS and entry.key else None

    async def _touched(self, connection: Connection, seats: Mapping[str, Seat], since: Vector) -> set[str]:
        """The rooms that have changed since a client was here that was away for long."""
        told = {seats[room_id].number: room_id for room_id in connection.rooms if room_id in seats}
        numbers = await self._engine.database.read(events.rooms_with_news, list(told), since)
        moved = {room_id for room_id, seat in seats.items() if seat.position not in since}
        return {told[number] for number in numbers} | moved

    # -- rooms

    async def _rooms(
        self, connection: Connection, requester: Requester, matches: Matches, news: _News, changes: Changes
    ) -> dict[str, Section]:
        """The sections of the rooms that there is something to tell of, by id."""
        ignored = await self._around.ignored_users(requester.user_id)
        viewer = Viewer(requester.user_id, requester.device_id, frozenset(ignored))
        settled = connection.settled
        turned = settled.matches.direct ^ matches.direct if settled is not None else frozenset()
        due = [
            room_id
            for room_id, wanted in matches.rooms.items()
            if _is_due(connection, room_id, wanted, news) or (room_id in turned and room_id in connection.rooms)
        ]
        told: dict[str, Section] = {}
        for index, room_id in enumerate(due):
            if not index % _AT_ONCE:
                await self._have(connection, viewer, due[index : index + _AT_ONCE], matches, news)
            section = await self._section(connection, viewer, room_id, matches, news, changes)
            if section is not None:
                told[room_id] = section
        return told

    async def _have(
        self, connection: Connection, viewer: Viewer, room_ids: Sequence[str], matches: Matches, news: _News
    ) -> None:
        """Has in memory what the sections of some rooms are made from, so that each need not ask for itself."""
        if len(room_ids) < 2:
            return
        rooms = self._engine.rooms
        newest = max(matches.rooms[room_id].config.timeline_limit for room_id in room_ids)
        inside = [room_id for room_id in room_ids if news.seats[room_id].membership == "join"]
        await rooms.have(inside, newest=newest + 1)
        wanted: dict[str, None] = {}
        at_hand = [room for room_id in inside if (room := rooms.cached(room_id)) is not None]
        for room in at_hand:
            if _is_new(connection, room.id):
                required = matches.rooms[room.id].config.required_state
                wanted.update(dict.fromkeys(required.of(room.current.state).values()))
            places = [*_LOOKED_AT, ("m.room.member", viewer.user_id)]
            wanted.update(dict.fromkeys(one for place in places if (one := room.state_id(*place)) is not None))
        await rooms.events(wanted)
        await self._around.have_unread(viewer.user_id, at_hand)

    async def _section(
        self,
        connection: Connection,
        viewer: Viewer,
        room_id: str,
        matches: Matches,
        news: _News,
        changes: Changes,
    ) -> Section | None:
        seat, wanted, had = news.seats[room_id], matches.rooms[room_id], connection.rooms.get(room_id)
        was_inside = not _is_new(connection, room_id)
        since = (had.upto or news.since) if had is not None and was_inside else None
        # What was said in a room before the user left it is not among the entries that concern them now.
        at_hand = news.new is not None and since is not None and since is news.since and seat.membership == "join"
        query = RoomQuery(
            seat=seat,
            config=wanted.config,
            had=connection.configs[had.config] if had is not None and was_inside else None,
            since=since,
            live_since=news.since,
            upto=news.upto,
            new=(news.new or {}).get(seat.number, ()) if at_hand else None,
            members_told=connection.members.get(room_id, ()) if since is not None else (),
            ignored=viewer.ignored,
            is_direct=room_id in matches.direct,
            lists=wanted.lists,
        )
        room = await self._engine.rooms.get(room_id)
        if await self._is_inside(viewer.user_id, seat, was_inside):
            section = await self._sections.inside(viewer, room, query)
            now = Told(connection.config_number(wanted.config))
        else:
            section = await self._sections.outside(viewer.user_id, room, query)
            now = Told(OUTSIDE)
        if now != had:
            changes.rooms[room_id] = now
        if section is not None and section.told:
            changes.members[room_id] = section.told
        return section

    async def _is_inside(self, user_id: str, seat: Seat, was_inside: bool) -> bool:
        """Whether the room's events are the user's to see, if only up to a moment."""
        if seat.membership in ("leave", "ban"):
            return was_inside or await self._lists.was_put_out(user_id, seat)
        return seat.membership == "join"


def _is_of_rooms(news: _News) -> bool:
    """Whether anything has happened that rooms' sections, or which rooms there are, may depend on."""
    if news.entries is None:
        return True
    return bool(news.touched) or any(entry.kind in _OF_ROOMS for entry in news.entries)


def _touches(entry: Entry, user_id: str) -> bool:
    """Whether a room's section has to be told anew: for an event, and for what changes how much is unread."""
    if entry.kind in ("event", "resolution"):
        return True
    return entry.kind in (RECEIPT, PRIVATE_RECEIPT, THREAD_SUBSCRIPTION) and entry.user_id == user_id


def _is_new(connection: Connection, room_id: str) -> bool:
    """Whether the client has been told nothing of what goes on inside a room."""
    had = connection.rooms.get(room_id)
    return had is None or had.config == OUTSIDE


def _is_due(connection: Connection, room_id: str, wanted: Wanted, news: _News) -> bool:
    """Whether there may be something to tell of a room that is asked for."""
    had = connection.rooms.get(room_id)
    if had is None or had.upto is not None or room_id in news.touched or news.since is None:
        return True
    is_joined = news.seats[room_id].membership == "join"
    if had.config == OUTSIDE:
        return is_joined
    return is_joined and not _is_within(wanted.config, connection.configs[had.config])


def _is_within(config: RoomConfig, had: RoomConfig) -> bool:
    """Whether a client that was told of a room in one way needs nothing more for another."""
    if config is had or config == had:
        return True
    return (
        config.timeline_limit <= had.timeline_limit and config.required_state | had.required_state == had.required_state
    )


def _fall_behind(connection: Connection, matches: Matches, news: _News, changes: Changes) -> None:
    """Notes of rooms that are not asked for that the client does not have what has happened in them."""
    if news.since is None:
        return
    for room_id in {*news.touched, *news.beside}:
        had = connection.rooms.get(room_id)
        if had is not None and had.upto is None and room_id not in matches.rooms:
            changes.rooms[room_id] = had._replace(upto=news.since)


def _told_anew(connection: Connection, changes: Changes) -> set[str]:
    """The rooms of which an answer tells for the first time, or after it had left out what happened."""
    return {
        room_id
        for room_id, told in changes.rooms.items()
        if told.upto is None and (_is_new(connection, room_id) or connection.rooms[room_id].upto is not None)
    }


def _json(
    position: Position, rules: Rules, matches: Matches, rooms: Mapping[str, Section], extensions: ExtensionResults
) -> bytes:
    lists = {name: _list_json(rule, matches, name) for name, rule in rules.lists.items()}
    members = {
        "pos": orjson.dumps(position.spell()),
        "lists": json_object(lists),
        "rooms": json_object({room_id: json_object(section.members) for room_id, section in rooms.items()}),
        "extensions": extensions.json(),
    }
    return json_object(members)


def _list_json(rule: ListOfRooms, matches: Matches, name: str) -> bytes:
    """How many rooms a list is of; and, as clients of the experiment look for it, which ones each range has."""
    count, window = matches.counts[name], matches.windows[name]
    indexes = list(within(rule.ranges, count))
    at = dict(zip(indexes, window, strict=True))
    operations = [
        {
            "op": "SYNC",
            "range": [first, last],
            "room_ids": [at[index] for index in range(first, min(last + 1, count))],
        }
        for first, last in rule.ranges or ()
    ]
    return orjson.dumps({"count": count, "ops": operations})
