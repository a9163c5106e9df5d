"""Who is typing: in memory in every process, because the log's entries carry all of it.

A time that passes changes nothing by itself: one process looks every second whose time has passed, and says so in the
log, which wakes those who wait.

https://spec.matrix.org/v1.19/client-server-api/#typing-notifications
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import orjson

from weft.modules.typing import store
from weft.modules.typing.store import KIND, Row
from weft.protocol.errors import Forbidden
from weft.rooms.engine import Engine
from weft.rooms.room import Room
from weft.storage.positions import Entry

_DEFAULT_MS = 30_000
_MAX_MS = 120_000


class Typing:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        engine.purging.tables["typing"] = "room, user_id"
        #: Until when, by user, by room number; rooms in which nobody is typing are not there.
        self._rooms: dict[int, dict[str, int]] = {}
        self._events: dict[int, bytes] = {}
        self._reading: asyncio.Task[None] | None = None
        #: What the log said while the rows were being read: it is newer than they are.
        self._heard: set[tuple[int, str]] = set()
        self._is_read = False

    async def set(self, user_id: str, room_id: str, *, typing: bool, timeout_ms: int | None) -> None:
        """Says that somebody has begun or stopped typing. Raises `Forbidden` for who is not in the room."""
        room = await self._engine.rooms.find(room_id)
        if room is None or room.membership(user_id) != "join":
            raise Forbidden("You are not in this room.")
        await self._read()
        now_ms = self._engine.outside.now_ms()
        is_typing = user_id in self._rooms.get(room.number, ())
        if typing:
            wait = min(_DEFAULT_MS if timeout_ms is None else timeout_ms, _MAX_MS)
            row = Row(room.number, user_id, now_ms + wait)
            await self._engine.database.write(store.extend if is_typing else store.put, row)
            self._extend(row)
        elif is_typing:
            await self._engine.database.write(store.put, Row(room.number, user_id, -now_ms))

    async def rooms(self) -> dict[int, dict[str, int]]:
        """Until when people type, by user, by room number. Not to be changed."""
        await self._read()
        return self._rooms

    def event_of(self, room: Room) -> bytes:
        """The `m.typing` of a room; `rooms` must have been asked for before."""
        known = self._events.get(room.number)
        if known is None:
            typing = [user_id for user_id in self._rooms.get(room.number, ()) if room.membership(user_id) == "join"]
            known = orjson.dumps({"type": "m.typing", "content": {"user_ids": typing}})
            if typing:
                self._events[room.number] = known
        return known

    async def end_expired(self) -> None:
        """Ends whatever has lasted its time."""
        await self._read()
        now_ms = self._engine.outside.now_ms()
        over = [
            Row(room, user_id, until)
            for room, users in self._rooms.items()
            for user_id, until in users.items()
            if until <= now_ms
        ]
        if over:
            for row in await self._engine.database.write(store.end, over, now_ms):
                self._extend(row)

    def apply(self, entries: Sequence[Entry]) -> None:
        """Takes in what the log says."""
        for entry in entries:
            if entry.kind != KIND or entry.room is None or entry.user_id is None:
                continue
            self._put(Row(entry.room, entry.user_id, int(entry.key or 0)))
            if self._reading is not None:
                self._heard.add((entry.room, entry.user_id))

    def _extend(self, row: Row) -> None:
        users = self._rooms.get(row.room, {})
        if row.user_id in users:
            users[row.user_id] = row.expires_ms

    def _put(self, row: Row) -> None:
        self._events.pop(row.room, None)
        users = self._rooms.setdefault(row.room, {})
        if row.expires_ms > 0:
            users[row.user_id] = row.expires_ms
        else:
            users.pop(row.user_id, None)
        if not users:
            del self._rooms[row.room]

    async def _read(self) -> None:
        """Has what was there when this process began at hand."""
        if self._is_read:
            return
        if self._reading is None:
            self._reading = asyncio.create_task(self._read_rows())
        await asyncio.shield(self._reading)

    async def _read_rows(self) -> None:
        try:
            rows = await self._engine.database.get(store.current, self._engine.outside.now_ms())
        except BaseException:
            self._reading = None
            raise
        for row in rows:
            if (row.room, row.user_id) not in self._heard:
                self._put(row)
        self._is_read, self._reading = True, None
        self._heard.clear()
