"""Which events of a room another server may see: history visibility, asked for all of its users at once.

What a server may not see it still gets in redacted form: the graph must hang together everywhere.

The common case, a server that is in a room whose history was never closed, costs one look at an index; everything
else goes by the states at the events.

https://spec.matrix.org/v1.19/client-server-api/#room-history-visibility
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Final, NamedTuple

from weft.protocol.event import StateKey
from weft.protocol.identifiers import domain_of
from weft.protocol.visibility import HistoryVisibility, history_visibility, is_visible_to_server
from weft.rooms.access import is_in
from weft.rooms.engine import Engine
from weft.rooms.room import Room
from weft.storage import snapshots
from weft.storage.database import Transaction
from weft.storage.events import StoredEvent

_VISIBILITY: Final[StateKey] = ("m.room.history_visibility", "")
_OPEN: Final = frozenset({"shared", "world_readable"})
#: How often a room's history may have been opened and closed before nobody looks through all of it.
_MAX_CHANGES: Final = 50

#: What differs from the present state in the places that decide.
_Differences = Mapping[StateKey, str | None]


class ServerSight:
    """Answers what of a room the users of a server may see."""

    def __init__(self, engine: Engine, *, erased: Collection[str] = ()) -> None:
        self._engine = engine
        #: Users who left this server and wanted what they wrote to be erased; whoever gave it keeps it true.
        self._erased = erased

    async def pdus(self, room: Room, origin: str, stored: Sequence[StoredEvent]) -> list[bytes]:
        """Events of the room in the form in which the server may have them, in the same order."""
        visible = await self.visible(room, origin, stored)
        return [one.event.wire if one.event.event_id in visible else one.event.redacted().wire for one in stored]

    async def visible(self, room: Room, origin: str, stored: Sequence[StoredEvent]) -> set[str]:
        """The ids of those of the events that the server may see."""
        shown = [one for one in stored if one.event.sender not in self._erased]
        if is_in(room, origin) and await self._was_always_open(room):
            return {one.event.event_id for one in shown}
        return await self._by_state(room, origin, shown) if shown else set()

    async def _was_always_open(self, room: Room) -> bool:
        ids = await self._engine.database.get(_visibility_events, room.number)
        if len(ids) > _MAX_CHANGES:
            return False
        found = await self._engine.rooms.events(ids)
        return all(_visibility(one) in _OPEN for one in found.values())

    async def was_there(self, room: Room, origin: str, stored: Sequence[StoredEvent]) -> bool:
        """Whether users of the server were joined when any of the events happened."""
        return any(
            "join" in before.memberships or "join" in after.memberships
            for _, before, after in await self._moments(room, origin, stored)
        )

    async def _by_state(self, room: Room, origin: str, stored: Sequence[StoredEvent]) -> set[str]:
        is_member = is_in(room, origin)
        return {
            one.event.event_id
            for one, before, after in await self._moments(room, origin, stored)
            if is_visible_to_server(
                before.visibility,
                before.memberships.keys(),
                joined_since=is_member,
                visibility_after=after.visibility,
                memberships_after=after.memberships.keys(),
            )
        }

    async def _moments(
        self, room: Room, origin: str, stored: Sequence[StoredEvent]
    ) -> list[tuple[StoredEvent, _Moment, _Moment]]:
        """Those of the events that have a place in the graph, each with the moments before and after it."""
        present = {user_id: m for user_id, m in room.memberships.items() if domain_of(user_id) == origin}
        now_visible = room.state_id(*_VISIBILITY)
        newest_first = sorted(stored, key=lambda one: one.order, reverse=True)
        wanted = dict.fromkeys(one.snapshot for one in newest_first if one.snapshot is not None)
        states = await self._engine.database.read(_differences, room.current.id, list(wanted), origin)
        known = await self._events(states, stored, now_visible)
        moments = {
            snapshot: _Moment(
                _visibility(known.get(state.get(_VISIBILITY, now_visible) or "")),
                Counter({**present, **_memberships(state, known)}.values()),
            )
            for snapshot, state in states.items()
        }
        return [
            (one, _before(one, moments[one.snapshot], known.get(one.replaces or ""), origin), moments[one.snapshot])
            for one in stored
            if one.snapshot is not None
        ]

    async def _events(
        self, states: Mapping[int, _Differences], stored: Sequence[StoredEvent], now_visible: str | None
    ) -> Mapping[str, StoredEvent]:
        ids = {event_id for state in states.values() for event_id in state.values() if event_id is not None}
        ids.update(one.replaces for one in stored if one.replaces is not None)
        if now_visible is not None:
            ids.add(now_visible)
        return await self._engine.rooms.events(ids)


class _Moment(NamedTuple):
    """What decides about sight in one state; `memberships` are how many of the server's users have each."""

    visibility: HistoryVisibility
    memberships: Counter[str]


def _before(stored: StoredEvent, after: _Moment, replaced: StoredEvent | None, origin: str) -> _Moment:
    """The moment before an event, from that after it and what the event replaced."""
    event = stored.event
    if event.state_key is None or stored.outcome.is_rejected:
        return after
    if event.key == _VISIBILITY:
        return after._replace(visibility=_visibility(replaced))
    if event.membership is None or domain_of(event.state_key) != origin:
        return after
    then = replaced.event.membership if replaced is not None else None
    memberships = after.memberships - Counter([event.membership])
    memberships.update([then] if then is not None else [])
    return after._replace(memberships=memberships)


def _memberships(state: _Differences, known: Mapping[str, StoredEvent]) -> dict[str, str]:
    """The memberships that differ from the present ones, by user id; "leave" for who had none yet."""
    found: dict[str, str] = {}
    for (event_type, state_key), event_id in state.items():
        if event_type == "m.room.member":
            stored = known.get(event_id) if event_id is not None else None
            found[state_key] = (stored.event.membership if stored is not None else None) or "leave"
    return found


def _visibility(stored: StoredEvent | None) -> HistoryVisibility:
    return history_visibility(stored.event.content if stored is not None else None)


def _visibility_events(tx: Transaction, room: int) -> list[str]:
    """Every event that ever set the room's history visibility, on whatever branch of its graph; not many too many."""
    rows = tx.all(
        """SELECT event_id FROM events WHERE room = :room AND type = 'm.room.history_visibility'
           AND state_key = '' AND state_key IS NOT NULL AND outcome <> 2 LIMIT :limit""",
        room=room,
        limit=_MAX_CHANGES + 1,
    )
    return [event_id for (event_id,) in rows]


def _differences(tx: Transaction, present: int, wanted: Sequence[int], origin: str) -> dict[int, _Differences]:
    """How each of some states differs from the present one in history visibility and in the server's members.

    Each is compared with the one before it: neighbours differ little.
    """
    found: dict[int, _Differences] = {}
    differing: dict[StateKey, str | None] = {}
    previous = present
    for snapshot in wanted:
        if snapshot != previous:
            for key, (_, then) in snapshots.changes_between(tx, previous, snapshot).items():
                if key == _VISIBILITY or (key[0] == "m.room.member" and key[1].partition(":")[2] == origin):
                    differing[key] = then
        found[snapshot] = dict(differing)
        previous = snapshot
    return found
