"""Who sees which events of a room: history visibility, applied to the state at each event.

The common case, a member in a room whose history has always been shared, is answered from memory; everything else is
looked up in the room's historic states.

https://spec.matrix.org/v1.19/client-server-api/#room-history-visibility
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

from weft.modules.events.expiry import Expiry
from weft.protocol.event import StateKey
from weft.protocol.visibility import HistoryVisibility, history_visibility, is_visible
from weft.rooms.engine import Engine
from weft.rooms.room import Room
from weft.storage import snapshots
from weft.storage.database import Transaction
from weft.storage.events import StoredEvent

_VISIBILITY: StateKey = ("m.room.history_visibility", "")
_OPEN = frozenset({"shared", "world_readable"})
#: How far back a user's own membership events are followed.
_MAX_SPANS = 500


class Span(NamedTuple):
    """From the place `order` on, the user had this membership."""

    order: tuple[int, int]
    membership: str


class Seen(NamedTuple):
    """An event that somebody may see, with their membership at it."""

    stored: StoredEvent
    membership: str


class Sight:
    """Answers what of a room a user may see. What has expired, nobody does."""

    def __init__(self, engine: Engine, expiry: Expiry) -> None:
        self._engine = engine
        self._expiry = expiry

    async def of(
        self, room: Room, user_id: str, stored: Sequence[StoredEvent], ignored: Collection[str] = ()
    ) -> list[Seen]:
        """Those of the events that the user may see, in the same order. Messages of ignored users are left out."""
        stored = await self.wanted(room, stored, ignored)
        if not stored:
            return []
        if await self._is_shared(room, user_id):
            spans = room.spans.get(user_id) or await self.spans(room, user_id)
            oldest = min(one.event.depth for one in stored)
            if spans and spans[0].order[0] < oldest:
                now = spans[0].membership
                return [Seen(one, now) for one in stored]
            return [Seen(one, membership_at(spans, one.order)) for one in stored]
        return await self._by_state(room, user_id, stored)

    async def wanted(
        self, room: Room, stored: Sequence[StoredEvent], ignored: Collection[str] = ()
    ) -> Sequence[StoredEvent]:
        """Those of the events that are no message of an ignored user, and have not expired; whoever may see them."""
        if ignored:
            stored = [s for s in stored if s.event.state_key is not None or s.event.sender not in ignored]
        if self._expiry.is_on(room):
            stored = await self._fresh(room, stored)
        return stored

    async def _fresh(self, room: Room, stored: Sequence[StoredEvent]) -> Sequence[StoredEvent]:
        """Those of the events that have not expired. State never does."""
        before_ms = await self._expiry.before_ms(room)
        if before_ms is None:
            return stored
        return [one for one in stored if one.event.state_key is not None or one.event.origin_server_ts >= before_ms]

    async def may_see(self, room: Room, user_id: str, stored: StoredEvent) -> bool:
        """Whether the user may see one event."""
        return bool(await self.of(room, user_id, [stored]))

    async def is_open(self, room: Room, user_id: str) -> bool:
        """Whether all of the room's history is the user's to see: cheap, and only says yes where it is sure."""
        return not self._expiry.is_on(room) and await self._is_shared(room, user_id)

    async def _is_shared(self, room: Room, user_id: str) -> bool:
        current = await self._visibility_event(room)
        visibility = _visibility(current)
        if current is not None and current.replaces is not None and not await self._was_always_open(current):
            return False
        # Somebody from outside sees only what was said while the room was open to the world: that is looked up.
        return visibility in _OPEN and room.membership(user_id) == "join"

    def is_open_now(self, room: Room, user_id: str) -> bool:
        """As `is_open`, from what is in memory; False may mean that it is not known."""
        if self._expiry.is_on(room):
            return False
        event_id = room.current.state.get(_VISIBILITY)
        if event_id is None:
            return room.membership(user_id) == "join"
        stored = self._engine.rooms.cached_event(event_id)
        if stored is None or stored.replaces is not None:
            return False
        return _visibility(stored) in _OPEN and room.membership(user_id) == "join"

    async def spans(self, room: Room, user_id: str) -> tuple[Span, ...]:
        """The user's memberships of the room, newest first, along the events that replaced each other."""
        known = room.spans.get(user_id)
        if known is not None:
            return known
        found: list[Span] = []
        newest = event_id = room.state_id("m.room.member", user_id)
        while event_id is not None and len(found) < _MAX_SPANS:
            stored = await self._engine.rooms.event(event_id)
            if stored is None:
                break
            found.append(Span(stored.order, stored.event.membership or "leave"))
            event_id = stored.replaces
        spans = tuple(found)
        if room.state_id("m.room.member", user_id) == newest:
            room.spans[user_id] = spans
        return spans

    async def joined_at(self, room: Room, user_id: str) -> tuple[int, int] | None:
        """The place at which the user's present, unbroken stay in the room began; None for one who is not in it."""
        start = None
        for span in await self.spans(room, user_id):
            if span.membership != "join":
                break
            start = span.order
        return start

    async def _visibility_event(self, room: Room) -> StoredEvent | None:
        event_id = room.current.state.get(_VISIBILITY)
        return await self._engine.rooms.event(event_id) if event_id is not None else None

    async def _was_always_open(self, current: StoredEvent) -> bool:
        seen = 0
        stored: StoredEvent | None = current
        while stored is not None and stored.replaces is not None and seen < _MAX_SPANS:
            stored = await self._engine.rooms.event(stored.replaces)
            seen += 1
            if stored is None or _visibility(stored) not in _OPEN:
                return False
        return stored is not None and stored.replaces is None

    async def _by_state(self, room: Room, user_id: str, stored: Sequence[StoredEvent]) -> list[Seen]:
        member: StateKey = ("m.room.member", user_id)
        wanted = {one.snapshot for one in stored if one.snapshot is not None}
        states = await self._engine.database.read(_states_at, wanted, [_VISIBILITY, member])
        event_ids = {event_id for state in states.values() for event_id in state.values()}
        before_ids = {one.replaces for one in stored if one.replaces and one.event.state_key is not None}
        known = await self._engine.rooms.events(event_ids | before_ids)
        spans = await self.spans(room, user_id)
        seen: list[Seen] = []
        for one in stored:
            state = states.get(one.snapshot) if one.snapshot is not None else None
            if state is None:
                continue
            after = _At(
                _visibility(known.get(state.get(_VISIBILITY, ""))), _membership(known.get(state.get(member, "")))
            )
            before = after
            if one.event.state_key is not None and one.event.key in (_VISIBILITY, member):
                replaced = known.get(one.replaces or "")
                before = (
                    after._replace(visibility=_visibility(replaced))
                    if one.event.key == _VISIBILITY
                    else after._replace(membership=_membership(replaced))
                )
            # Whoever turns an invitation down, or is put out, must hear of that much.
            is_own_end = one.event.state_key == user_id and one.event.membership in ("leave", "ban")
            if is_own_end or is_visible(
                before.visibility,
                before.membership,
                joined_since=_joined_after(spans, one.order),
                visibility_after=after.visibility,
                membership_after=after.membership,
            ):
                seen.append(Seen(one, after.membership or "leave"))
        return seen


class _At(NamedTuple):
    """What decides about sight, at one event."""

    visibility: HistoryVisibility
    membership: str | None


def membership_at(spans: Sequence[Span], order: tuple[int, int]) -> str:
    """The membership that was in force at a place; "leave" before the first."""
    for span in spans:
        if span.order <= order:
            return span.membership
    return "leave"


def _joined_after(spans: Sequence[Span], order: tuple[int, int]) -> bool:
    """Whether the user was a member at some time after a place."""
    ends = [None, *(span.order for span in spans)]
    return any(
        span.membership == "join" and (end is None or end > order) for span, end in zip(spans, ends, strict=False)
    )


def _states_at(tx: Transaction, wanted: Collection[int], keys: Sequence[StateKey]) -> dict[int, dict[StateKey, str]]:
    return {snapshot: snapshots.entries(tx, snapshot, keys) for snapshot in wanted}


def _visibility(stored: StoredEvent | None) -> HistoryVisibility:
    return history_visibility(stored.event.content if stored is not None else None)


def _membership(stored: StoredEvent | None) -> str | None:
    return stored.event.membership if stored is not None else None
