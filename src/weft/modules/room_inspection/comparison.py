"""Whether other servers hold the same state of a room, and where they differ.

A server tells the ends of its graph in the template of a leave, which changes nothing. The states are compared before
events that both have: the server's ends, and ours.

https://spec.matrix.org/v1.19/server-server-api/#get_matrixfederationv1state_idsroomid
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from weft.graph.outcome import Outcome
from weft.protocol.api.client.room_inspection import (
    MAX_DIFFERENCES,
    CompareRoomResponse,
    End,
    ServerComparison,
    StateDifference,
)
from weft.protocol.api.federation.events import (
    GET_EVENT,
    GET_ROOM_STATE_IDS,
    GetEventRequest,
    GetRoomStateIdsRequest,
)
from weft.protocol.api.federation.leaving import MAKE_LEAVE, MakeLeaveRequest
from weft.protocol.errors import InvalidEvent, MatrixError, NotNow, PeerError, Unreachable
from weft.protocol.event import StateKey
from weft.rooms.engine import Engine
from weft.rooms.incoming import decode
from weft.rooms.room import Room
from weft.storage import events as event_store
from weft.storage.database import Transaction
from weft.storage.events import StoredEvent

_SECONDS: Final = 30.0
#: Events before which the states are compared, of one server.
_MOST_COMPARED: Final = 5
#: Ends that are looked at, of one server.
_MOST_ENDS: Final = 20
#: Servers that are asked where none is named, and at a time.
_MOST_SERVERS: Final = 20
_AT_ONCE: Final = 8
#: Events of which we have nothing that are asked for, to say what they are.
_MOST_FETCHED: Final = 10
_ERRORS: Final = (PeerError, Unreachable, NotNow, MatrixError)

_NAMES: Final[Mapping[Outcome, str]] = {
    Outcome.ACCEPTED: "accepted",
    Outcome.SOFT_FAILED: "soft-failed",
    Outcome.REJECTED: "rejected",
    Outcome.OUTLIER: "outlier",
    Outcome.REJECTED_BY_STATE: "rejected",
}
_UNKNOWN: Final = "unknown"


class Comparison:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._places = asyncio.Semaphore(_AT_ONCE)

    async def compare(self, room_id: str, servers: Sequence[str]) -> CompareRoomResponse:
        """Asks each of the servers, or those with most members. Raises `NotFound` for a room that is not known."""
        room = await self._engine.rooms.get(room_id)
        asked = list(dict.fromkeys(servers)) or [
            name for name, _ in room.servers.most_common() if not self._engine.is_local_domain(name)
        ]
        found = await asyncio.gather(*(self._compare_one(room, name) for name in asked[:_MOST_SERVERS]))
        return CompareRoomResponse(
            room_id=room_id, room_version=room.version.identifier, ends=sorted(room.extremities), servers=found
        )

    async def _compare_one(self, room: Room, server_name: str) -> ServerComparison:
        told = ServerComparison(server_name=server_name)
        async with self._places:
            try:
                ends = await self._ends_of(room, server_name)
            except _ERRORS as error:
                told.error = str(error)
                return told
            known = await self._engine.database.read(event_store.which_are_stored, ends)
            told.ends = [End(event_id=one, here=_here(known.get(one))) for one in ends]
            await self._compare_states(room, told)
        return told

    async def _ends_of(self, room: Room, server_name: str) -> list[str]:
        """The forward extremities of another server's copy."""
        user_id = min(room.joined_local, default=None)
        if user_id is None:
            raise MatrixError("nobody of this server is in the room, so that no other server tells of it")
        request = MakeLeaveRequest(room_id=room.id, user_id=user_id)
        answer = await self._call(MAKE_LEAVE, request, room, server_name)
        try:
            template = decode(answer.event, room.version)
        except InvalidEvent as error:
            raise PeerError(f"{server_name} gave a template that is no event: {error.message}") from None
        named = template.get("prev_events") if isinstance(template, dict) else None
        ids = [one[0] if isinstance(one, list) and one else one for one in named] if isinstance(named, list) else []
        return [one for one in ids if isinstance(one, str)][:_MOST_ENDS]

    async def _compare_states(self, room: Room, told: ServerComparison) -> None:
        """Compares before those events that both have, until something differs."""
        candidates = dict.fromkeys([*(one.event_id for one in told.ends), *sorted(room.extremities)])
        stored = await self._engine.rooms.events(candidates)
        refusal: str | None = "none of the ends of its graph is in our copy, nor any of ours in its copy"
        for event_id in candidates:
            one = stored.get(event_id)
            if one is None or one.snapshot is None or one.room != room.number:
                continue
            request = GetRoomStateIdsRequest(room_id=room.id, event_id=event_id)
            try:
                answer = await self._call(GET_ROOM_STATE_IDS, request, room, told.server_name)
            except _ERRORS as error:
                refusal = str(error)
                continue
            await self._differ(room, one, answer.pdu_ids, told)
            told.compared_before.append(event_id)
            if told.differences or len(told.compared_before) == _MOST_COMPARED:
                break
        if told.compared_before:
            told.same = not told.differences
        else:
            told.error = refusal

    async def _differ(self, room: Room, event: StoredEvent, theirs: Sequence[str], told: ServerComparison) -> None:
        ours = await self._engine.rooms.state_before(room, event)
        only_theirs = set(theirs).difference(ours.values())
        places = {key: event_id for key, event_id in ours.items() if event_id not in set(theirs)}
        if not only_theirs and not places:
            return
        about = await self._engine.database.read(_about, sorted(only_theirs))
        asked = 0
        named: dict[StateKey, str] = {}
        for event_id in sorted(only_theirs):
            key = about[event_id][1] if event_id in about else None
            if key is None and asked < _MOST_FETCHED:
                asked += 1
                key = await self._place_of(room, event_id, told.server_name)
            named[key or ("", event_id)] = event_id
        found = [
            StateDifference(
                type=key[0] or _UNKNOWN,
                state_key=key[1] if key[0] else "",
                ours=ours.get(key),
                theirs=named.get(key),
                their_event_here=_here(about[named[key]][0] if named[key] in about else None) if key in named else None,
            )
            for key in sorted({*places, *named})
        ]
        told.differences = found[:MAX_DIFFERENCES]
        told.more = len(found) - len(told.differences)

    async def _place_of(self, room: Room, event_id: str, server_name: str) -> StateKey | None:
        """Where an event that is not here stands in the state, as its server shows it."""
        try:
            answer = await self._call(GET_EVENT, GetEventRequest(event_id=event_id), room, server_name)
            event = decode(answer.pdus[0], room.version) if answer.pdus else None
        except (*_ERRORS, InvalidEvent):
            return None
        if not isinstance(event, dict):
            return None
        event_type, state_key = event.get("type"), event.get("state_key")
        return (event_type, state_key) if isinstance(event_type, str) and isinstance(state_key, str) else None

    async def _call(self, endpoint: Any, request: msgspec.Struct, room: Room, server_name: str) -> Any:
        remote = self._engine.remote
        return await remote.federation.peers.call(
            endpoint,
            request,
            origin=remote.missing.own_domain(room),
            destination=server_name,
            timeout=_SECONDS,
            even_if_backed_off=True,
        )


def _about(tx: Transaction, event_ids: Sequence[str]) -> dict[str, tuple[Outcome, StateKey | None]]:
    found = event_store.by_ids(tx, event_ids)
    return {
        event_id: (one.outcome, one.event.key if one.event.state_key is not None else None)
        for event_id, one in found.items()
    }


def _here(outcome: Outcome | None) -> str:
    return _UNKNOWN if outcome is None else _NAMES[outcome]
