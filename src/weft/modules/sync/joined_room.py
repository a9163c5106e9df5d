"""The sections of the rooms that the user is joined to."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from itertools import islice

import orjson

from weft.modules.events import EventForms, Sight, Viewer
from weft.modules.events.sight import Seen
from weft.modules.sync.answer import Answer, event_list
from weft.modules.sync.room_state import RoomStates, StateQuery
from weft.modules.sync.timeline import DEFAULT_LIMIT, MAX_LIMIT, Timeline, Timelines
from weft.protocol.filters import Filter
from weft.rooms.engine import Engine
from weft.rooms.room import Room
from weft.storage import events
from weft.storage.events import StoredEvent

_HEROES = 5
#: So many rooms are read together, and then written, before the next ones are.
_AT_ONCE = 50


class JoinedRooms:
    def __init__(
        self, engine: Engine, sight: Sight, forms: EventForms, timelines: Timelines, states: RoomStates
    ) -> None:
        self._engine = engine
        self._sight = sight
        self._forms = forms
        self._timelines = timelines
        self._states = states

    async def add(
        self,
        answer: Answer,
        viewer: Viewer,
        *,
        new: Mapping[int, Sequence[StoredEvent]] | None,
        resolved: Collection[int],
        ignored: Collection[str],
        full_state: bool,
        state_name: str,
    ) -> None:
        """Adds a section for each room in which something happened.

        `new` are the new events by room, where they are at hand; `resolved` the rooms whose state was resolved anew.
        """
        newly_joined: set[str] = set()
        touched = await self._touched(answer, new, resolved, full_state)
        for index, (room_id, number) in enumerate(touched.items()):
            if not index % _AT_ONCE:
                await self._have(answer, list(islice(touched, index, index + _AT_ONCE)), full_state)
            room = await self._engine.rooms.get(room_id)
            fresh = await self._is_fresh(answer, room, new)
            if fresh:
                newly_joined.add(room_id)
            query_since = None if fresh else answer.since
            timeline = await self._timelines.of(
                room,
                answer.user_id,
                new=None if fresh or new is None else new.get(number, ()),
                since=query_since,
                upto=answer.upto,
                event_filter=answer.filter.room_timeline,
                ignored=ignored,
            )
            summed_up = (
                fresh or timeline.limited or any(s.stored.event.type == "m.room.member" for s in timeline.events)
            )
            named_by = heroes(room, answer.user_id) if summed_up and not _is_named(room) else None
            state = await self._states.of(
                room,
                StateQuery(
                    user_id=viewer.user_id,
                    device_id=viewer.device_id,
                    filter=answer.filter,
                    since=None if full_state else query_since,
                    target=room.current,
                    timeline=timeline.events,
                    after=state_name != "state",
                    heroes=named_by or (),
                ),
            )
            if not (timeline.events or timeline.limited or state or fresh or full_state):
                continue
            section = answer.section(room_id)
            section.timeline = [one.stored.event.event_id for one in timeline.events]
            members = section.members
            members["timeline"] = await self.timeline_json(room, timeline, viewer, answer.filter)
            members[state_name] = event_list(formed_state(state, answer.filter))
            if summed_up:
                members["summary"] = _summary(room, named_by)
        answer.newly_joined = frozenset(newly_joined)

    async def _have(self, answer: Answer, room_ids: Sequence[str], full_state: bool) -> None:
        """Has in memory what the sections of some rooms are made from, so that each need not ask for itself."""
        if len(room_ids) < 2:
            return
        rooms = self._engine.rooms
        await rooms.have(room_ids, newest=answer.filter.room_timeline.limit(DEFAULT_LIMIT, MAX_LIMIT) + 1)
        wanted: list[str] = []
        for room_id in room_ids:
            room = rooms.cached(room_id)
            if room is None:
                continue
            if answer.since is None or full_state:
                wanted += [event_id for key, event_id in room.state if key[0] != "m.room.member"]
            places = [("m.room.history_visibility", ""), ("m.room.member", answer.user_id)]
            wanted += [event_id for place in places if (event_id := room.state_id(*place)) is not None]
        await rooms.events(dict.fromkeys(wanted))

    async def _touched(
        self,
        answer: Answer,
        new: Mapping[int, Sequence[StoredEvent]] | None,
        resolved: Collection[int],
        full_state: bool,
    ) -> dict[str, int]:
        """The joined rooms in which something happened, by id."""
        if new is not None:
            touched = {events[0].event.room_id: number for number, events in new.items()}
            for number in resolved:
                touched[await self._engine.rooms.room_id(number)] = number
            return {room_id: number for room_id, number in touched.items() if answer.is_joined(room_id)}
        if answer.since is None or full_state:
            return dict(answer.joined)
        numbers = await self._engine.database.read(events.rooms_with_news, answer.joined.values(), answer.since)
        return {room_id: number for room_id, number in answer.joined.items() if number in numbers}

    async def _is_fresh(self, answer: Answer, room: Room, new: Mapping[int, Sequence[StoredEvent]] | None) -> bool:
        """Whether the client has been told nothing of the user's present stay in the room."""
        if answer.since is None:
            return True
        if new is not None and not any(
            s.event.state_key == answer.user_id and s.event.type == "m.room.member" for s in new.get(room.number, ())
        ):
            return False
        if answer.seats[room.id].position in answer.since:
            return False
        joined_at = await self._sight.joined_at(room, answer.user_id)
        return joined_at is not None and joined_at[1] not in answer.since

    async def timeline_json(self, room: Room, timeline: Timeline, viewer: Viewer, filter_: Filter) -> bytes:
        """The `timeline` member of a room's section."""
        formed = await self.formed(room, timeline.events, viewer, filter_)
        return b'{"events":[%s],"limited":%s,"prev_batch":"%s"}' % (
            b",".join(formed),
            b"true" if timeline.limited else b"false",
            timeline.prev_batch.spell().encode(),
        )

    async def formed(self, room: Room, seen: Sequence[Seen], viewer: Viewer, filter_: Filter) -> list[bytes]:
        """Events in the form that the filter asks for."""
        if filter_.event_format == "federation":
            return [one.stored.event.wire for one in seen]
        formed = await self._forms.seen(room, seen, viewer, self._sight, with_room_id=False)
        return formed_state(formed, filter_)


def _summary(room: Room, named_by: Sequence[str] | None) -> bytes:
    """https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3sync_response-200_roomsummary"""
    summary: dict[str, object] = {
        "m.joined_member_count": room.counts["join"],
        "m.invited_member_count": room.counts["invite"],
    }
    if named_by is not None:
        summary["m.heroes"] = named_by
    return orjson.dumps(summary)


def _is_named(room: Room) -> bool:
    return (room.state_id("m.room.name") or room.state_id("m.room.canonical_alias")) is not None


def heroes(room: Room, user_id: str) -> list[str]:
    """Up to five other members by whom a nameless room is called: those who are in it, else those who were."""
    present: list[str] = []
    gone: list[str] = []
    for member, membership in room.memberships.items():
        if member == user_id:
            continue
        if membership in ("join", "invite"):
            present.append(member)
            if len(present) == _HEROES:
                break
        elif len(gone) < _HEROES:
            gone.append(member)
    return sorted(present or gone)


def formed_state(events: list[bytes], filter_: Filter) -> list[bytes]:
    """Events cut down to the fields that the filter asks for."""
    if filter_.event_fields is None:
        return events
    array = orjson.loads(b"[%s]" % b",".join(events))
    return [orjson.dumps(filter_.event_fields.of(event)) for event in array]
