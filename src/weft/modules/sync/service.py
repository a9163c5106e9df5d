"""Answers `/sync`: decides what concerns the user, waits if there is nothing, and puts the sections together.

An answer holds all that is in the log between two vectors: what the client's token says it has, and this process's
head at the time of asking. What it costs grows with what happened in between to the user's rooms, and not with how
many rooms there are.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from weft.http.call import Requester
from weft.modules.events import EventForms, Sight, Viewer
from weft.modules.events.places import parse_sync_token
from weft.modules.events.user_rooms import Seat, UserRooms
from weft.modules.module import SyncPart
from weft.modules.sync.answer import Answer, Window, event_list, json_object, nothing_new
from weft.modules.sync.joined_room import JoinedRooms
from weft.modules.sync.left_room import LeftRooms
from weft.modules.sync.room_state import RoomStates
from weft.modules.sync.timeline import Timelines
from weft.modules.sync.waking import Waking
from weft.modules.unread import Counts
from weft.protocol.api.client.sync import SyncRequest
from weft.protocol.client_event import dumps, stripped
from weft.protocol.filters import Filter, parse_filter
from weft.protocol.invite_permissions import InvitePermissions
from weft.rooms.engine import Engine
from weft.rooms.room import Room
from weft.storage.events import StoredEvent
from weft.storage.positions import Entry, Vector

_MAX_WAIT_MS = 10 * 60 * 1000
_EVERYTHING = parse_filter({})
#: The kinds of entries of which rooms' timelines and states tell. What else belongs to a room is added by the parts.
_TOLD_IN_ROOMS = frozenset({"event", "resolution"})


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What sync asks of other modules."""

    #: A user's filter, by id or as JSON text.
    filter_of: Callable[[str, str], Awaitable[Filter]]
    ignored_users: Callable[[str], Awaitable[Collection[str]]]
    #: Whether a user wants no invitations at all.
    invite_permissions: Callable[[str], Awaitable[InvitePermissions]]
    #: The stripped state of a room, for a user who is not in it.
    stripped_state: Callable[[Room, str], Awaitable[Sequence[bytes]]]
    #: What the user has not read in a room that they are in.
    unread: Callable[[str, Room], Awaitable[Counts]]
    #: Has that at hand for several rooms.
    have_unread: Callable[[str, Sequence[Room]], Awaitable[None]]
    #: Called with the presence that the client reports, and for how many milliseconds it may wait.
    seen: Callable[[Requester, str, int], Awaitable[None]]
    #: What every answer tells a device of itself, news or not, as members of the answer.
    about_device: Callable[[Requester], Awaitable[Mapping[str, bytes]]]
    #: Called with what the device has of the messages to it.
    acknowledged: Callable[[Requester, Vector], Awaitable[None]]


class SyncService:
    def __init__(
        self,
        engine: Engine,
        *,
        user_rooms: UserRooms,
        sight: Sight,
        forms: EventForms,
        parts: Sequence[SyncPart],
        around: Surroundings,
    ) -> None:
        self._engine = engine
        self._user_rooms = user_rooms
        self._parts = parts
        self._around = around
        self.waking = Waking(engine, parts)
        timelines, states = Timelines(engine, sight), RoomStates(engine)
        self._joined = JoinedRooms(engine, sight, forms, timelines, states)
        self._left = LeftRooms(engine, sight, forms, timelines, states)

    async def sync(self, requester: Requester, args: SyncRequest) -> bytes:
        """One answer, as JSON. Waits up to `timeout` while there is nothing to tell."""
        since, left = parse_sync_token(args.since) if args.since else (None, None)
        if since is not None:
            await self._engine.log.catch_up(since)
            await self._around.acknowledged(requester, left or since)
        filter_ = await self._around.filter_of(requester.user_id, args.filter) if args.filter else _EVERYTHING
        wait_ms = min(args.timeout, _MAX_WAIT_MS) if since is not None and not args.full_state else 0
        await self._around.seen(requester, args.set_presence, wait_ms)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + wait_ms / 1000
        while True:
            await self.waking.ready(requester.user_id, since)
            upto = self._engine.log.head
            answer = await self._answer(requester, args, filter_, since, upto, left)
            if answer is not None:
                return answer
            remaining = deadline - loop.time()
            if remaining <= 0 or self._engine.log.closed:
                return nothing_new(upto, await self._around.about_device(requester))
            if self._engine.log.head == upto:
                await self._engine.log.wait(requester.user_id, remaining)

    async def _answer(
        self,
        requester: Requester,
        args: SyncRequest,
        filter_: Filter,
        since: Vector | None,
        upto: Vector,
        left: Vector | None,
    ) -> bytes | None:
        """The answer, or None where there is nothing to tell. `left`: where messages to the device go on, if not at
        `since`."""
        if upto == since and not args.full_state and left is None:
            return None
        seats = await self._user_rooms.of(requester.user_id)
        entries = self._engine.log.since(since) if since is not None and not args.full_state else None
        whole = since is None or args.full_state
        if entries is not None:
            entries = [e for e in entries if e.position in upto and self.waking.concerns(e, requester.user_id, seats)]
            if not entries and left is None:
                return None
        # What is in memory moves on while this waits for something; the answer is about this moment.
        seats = dict(seats)
        answer = Answer(requester, Window(since, upto, entries, left or since), filter_, seats)
        if entries is None or not _TOLD_IN_ROOMS.isdisjoint([entry.kind for entry in entries]):
            await self._rooms(answer, args, seats, entries, whole)
        await self._contribute(answer, entries)
        await self._count_unread(answer)
        answer.about_device = await self._around.about_device(requester)
        return None if answer.is_empty and not whole else answer.json()

    # -- the sections

    async def _rooms(
        self,
        answer: Answer,
        args: SyncRequest,
        seats: dict[str, Seat],
        entries: Sequence[Entry] | None,
        whole: bool,
    ) -> None:
        ignored = await self._around.ignored_users(answer.user_id)
        viewer = Viewer(answer.user_id, answer.requester.device_id, frozenset(ignored))
        new = self._new_events(entries)
        await self._joined.add(
            answer,
            viewer,
            new=new,
            resolved={e.room for e in entries or () if e.kind == "resolution" and e.room is not None},
            ignored=ignored,
            full_state=args.full_state,
            state_name=state_name(args),
        )
        changed = self._changed_seats(answer, seats, new, whole)
        for room_id, seat in changed.items():
            if not answer.filter.wants_room(room_id):
                continue
            if seat.membership in ("invite", "knock"):
                await self._add_outside(answer, room_id, seat, ignored)
            elif seat.membership in ("leave", "ban") and not seat.forgotten:
                await self._left.add(answer, viewer, room_id, seat, ignored=ignored, state_name=state_name(args))

    def _new_events(self, entries: Sequence[Entry] | None) -> dict[int, list[StoredEvent]] | None:
        if entries is None:
            return None
        new: dict[int, list[StoredEvent]] = {}
        for entry in entries:
            if entry.kind == "event" and entry.room is not None and isinstance(entry.payload, StoredEvent):
                new.setdefault(entry.room, []).append(entry.payload)
        return new

    def _changed_seats(
        self, answer: Answer, seats: dict[str, Seat], new: dict[int, list[StoredEvent]] | None, whole: bool
    ) -> dict[str, Seat]:
        """The rooms that the user is not in and has to hear of."""
        if new is not None:
            touched = {events[0].event.room_id for events in new.values()}
            return {
                room_id: seats[room_id]
                for room_id in touched
                if room_id in seats and seats[room_id].membership != "join"
            }
        return {
            room_id: seat
            for room_id, seat in seats.items()
            if seat.membership != "join"
            and (
                (answer.since is not None and seat.position not in answer.since)
                or (whole and (seat.membership in ("invite", "knock") or answer.filter.include_leave))
            )
        }

    async def _add_outside(self, answer: Answer, room_id: str, seat: Seat, ignored: Collection[str]) -> None:
        room = await self._engine.rooms.get(room_id)
        member = await self._engine.rooms.event(seat.event_id)
        if member is None:
            return
        if seat.membership == "invite" and not await self._shows(answer.user_id, member.event.sender, ignored):
            return
        outside = await self._around.stripped_state(room, answer.user_id)
        state = event_list([*outside, dumps(stripped(member.event))])
        if seat.membership == "invite":
            answer.invite[room_id] = b'{"invite_state":%s}' % state
        else:
            answer.knock[room_id] = b'{"knock_state":%s}' % state

    async def _shows(self, user_id: str, inviter: str, ignored: Collection[str]) -> bool:
        return inviter not in ignored and (await self._around.invite_permissions(user_id)).shows(inviter)

    async def _count_unread(self, answer: Answer) -> None:
        if len(answer.join) > 1:
            await self._around.have_unread(
                answer.user_id, [await self._engine.rooms.get(room_id) for room_id in answer.join]
            )
        for room_id, section in answer.join.items():
            counts = await self._around.unread(answer.user_id, await self._engine.rooms.get(room_id))
            if answer.filter.unread_thread_notifications:
                section.members["unread_notifications"] = _unread_json(counts.notify, counts.highlight)
                if counts.threads:
                    threads = {thread: _unread_json(*numbers) for thread, numbers in counts.threads.items()}
                    section.members["unread_thread_notifications"] = json_object(threads)
            else:
                section.members["unread_notifications"] = _unread_json(counts.all_notify, counts.all_highlight)

    async def _contribute(self, answer: Answer, entries: Sequence[Entry] | None) -> None:
        kinds = None if entries is None else {entry.kind for entry in entries}
        every = kinds is None or bool(answer.newly_joined) or answer.to_device_since != answer.since
        for part in self._parts:
            if every or not part.kinds.isdisjoint(kinds or ()):
                await part.contribute(answer)


def _unread_json(notify: int, highlight: int) -> bytes:
    return b'{"notification_count":%d,"highlight_count":%d}' % (notify, highlight)


def state_name(args: SyncRequest) -> str:
    """Which member of a room's section tells its state."""
    if args.use_state_after:
        return "state_after"
    return "org.matrix.msc4222.state_after" if args.unstable_use_state_after else "state"
