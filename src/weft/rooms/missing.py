"""Takes in events after what they refer to has been fetched from other servers.

First what lies between is asked for (`get_missing_events`), so that nothing is left out. Where that leads too far, or
nobody has it, the state before an event is fetched instead (`state_ids`), and the gap is noted: it is filled later
(`weft.rooms.backfill`). Whatever a peer claims, the work for one event is bounded.

https://spec.matrix.org/v1.19/server-server-api/#retrieving-missing-events
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Sequence
from typing import Final

import msgspec
import structlog

from weft.federation.peer import Peers
from weft.graph.order import parents_first
from weft.graph.snapshot import Snapshot
from weft.protocol.api.federation.backfill import GET_MISSING_PREVIOUS_EVENTS, GetMissingPreviousEventsRequest
from weft.protocol.api.federation.events import (
    GET_EVENT,
    GET_EVENT_AUTH,
    GET_ROOM_STATE,
    GET_ROOM_STATE_IDS,
    GetEventAuthRequest,
    GetEventRequest,
    GetRoomStateIdsRequest,
    GetRoomStateRequest,
)
from weft.protocol.errors import NotNow, PeerError, Unreachable
from weft.protocol.event import Event, StateKey
from weft.protocol.event_auth import CREATE_KEY
from weft.protocol.identifiers import domain_of
from weft.rooms.incoming import Incoming
from weft.rooms.receive import Before, Receive, Taken
from weft.rooms.room import Room
from weft.rooms.rooms import Rooms
from weft.storage import events as event_store
from weft.storage import gaps, snapshots
from weft.storage.database import Database, Transaction

log = structlog.get_logger(__name__)

#: How many events are asked for at a time, and how many are fetched for one event in all.
_PAGE: Final = 50
_MOST_BETWEEN: Final = 500
_ROUNDS: Final = 20
#: The ends of the graph that a request names.
_ENDS: Final = 20
#: The servers that are asked about one event.
_SERVERS: Final = 4
#: A server that has been away for longer is not waited for where others don't have what is missing.
_SILENCE_MS: Final = 7 * 24 * 3600 * 1000
#: How many states are fetched for what lies before one event.
_STATES: Final = 5
#: Up to so many missing events of a state are fetched one by one.
_FEW: Final = 30
#: The largest state that is believed in.
_LARGEST_STATE: Final = 500_000

#: What a peer may do wrong, or not at all.
FAILURES: Final = (PeerError, Unreachable, NotNow)


class MissingEvents:
    """Fetches what is missing."""

    def __init__(
        self,
        database: Database,
        rooms: Rooms,
        receive: Receive,
        incoming: Incoming,
        peers: Peers,
        default_domain: str,
    ) -> None:
        self._database = database
        self._rooms = rooms
        self._receive = receive
        self._incoming = incoming
        self._peers = peers
        self._default_domain = default_domain

    # -- whom to ask

    def own_domain(self, room: Room) -> str:
        """In which of our domains' names others are asked about a room."""
        for user_id in room.joined_local:
            return domain_of(user_id)
        return self._default_domain

    def servers(self, room: Room, first: Iterable[str] = ()) -> list[str]:
        """Other servers of the room, those of `first` in front, then those with most members; few in all."""
        others = [name for name, _ in room.servers.most_common(_SERVERS * 4)]
        return self._few([*first, *others])

    def departed(self, room: Room, besides: Collection[str]) -> list[str]:
        """Other servers whose members have all left the room, or were sent away; few in all."""
        gone = dict.fromkeys(map(domain_of, room.members("leave", "ban")))
        return self._few([name for name in gone if name not in room.servers and name not in besides])

    def is_away(self, server: str, now_ms: int) -> bool:
        """Whether a server can't be asked just now, and may come back: it has not been silent for a week."""
        since = self._peers.failing_since_ms(server)
        return since is not None and since > now_ms - _SILENCE_MS and not self._peers.is_available(server)

    def _few(self, names: Iterable[str]) -> list[str]:
        chosen = [name for name in dict.fromkeys(names) if not self._rooms.is_local(name)]
        chosen.sort(key=lambda name: not self._peers.is_available(name))
        return chosen[:_SERVERS]

    # -- events and what lies before them

    async def take(self, room_id: str, event: Event, origin: str) -> Taken:
        """Takes in an event that was sent to us, whatever of its past is missing here.

        Raises what a peer may do wrong where nobody gives what is needed: then nothing was decided.
        """
        room = await self._rooms.get(room_id)
        # Its own server is the one that can't tell of it wrongly.
        servers = self.servers(room, [event.sender_domain, origin])
        between = await self._between(room, event, servers)
        past = await self._of_the_past(room, event, between)
        if past:
            await self.take_all(room_id, parents_first(past.values()), servers, past=True)
        news = [one for one in between if one.event_id not in past]
        taken = await self.take_all(room_id, parents_first(news), servers, late=event.event_id)
        return taken[event.event_id]

    async def take_all(
        self,
        room_id: str,
        events: Sequence[Event],
        servers: Sequence[str],
        *,
        past: bool = False,
        late: str | None = None,
    ) -> dict[str, Taken]:
        """Takes in events, what is built on first, each with the state before it fetched where that is not known."""
        done: dict[str, Taken] = {}
        waiting = list(events)
        states = 0
        while waiting:
            taken = await self._receive.take(room_id, waiting, past=past, late=late)
            stuck = next((event for event in waiting if taken[event.event_id].is_missing_something), None)
            if stuck is None:
                return {**done, **taken}
            index = waiting.index(stuck)
            done.update((event.event_id, taken[event.event_id]) for event in waiting[:index])
            states += 1
            if states > _STATES:
                # What was written stays: another try goes on from there.
                if past:
                    return done
                raise NotNow("too much is missing to be fetched at once", retry_after_ms=1000)
            done[stuck.event_id] = await self._take_stuck(room_id, stuck, servers, past=past, late=late)
            waiting = waiting[index + 1 :]
        return done

    async def _take_stuck(
        self, room_id: str, event: Event, servers: Sequence[str], *, past: bool, late: str | None
    ) -> Taken:
        room = await self._rooms.get(room_id)
        auth_missing = await self._unknown(event.auth_events)
        if auth_missing:
            await self._fetch_auth(room, event, servers)
        given: dict[str, Before] = {}
        missing = await self._unplaced(event.prev_events)
        if missing:
            given[event.event_id] = await self._state_before(room, event, missing, servers, wanted=not past)
        taken = (await self._receive.take(room_id, [event], given=given, past=past, late=late))[event.event_id]
        if taken.in_doubt:
            given[event.event_id] = await self._state_before(room, event, (), servers, wanted=False)
            taken = (await self._receive.take(room_id, [event], given=given, late=late))[event.event_id]
        if taken.is_missing_something:
            raise PeerError(f"nobody has what {event.event_id} refers to", permanent=False)
        return taken

    async def _between(self, room: Room, event: Event, servers: Sequence[str]) -> list[Event]:
        """The event, with those before it that are not here, as far as they can be had."""
        found = {event.event_id: event}
        earliest = list(room.extremities)[:_ENDS]
        asked = iter(servers)
        server = next(asked, None)
        for _ in range(_ROUNDS):
            prev = {one for known in found.values() for one in known.prev_events} - found.keys()
            unknown = await self._unplaced(sorted(prev))
            if not unknown or len(found) >= _MOST_BETWEEN or server is None:
                break
            latest = [one.event_id for one in found.values() if not set(unknown).isdisjoint(one.prev_events)][:_ENDS]
            request = GetMissingPreviousEventsRequest(
                room_id=room.id, earliest_events=earliest, latest_events=latest, limit=_PAGE
            )
            try:
                answer = await self._peers.call(
                    GET_MISSING_PREVIOUS_EVENTS, request, origin=self.own_domain(room), destination=server
                )
            except FAILURES as error:
                log.info("missing events can't be had", room_id=room.id, server=server, reason=str(error))
                server = next(asked, None)
                continue
            fresh = answer.events[:_PAGE]
            inspected = await self._incoming.inspect(room.id, room.version, fresh)
            # What is here already, and all before it, is not between.
            fresh_ids = set(await self._unplaced([one.event_id for one in inspected.events]))
            news = _connected([one for one in inspected.events if one.event_id in fresh_ids], unknown, found)
            if not news:
                server = next(asked, None)
            found.update(news)
        return list(found.values())

    async def _of_the_past(self, room: Room, event: Event, between: Sequence[Event]) -> dict[str, Event]:
        """Those of the events before one that an accepted event here follows, such as what was before our join.

        They are no news: the room has moved on from them rightly, and what is current says nothing about them.
        """
        before = {one.event_id: one for one in between if one is not event}
        agenda = await self._database.read(gaps.which_are_followed, room.number, before) if before else []
        past: dict[str, Event] = {}
        while agenda:
            event_id = agenda.pop()
            if event_id in before and event_id not in past:
                past[event_id] = before[event_id]
                agenda.extend(before[event_id].prev_events)
        return past

    # -- the state before an event

    async def _state_before(
        self, room: Room, event: Event, missing: Sequence[str], servers: Sequence[str], *, wanted: bool
    ) -> Before:
        """The state before an event, as another server has it."""
        snapshot = await self._fetch_state(room, event, servers)
        return Before(snapshot.id, snapshot, gaps=tuple(missing), gaps_wanted=wanted)

    async def _fetch_state(self, room: Room, event: Event, servers: Sequence[str]) -> Snapshot:
        """The state before an event as one of the servers tells it, written down."""
        request = GetRoomStateIdsRequest(room_id=room.id, event_id=event.event_id)
        server, answer = await self._peers.first_of(
            servers, GET_ROOM_STATE_IDS, request, origin=self.own_domain(room), timeout=60
        )
        ids = list(dict.fromkeys(answer.pdu_ids))
        everything = list(dict.fromkeys([*ids, *answer.auth_chain_ids]))
        if len(everything) > _LARGEST_STATE:
            raise PeerError(f"{server} claims a state of {len(everything)} events")
        unknown = await self._unknown(everything)
        refused = await self._fetch_outliers(room, event, unknown, server) if unknown else ()
        # What has come by another way meanwhile is known, but can't be read before it is written.
        await self._rooms.settled(room.id)
        if unknown:
            await self._complete(room, event, ids, refused, [one for one in servers if one != server])
        state = await self._database.read(_state_of, room.number, ids)
        if state.get(CREATE_KEY) != room.current.state.get(CREATE_KEY):
            raise PeerError(f"{server} tells of a state of {room.id} without the event that created the room")
        return await self.write_state(room, state)

    async def write_state(self, room: Room, state: dict[StateKey, str]) -> Snapshot:
        """A whole state of a room as a snapshot that is stored; all of its events are."""
        current = (await self._rooms.get(room.id)).current
        changes: dict[StateKey, str | None] = {k: v for k, v in state.items() if current.state.get(k) != v}
        changes.update((key, None) for key in current.state if key not in state)
        if not changes:
            return current
        snapshot = current.child(self._rooms.new_snapshot_id(), changes)
        await self._database.write(snapshots.insert, room.number, snapshot)
        return snapshot

    async def _complete(
        self, room: Room, event: Event, ids: Sequence[str], refused: Collection[str], others: Sequence[str]
    ) -> None:
        """Sees to it that all events of a told state are here: a state without some of them would be another one.

        What the teller did not give, or not well, others are asked for. `refused` are those that were not well. Raises
        `NotNow` where one can't be had; one that is not well wherever it comes from is no part of any state.
        """
        lacking = await self._unknown(ids)
        is_bad = set() if others else set(refused)
        for server in others if lacking else ():
            try:
                pdus = await self._fetch_events(lacking, self.own_domain(room), server)
            except FAILURES as error:
                log.info("events of a state can't be had", room_id=room.id, server=server, reason=str(error))
                continue
            inspected = await self._incoming.inspect(room.id, room.version, pdus)
            await self._receive.add_outliers(room, inspected.events)
            is_bad.update(inspected.refused)
            lacking = await self._unknown(lacking)
            if not lacking:
                return
        if not is_bad.issuperset(lacking):
            raise NotNow(f"not all of the state before {event.event_id} can be had", retry_after_ms=10_000)

    async def _fetch_outliers(self, room: Room, event: Event, unknown: Sequence[str], server: str) -> Collection[str]:
        """Fetches events of the state before an event, and of its auth chain; the ids of those that are not well."""
        origin = self.own_domain(room)
        if len(unknown) > _FEW:
            request = GetRoomStateRequest(room_id=room.id, event_id=event.event_id)
            answer = await self._peers.call(GET_ROOM_STATE, request, origin=origin, destination=server, timeout=120)
            pdus: list[msgspec.Raw] = [*answer.auth_chain, *answer.pdus]
        else:
            pdus = await self._fetch_events(unknown, origin, server)
        inspected = await self._incoming.inspect(room.id, room.version, pdus)
        await self._receive.add_outliers(room, inspected.events)
        if inspected.later:
            # By a state that lacks these, what their senders did since would be rejected, and that is for good.
            raise NotNow(f"not all of the state before {event.event_id} can be verified yet", retry_after_ms=10_000)
        return inspected.refused

    async def _fetch_events(self, event_ids: Iterable[str], origin: str, server: str) -> list[msgspec.Raw]:
        async def fetch(event_id: str) -> list[msgspec.Raw]:
            try:
                request = GetEventRequest(event_id=event_id)
                return (await self._peers.call(GET_EVENT, request, origin=origin, destination=server)).pdus[:1]
            except PeerError:
                return []

        return [pdu for pdus in await asyncio.gather(*map(fetch, event_ids)) for pdu in pdus]

    async def _fetch_auth(self, room: Room, event: Event, servers: Sequence[str]) -> None:
        """Fetches the auth chain of an event."""
        request = GetEventAuthRequest(room_id=room.id, event_id=event.event_id)
        origin = self.own_domain(room)
        server, answer = await self._peers.first_of(servers, GET_EVENT_AUTH, request, origin=origin)
        inspected = await self._incoming.inspect(room.id, room.version, answer.auth_chain)
        await self._receive.add_outliers(room, inspected.events)
        missing = await self._unknown(event.auth_events)
        if missing:
            pdus = await self._fetch_events(missing, origin, server)
            inspected = await self._incoming.inspect(room.id, room.version, pdus)
            await self._receive.add_outliers(room, inspected.events)

    # -- what is known

    async def _unknown(self, event_ids: Collection[str]) -> list[str]:
        """Which events are not stored at all."""
        known = await self._database.read(event_store.which_are_stored, event_ids) if event_ids else {}
        return [event_id for event_id in event_ids if event_id not in known]

    async def _unplaced(self, event_ids: Collection[str]) -> list[str]:
        """Which events have no place in the graph here."""
        placed = await self._database.read(event_store.which_are_placed, event_ids) if event_ids else set()
        return [event_id for event_id in event_ids if event_id not in placed]


def _connected(events: Sequence[Event], unknown: Collection[str], known: Collection[str]) -> dict[str, Event]:
    """Those of the events that lead down from the unknown ones; what was not asked for is left out."""
    at_hand = {event.event_id: event for event in events if event.event_id not in known}
    found: dict[str, Event] = {}
    agenda = [at_hand[one] for one in unknown if one in at_hand]
    while agenda:
        event = agenda.pop()
        if event.event_id in found:
            continue
        found[event.event_id] = event
        agenda.extend(at_hand[one] for one in event.prev_events if one in at_hand)
    return found


def _state_of(tx: Transaction, room: int, event_ids: Sequence[str]) -> dict[StateKey, str]:
    """The state that some events make up, without those that were rejected or are no state of the room."""
    state: dict[StateKey, str] = {}
    for key, event_id in event_store.state_entries(tx, room, event_ids):
        state.setdefault(key, event_id)
    return state
