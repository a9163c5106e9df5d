"""What an answer tells of one room.

https://github.com/matrix-org/matrix-spec-proposals/blob/main/proposals/4186-simplified-sliding-sync.md
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from weft.graph.snapshot import Snapshot
from weft.modules.events import EventForms, Sight, Viewer
from weft.modules.events.places import LAST
from weft.modules.events.user_rooms import Seat
from weft.modules.sliding_sync import store
from weft.modules.sync.joined_room import heroes
from weft.modules.sync.room_state import RoomStates, state_bytes
from weft.modules.sync.service import Surroundings
from weft.modules.sync.timeline import Timeline, Timelines
from weft.protocol.client_event import dumps, stripped
from weft.protocol.event import StateKey
from weft.protocol.filters import EventFilter, parse_event_filter
from weft.protocol.sliding_sync import RoomConfig
from weft.rooms.engine import Engine
from weft.rooms.room import Room
from weft.storage.events import StoredEvent
from weft.storage.positions import Vector

_MEMBER: Final = "m.room.member"
#: What is activity enough to bring a room to the top of a list of conversations.
BUMPS: Final = frozenset(
    {
        "m.room.create",
        "m.room.message",
        "m.room.encrypted",
        "m.sticker",
        "m.call.invite",
        "m.poll.start",
        "m.beacon_info",
        "org.matrix.msc3381.poll.start",
        "org.matrix.msc3672.beacon_info",
    }
)
#: How many of a room's events are looked at for one of those.
_LOOKED_AT: Final = 500
_FILTERS: Final[dict[int, EventFilter]] = {}

#: The places in a room's state that a member of the answer is made of: the name of that, and the key of the content.
_NAMED: Final[dict[StateKey, tuple[str, str]]] = {
    ("m.room.name", ""): ("name", "name"),
    ("m.room.avatar", ""): ("avatar", "url"),
}


@dataclass(slots=True, kw_only=True)
class RoomQuery:
    """What is to be told of a room.

    `since` is what the client has of it, None for nothing; `had` what it was told by then. `new` are all events beyond
    that, where they are at hand. `live_since` is where the client is: what lies beyond has just happened.
    """

    seat: Seat
    config: RoomConfig
    had: RoomConfig | None
    since: Vector | None
    live_since: Vector | None
    upto: Vector
    new: Sequence[StoredEvent] | None
    members_told: Collection[str]
    ignored: Collection[str]
    is_direct: bool
    lists: Sequence[str]


@dataclass(slots=True)
class Section:
    """Members of the answer's object, as JSON, and the members of the room that it tells of as they are needed."""

    members: dict[str, bytes] = field(default_factory=dict)
    told: set[str] = field(default_factory=set)
    #: The ids of the timeline's events.
    timeline: Collection[str] = ()


@dataclass(slots=True)
class _State:
    """Where a room's state goes: `changed` has the new ids, None for what is gone."""

    target: Snapshot
    changed: dict[StateKey, str | None]


class RoomSections:
    def __init__(self, engine: Engine, sight: Sight, forms: EventForms, around: Surroundings) -> None:
        self._engine = engine
        self._sight = sight
        self._forms = forms
        self._around = around
        self._timelines = Timelines(engine, sight)
        self._states = RoomStates(engine)

    async def outside(self, user_id: str, room: Room, query: RoomQuery) -> Section | None:
        """Of a room that the user is invited to, has knocked at, or was never in: what such a one may know."""
        member = await self._engine.rooms.event(query.seat.event_id)
        if member is None:
            return None
        state = [*await self._around.stripped_state(room, user_id), dumps(stripped(member.event))]
        told = b"[%s]" % b",".join(state)
        members = self._common(query)
        members["initial"] = b"true"
        members["bump_stamp"] = b"%d" % min(member.event.origin_server_ts, self._engine.outside.now_ms())
        members["stripped_state"] = members["invite_state"] = told
        return Section(members)

    async def inside(self, viewer: Viewer, room: Room, query: RoomQuery) -> Section | None:
        """Of a room that the user is in, or was in until a moment that they hear of."""
        target, until = room.current, LAST
        if query.seat.membership != "join":
            left = await self._engine.rooms.event(query.seat.event_id)
            if left is None or left.snapshot is None:
                # It came when nobody here was in the room any more.
                return await self.outside(viewer.user_id, room, query)
            target, until = await self._engine.rooms.snapshot(room, left.snapshot), left.order
        timeline, expanded = await self._timeline(viewer, room, query, until)
        state = await self._state(room, query, target)
        section = Section(self._common(query))
        members = section.members
        if query.since is None:
            members["initial"] = b"true"
        if expanded:
            members["expanded_timeline"] = members["unstable_expanded_timeline"] = b"true"
        members["bump_stamp"] = b"%d" % await self._bump_stamp(room)
        await self._tell_timeline(viewer, room, query, timeline, section)
        await self._tell_state(room, query, timeline, state, section)
        await self._tell_names(viewer.user_id, room, query, state, members)
        if query.seat.membership == "join":
            await self._tell_unread(viewer.user_id, room, members)
        return section

    def _common(self, query: RoomQuery) -> dict[str, bytes]:
        members = {
            "membership": orjson.dumps(query.seat.membership),
            "is_dm": b"true" if query.is_direct else b"false",
        }
        if query.lists:
            members["lists"] = orjson.dumps(query.lists)
        return members

    # -- the timeline

    async def _timeline(
        self, viewer: Viewer, room: Room, query: RoomQuery, until: tuple[int, int]
    ) -> tuple[Timeline, bool]:
        """The newest events; and whether there are more than news, because more are asked for than before."""
        limit = query.config.timeline_limit
        expands = query.since is not None and query.had is not None and limit > query.had.timeline_limit
        timeline = await self._timelines.of(
            room,
            viewer.user_id,
            new=None if expands else query.new,
            since=None if expands else query.since,
            upto=query.upto,
            event_filter=_of_limit(max(limit, 1)),
            ignored=query.ignored,
            until=until,
        )
        if not limit and timeline.events:
            timeline = Timeline([], True, timeline.prev_batch)
        since = query.since or Vector()
        return timeline, expands and any(one.stored.position in since for one in timeline.events)

    async def _tell_timeline(
        self, viewer: Viewer, room: Room, query: RoomQuery, timeline: Timeline, section: Section
    ) -> None:
        if not (timeline.events or timeline.limited or query.since is None):
            return
        members = section.members
        section.timeline = [one.stored.event.event_id for one in timeline.events]
        formed = await self._forms.seen(room, timeline.events, viewer, self._sight, with_room_id=False)
        live_since = query.live_since
        live = [one for one in timeline.events if live_since is not None and one.stored.position not in live_since]
        members["timeline"] = b"[%s]" % b",".join(formed)
        members["num_live"] = b"%d" % len(live)
        members["limited"] = b"true" if timeline.limited else b"false"
        members["prev_batch"] = orjson.dumps(timeline.prev_batch.spell())

    async def _bump_stamp(self, room: Room) -> int:
        """When something was last said, in milliseconds since the epoch."""
        now_ms = self._engine.outside.now_ms()
        for stored in reversed(room.timeline):
            if stored.event.type in BUMPS:
                return min(stored.event.origin_server_ts, now_ms)
        at_ms = await self._engine.database.read(store.last_bump, room.number, sorted(BUMPS), _LOOKED_AT)
        return min(at_ms or 0, now_ms)

    # -- the state

    async def _state(self, room: Room, query: RoomQuery, target: Snapshot) -> _State:
        differences = await self._states.differences(room, query.since, target) if query.since is not None else None
        if differences is None:
            return _State(target, dict(target.state.items()) if query.since is not None else {})
        return _State(target, {key: now for key, (_, now) in differences.items()})

    async def _tell_state(
        self, room: Room, query: RoomQuery, timeline: Timeline, state: _State, section: Section
    ) -> None:
        required = query.config.required_state
        told: dict[StateKey, str | None] = {}
        if query.since is None:
            told.update(required.of(state.target.state))
        else:
            told.update({key: now for key, now in state.changed.items() if required.matches(key)})
            if query.had is not None and query.had.required_state != required:
                before = query.had.required_state
                whole = required.of(state.target.state)
                told.update({key: event_id for key, event_id in whole.items() if not before.matches(key)})
        if required.lazy:
            told.update(self._lazily(query, timeline, state, section))
        if not told:
            return
        ids = [event_id for event_id in told.values() if event_id is not None]
        found = await self._engine.rooms.events(ids)
        events = [state_bytes(found[event_id]) for event_id in ids if event_id in found]
        events += [_stub(key) for key, event_id in told.items() if event_id is None]
        section.members["required_state"] = b"[%s]" % b",".join(events)

    def _lazily(
        self, query: RoomQuery, timeline: Timeline, state: _State, section: Section
    ) -> Iterable[tuple[StateKey, str | None]]:
        """The members that the timeline needs and the client does not have, and those that have changed."""
        mentioned = {one.stored.event.sender for one in timeline.events}
        mentioned.update(
            one.stored.event.state_key
            for one in timeline.events
            if one.stored.event.type == _MEMBER and one.stored.event.state_key is not None
        )
        for user_id in mentioned:
            key = (_MEMBER, user_id)
            event_id = state.target.state.get(key)
            if event_id is not None and user_id not in query.members_told:
                section.told.add(user_id)
                yield key, event_id
        if query.since is not None and not timeline.limited:
            for key, event_id in state.changed.items():
                if key[0] == _MEMBER:
                    section.told.add(key[1])
                    yield key, event_id

    # -- what the room is called

    async def _tell_names(
        self, user_id: str, room: Room, query: RoomQuery, state: _State, members: dict[str, bytes]
    ) -> None:
        is_new = query.since is None
        places = [key for key in _NAMED if is_new or key in state.changed]
        found = await self._contents(state.target, places)
        for key in places:
            name, of = _NAMED[key]
            value = found.get(key, {}).get(of)
            if isinstance(value, str) and value:
                members[name] = orjson.dumps(value)
            elif not is_new:
                members[name] = b"null"
        members_changed = any(key[0] == _MEMBER for key in state.changed)
        if not (is_new or members_changed or ("m.room.name", "") in state.changed):
            return
        if is_new or members_changed:
            members["joined_count"] = b"%d" % room.counts["join"]
            members["invited_count"] = b"%d" % room.counts["invite"]
        if not await self._has_name(state.target):
            members["heroes"] = orjson.dumps(await self._heroes(user_id, room))

    async def _has_name(self, target: Snapshot) -> bool:
        key = ("m.room.name", "")
        return bool((await self._contents(target, [key])).get(key, {}).get("name"))

    async def _heroes(self, user_id: str, room: Room) -> list[dict[str, str]]:
        keys = [(_MEMBER, hero) for hero in heroes(room, user_id)]
        contents = await self._contents(room.current, keys)
        told: list[dict[str, str]] = []
        for key in keys:
            hero = {"user_id": key[1]}
            for name in ("displayname", "avatar_url"):
                value = contents.get(key, {}).get(name)
                if isinstance(value, str):
                    hero[name] = value
            told.append(hero)
        return told

    async def _contents(self, target: Snapshot, keys: Iterable[StateKey]) -> dict[StateKey, Mapping[str, Any]]:
        ids = {key: event_id for key in keys if (event_id := target.state.get(key)) is not None}
        found = await self._engine.rooms.events(list(ids.values()))
        return {key: found[event_id].event.content for key, event_id in ids.items() if event_id in found}

    async def _tell_unread(self, user_id: str, room: Room, members: dict[str, bytes]) -> None:
        counts = await self._around.unread(user_id, room)
        members["notification_count"] = b"%d" % counts.all_notify
        members["highlight_count"] = b"%d" % counts.all_highlight


def _of_limit(limit: int) -> EventFilter:
    found = _FILTERS.get(limit)
    if found is None:
        found = _FILTERS[limit] = parse_event_filter({"limit": limit})
    return found


def _stub(key: StateKey) -> bytes:
    """State that is there no more."""
    return orjson.dumps({"type": key[0], "state_key": key[1]})
