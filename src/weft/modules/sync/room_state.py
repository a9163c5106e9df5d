"""Which state a client is told besides a timeline, so that both together give the room's state.

https://spec.matrix.org/v1.19/client-server-api/#syncing
https://spec.matrix.org/v1.19/client-server-api/#lazy-loading-room-members
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from weft.graph.snapshot import Snapshot, differing
from weft.modules.events.sight import Seen
from weft.protocol.client_event import spliced
from weft.protocol.event import StateKey
from weft.protocol.filters import EventFilter, Filter
from weft.rooms.engine import Engine
from weft.rooms.room import Room
from weft.storage import events, snapshots
from weft.storage.events import StoredEvent
from weft.storage.positions import Vector

_KEPT_DEVICES = 10_000
_KEPT_BYTES = 16


@dataclass(frozen=True, slots=True)
class StateQuery:
    """What the state section is to be made for."""

    user_id: str
    device_id: str | None
    filter: Filter
    #: What the client has of the room; None: nothing.
    since: Vector | None
    #: The state in which it is to end up.
    target: Snapshot
    timeline: Sequence[Seen]
    #: Told as `state_after`: all that changed, what the timeline shows too.
    after: bool
    #: The members by whom the summary has a nameless room called; a client that loads members lazily needs them.
    heroes: Sequence[str] = ()


class RoomStates:
    """Finds the state events to tell, as bytes."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        #: Whose member events a device has been told, by (user, device, room); only spares repetition.
        self._told: OrderedDict[tuple[str, str | None, str], set[str]] = OrderedDict()

    async def of(self, room: Room, query: StateQuery) -> list[bytes]:
        """The events of the state section."""
        chosen = query.filter.room_state
        if chosen.passes_nothing or not chosen.wants_room(room.id):
            return []
        if query.since is None:
            return await self._whole(room, query)
        changed = await self._changed(room, query)
        if query.filter.lazy_load_members:
            changed = self._lazily(room, query, changed)
        return await self._bytes(changed.values(), chosen)

    async def differences(
        self, room: Room, since: Vector, target: Snapshot
    ) -> dict[StateKey, tuple[str | None, str | None]] | None:
        """What was and what is in each place whose state has changed since a cut; None if there was no state then."""
        old = await self._state_at(room, since)
        if old is None:
            return None
        return await self._differences(room, old, target) if old != target.id else {}

    async def _whole(self, room: Room, query: StateQuery) -> list[bytes]:
        """The state before the timeline, for a client that has nothing."""
        chosen = query.filter.room_state
        lazy = query.filter.lazy_load_members
        key = (query.target.id, query.timeline[0].stored.event.event_id if query.timeline else "", lazy, query.after)
        cacheable = chosen.passes_everything
        known = room.state_bytes.get(key) if cacheable else None
        if known is None:
            before = await self._before(room, query)
            shown = {} if query.after else _last_shown(query.timeline)
            told = {
                k: (before.state.get(k) if k in shown else event_id)
                for k, event_id in query.target.state.items()
                if not (lazy and k[0] == "m.room.member")
            }
            known = b",".join(await self._bytes([e for e in told.values() if e is not None], chosen))
            if cacheable:
                if len(room.state_bytes) >= _KEPT_BYTES:
                    room.state_bytes.clear()
                room.state_bytes[key] = known
        found = [known] if known else []
        if lazy:
            self._told.pop((query.user_id, query.device_id, room.id), None)
            members = self._lazily(room, query, {})
            found += await self._bytes(members.values(), chosen)
        return found

    async def _before(self, room: Room, query: StateQuery) -> Snapshot:
        """The state before the first event of the timeline."""
        if not query.timeline:
            return query.target
        first = query.timeline[0].stored
        if first.snapshot is None:
            return query.target
        snapshot = await self._engine.rooms.snapshot(room, first.snapshot)
        if first.event.state_key is None:
            return snapshot
        if snapshot.parent is not None:
            return snapshot.parent
        if snapshot.parent_id is not None:
            return await self._engine.rooms.snapshot(room, snapshot.parent_id)
        return snapshot

    async def _changed(self, room: Room, query: StateQuery) -> dict[StateKey, str]:
        """What differs between what the client has and what it is to have, less what the timeline will tell it."""
        old = await self._state_at(room, query.since or Vector())
        if old is None:
            return dict(query.target.state.items())
        if old == query.target.id:
            return {}
        differences = await self._differences(room, old, query.target)
        if query.after:
            return {key: new for key, (_, new) in differences.items() if new is not None}
        shown = _last_shown(query.timeline)
        all_shown = all(shown.get(key) == new for key, (_, new) in differences.items())
        if all_shown and not self._is_gappy(query, differences):
            return {}
        before = await self._before(room, query)
        changed: dict[StateKey, str] = {}
        for key, (was, new) in differences.items():
            event_id = before.state.get(key) if key in shown else new
            if event_id is not None and event_id != was:
                changed[key] = event_id
        return changed

    def _is_gappy(self, query: StateQuery, differences: Mapping[StateKey, tuple[str | None, str | None]]) -> bool:
        """Whether a value that was there for a while may have been left out between the old state and the timeline."""
        first: dict[StateKey, str | None] = {}
        for seen in query.timeline:
            if seen.stored.event.state_key is not None:
                first.setdefault(seen.stored.event.key, seen.stored.replaces)
        return any(first.get(key) != was for key, (was, _) in differences.items())

    async def _differences(
        self, room: Room, old: int, target: Snapshot
    ) -> dict[StateKey, tuple[str | None, str | None]]:
        known = room.snapshots.get(old)
        keys = differing(known, target) if known is not None else None
        if known is not None and keys is not None:
            return {key: (known.state.get(key), target.state.get(key)) for key in keys}
        return await self._engine.database.read(snapshots.changes_between, old, target.id)

    async def _state_at(self, room: Room, cut: Vector) -> int | None:
        """The snapshot of the room's state as of a cut."""
        for stored in reversed(room.timeline):
            if stored.position in cut:
                return stored.snapshot
        if room.timeline_whole:
            return None
        found = await self._engine.database.read(events.newest_within, room.number, cut)
        return found.snapshot if found is not None else None

    def _lazily(self, room: Room, query: StateQuery, changed: Mapping[StateKey, str]) -> dict[StateKey, str]:
        """Of the members, those whom timeline or summary mention and the device has not been told."""
        told_key = (query.user_id, query.device_id, room.id)
        told = self._told.setdefault(told_key, set())
        self._told.move_to_end(told_key)
        while len(self._told) > _KEPT_DEVICES:
            self._told.popitem(last=False)
        kept = {key: event_id for key, event_id in changed.items() if key[0] != "m.room.member" or key[1] in told}
        mentioned: dict[str, None] = dict.fromkeys([query.user_id] if query.since is None else [])
        mentioned.update(dict.fromkeys(seen.stored.event.sender for seen in query.timeline))
        mentioned.update(dict.fromkeys(query.heroes))
        shown = (
            {s.stored.event.state_key for s in query.timeline if s.stored.event.type == "m.room.member"}
            if not query.after
            else set()
        )
        for user_id in mentioned:
            key = ("m.room.member", user_id)
            event_id = query.target.state.get(key)
            if event_id is None or user_id in shown:
                continue
            if user_id not in told or query.filter.include_redundant_members:
                kept[key] = event_id
        told.update(mentioned)
        told.update(user_id for user_id in shown if user_id is not None)
        return kept

    async def _bytes(self, event_ids: Iterable[str], chosen: EventFilter) -> list[bytes]:
        wanted = list(event_ids)
        found = await self._engine.rooms.events(wanted)
        return [
            state_bytes(found[event_id]) for event_id in wanted if event_id in found and _wants(chosen, found[event_id])
        ]


def state_bytes(stored: StoredEvent) -> bytes:
    """A state event outside of a timeline; the same for every viewer, at every time."""
    return spliced(stored.client, b"{%s}" % stored.replaced if stored.replaced is not None else None)


def _wants(chosen: EventFilter, stored: StoredEvent) -> bool:
    event = stored.event
    return chosen.passes_everything or chosen.wants(event.type, event.sender, has_url="url" in event.content)


def _last_shown(timeline: Collection[Seen]) -> dict[StateKey, str]:
    """The last state event that a timeline shows for each place."""
    return {s.stored.event.key: s.stored.event.event_id for s in timeline if s.stored.event.state_key is not None}
