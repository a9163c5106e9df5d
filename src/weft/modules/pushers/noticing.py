"""Whom an event notifies: a follower of the log that queues notifications for those who have a pusher.

The rules are asked as for the counts of unread events, with what those have worked out about the event already.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from types import MappingProxyType
from typing import Any

import orjson

from weft.graph.outcome import Outcome
from weft.modules.events import Sight
from weft.modules.pushers import store
from weft.modules.pushers.sending import Gateways
from weft.modules.pushers.store import Queued
from weft.modules.receipts.store import KIND as RECEIPT
from weft.modules.receipts.store import PRIVATE_KIND as PRIVATE_RECEIPT
from weft.modules.unread import Unread
from weft.protocol.invite_permissions import InvitePermissions
from weft.rooms.engine import Engine
from weft.rooms.room import Room
from weft.storage import events
from weft.storage.database import WriteTransaction
from weft.storage.events import StoredEvent
from weft.storage.followers import Follower
from weft.storage.positions import Entry


class Noticing:
    def __init__(
        self,
        engine: Engine,
        unread: Unread,
        sight: Sight,
        gateways: Gateways,
        invite_permissions: Callable[[str], Awaitable[InvitePermissions]],
    ) -> None:
        self._engine = engine
        self._unread = unread
        self._sight = sight
        self._gateways = gateways
        self._invite_permissions = invite_permissions
        #: Who has a pusher.
        self._users: set[str] = set()

    @property
    def follower(self) -> Follower:
        kinds = {"event", RECEIPT, PRIVATE_RECEIPT, store.KIND}
        return Follower("pushers", kinds, self._handle, from_beginning=False, session=self._session)

    @asynccontextmanager
    async def _session(self) -> AsyncIterator[None]:
        self._users = await self._engine.database.read(store.users)
        async with self._gateways.session():
            yield

    async def _handle(self, entries: Sequence[Entry]) -> None:
        queued: list[Queued] = []
        read: list[tuple[str, int]] = []
        urls: set[str] = set()
        for entry in entries:
            if entry.kind == store.KIND:
                urls |= await self._changed(entry.user_id or "")
            elif self._users and entry.kind == "event":
                queued += await self._noticed(entry)
            elif entry.user_id in self._users:
                room = await self._room_of(entry)
                queued += await self._queued(entry.user_id, room, entry.position)
                if not (await self._unread.counts(entry.user_id, room)).all_notify:
                    read.append((entry.user_id, room.number))
                    gone = (entry.user_id, room.number)
                    queued = [one for one in queued if not one.event_id or (one.user_id, one.room) != gone]
        if queued or read:

            def work(tx: WriteTransaction) -> None:
                store.drop_read(tx, read)
                store.queue(tx, queued)

            await self._engine.database.write(work)
        for url in urls.union(one.url for one in queued):
            self._gateways.wake(url)

    async def _changed(self, user_id: str) -> set[str]:
        pushers = await self._engine.database.get(store.of_user, user_id)
        if pushers:
            self._users.add(user_id)
        else:
            self._users.discard(user_id)
        return {pusher.url for pusher in pushers}

    async def _room_of(self, entry: Entry) -> Room:
        """Of a receipt; a private one names the room by its id."""
        room_id = await self._engine.rooms.room_id(entry.room) if entry.room is not None else entry.key or ""
        return await self._engine.rooms.get(room_id)

    async def _noticed(self, entry: Entry) -> list[Queued]:
        stored = entry.payload
        if not isinstance(stored, StoredEvent):
            found = await self._engine.database.read(events.by_positions, [entry.position])
            stored = found.get(entry.position)
        if stored is None or stored.outcome is not Outcome.ACCEPTED or stored.redacted_by is not None:
            return []
        event = stored.event
        room = await self._engine.rooms.get(event.room_id)
        queued: list[Queued] = []
        for user_id in self._concerned(room, event.state_key):
            if event.sender == user_id:
                # Who writes has read the room.
                queued += await self._queued(user_id, room, stored.position)
                continue
            invited = event.membership == "invite" and event.state_key == user_id
            if not invited and room.membership(user_id) != "join":
                continue
            reader = await self._unread.reader(user_id, room)
            if event.state_key is None and event.sender in reader.ignored:
                continue
            if invited and not await self._shows_invite(user_id, event.sender, reader.ignored):
                continue
            actions = await self._unread.actions(reader, room, stored)
            if actions is not None and (invited or await self._sight.may_see(room, user_id, stored)):
                queued += await self._queued(user_id, room, stored.position, event.event_id, actions.tweaks)
        return queued

    async def _shows_invite(self, user_id: str, inviter: str, ignored: Collection[str]) -> bool:
        return inviter not in ignored and (await self._invite_permissions(user_id)).shows(inviter)

    def _concerned(self, room: Room, state_key: str | None) -> set[str]:
        """Who has a pusher and is in the room, or is the subject of a member event."""
        if len(self._users) < len(room.memberships):
            there = {user_id for user_id in self._users if room.membership(user_id) == "join"}
        else:
            there = self._users.intersection(room.members("join"))
        return there | {state_key} if state_key in self._users else there

    async def _queued(
        self,
        user_id: str,
        room: Room,
        position: int,
        event_id: str = "",
        tweaks: Mapping[str, Any] = MappingProxyType({}),
    ) -> list[Queued]:
        """A notification for each of a user's pushers; without an event, one of the counts."""
        spelled = orjson.dumps(dict(tweaks)).decode()
        now_ms = self._engine.outside.now_ms()
        return [
            Queued(user_id, one.app_id, one.pushkey, event_id, room.number, position, one.url, spelled, now_ms)
            for one in await self._engine.database.get(store.of_user, user_id)
        ]
