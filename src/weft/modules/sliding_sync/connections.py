"""Connections: what each client was told, so that it is told the rest and nothing twice.

A client comes with a position: a cut through the log, and a generation of its connection. Rooms that it has up to that
cut need nothing written when the cut moves on; a new generation is written only where an answer tells of a room for
the first time, tells more of it than before, or leaves out what has happened in it. So an answer with news of rooms
that the client has costs no write, and one position can be answered as often as it is asked with.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import msgspec

from weft.http.call import Requester
from weft.modules.module import Task
from weft.modules.sliding_sync import store
from weft.modules.sliding_sync.matches import Matches
from weft.modules.sliding_sync.store import Key, Told
from weft.protocol.errors import MatrixError
from weft.protocol.sliding_sync import RoomConfig
from weft.rooms.engine import Engine
from weft.storage.cache import Cache
from weft.storage.database import WriteTransaction
from weft.storage.positions import Vector

#: `Told.config` of a room of which one was told what those outside are told.
OUTSIDE: Final = -1
#: How many different things a connection may ask of rooms before it has to begin anew.
_MAX_CONFIGS: Final = 200
_KEPT_MS: Final = 30 * 24 * 3600 * 1000
_DAY_MS: Final = 24 * 3600 * 1000
_BYTES: Final = 2_000
_ROOM_BYTES: Final = 200
_CONFIGS = msgspec.json.Decoder(list[RoomConfig])


class UnknownPosError(MatrixError):
    """The client has to begin anew, without a position."""

    def __init__(self) -> None:
        super().__init__(
            "This position is not known, or not any more: start again without one.", errcode="M_UNKNOWN_POS"
        )


class Position(NamedTuple):
    """What a client has: everything of the log in `cut`, as far as `generation` of its connection says."""

    connection: int
    generation: int
    cut: Vector

    def spell(self) -> str:
        """As a token, which is also taken where `/messages` takes one of `/sync`."""
        return f"s{self.cut.spell()}!{self.connection}.{self.generation}"

    @classmethod
    def parse(cls, text: str) -> Position:
        """Raises `UnknownPosError`."""
        cut, mark, rest = text.removeprefix("s").partition("!")
        connection, dot, generation = rest.partition(".")
        numbers = (connection, generation)
        if not (mark and dot and all(one.isascii() and one.isdigit() and len(one) < 19 for one in numbers)):
            raise UnknownPosError
        try:
            return cls(int(connection), int(generation), Vector.parse(cut))
        except MatrixError:
            raise UnknownPosError from None


@dataclass(frozen=True, slots=True)
class Settled:
    """What was asked for when all that it matches was last told, and what it matched."""

    spelled: bytes
    matches: Matches


@dataclass(slots=True)
class Changes:
    """What an answer changes of a connection."""

    rooms: dict[str, Told] = field(default_factory=dict)
    #: Which members were told of where they are loaded as needed.
    members: dict[str, set[str]] = field(default_factory=dict)
    settled: Settled | None = None


class Connection:
    """One connection, in memory. `rooms` is what the client has been told, by room id, as of `generation`."""

    def __init__(self, key: Key) -> None:
        self.key = key
        self.number = 0
        self.generation = 0
        self.rooms: dict[str, Told] = {}
        self.configs: list[RoomConfig] = []
        #: Only spares repetition, and is lost with the process.
        self.members: dict[str, set[str]] = {}
        self.used_ms = 0
        #: Answers to one position are made one after the other.
        self.lock = asyncio.Lock()
        #: What all was told for by the answer that the client has, if that is known.
        self.settled: Settled | None = None
        self._position: Position | None = None
        self._pending: tuple[Position | None, Changes] = None, Changes()

    def returns(self, position: Position) -> bool:
        """Takes it that the client has what it had at a position. False where that can't be told from here."""
        pending, changes = self._pending
        if pending is not None and position.generation == pending.generation != self.generation:
            self.generation = position.generation
            self.rooms.update(changes.rooms)
        if position == pending:
            for room_id, told in changes.members.items():
                self.members.setdefault(room_id, set()).update(told)
        if position != self._position:
            self._position = position
            self.settled = changes.settled if position == pending else None
        return position.generation == self.generation

    def answered(self, position: Position, changes: Changes) -> None:
        """Notes what an answer changed; it counts once the client comes with its position."""
        self._pending = position, changes

    def config_number(self, config: RoomConfig) -> int:
        """Raises `UnknownPosError` where the connection has asked for too many things."""
        try:
            return self.configs.index(config)
        except ValueError:
            if len(self.configs) >= _MAX_CONFIGS:
                raise UnknownPosError from None
            self.configs.append(config)
            return len(self.configs) - 1

    def loaded(self, row: store.Row, rooms: dict[str, Told]) -> None:
        self.number = row.connection
        self.generation = row.generation
        self.rooms = rooms
        self.configs = _CONFIGS.decode(row.configs)
        self.used_ms = row.used_ms

    @property
    def bytes(self) -> int:
        return _BYTES + _ROOM_BYTES * (len(self.rooms) + len(self._pending[1].rooms) + len(self.members))


class Connections:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        engine.purging.tables["sliding_rooms"] = "connection, room, generation"
        self._now_ms = engine.outside.now_ms
        self._kept: Cache[Key, Connection] = engine.budget.cache(
            "sliding_sync_connections", 0.05, lambda one: one.bytes
        )
        self.tasks = [Task(name="unused connections of sliding sync", every_seconds=3600, run=self.prune)]

    def begin(self, requester: Requester, conn_id: str) -> Connection:
        """A new connection; it exists once something has been told."""
        return Connection(_key(requester, conn_id))

    async def resume(self, requester: Requester, conn_id: str, position: Position) -> Connection:
        """The connection as a client has it that comes with a position. Raises `UnknownPosError`."""
        key = _key(requester, conn_id)
        kept = self._kept.get(key)
        if kept is not None and kept.number == position.connection and kept.returns(position):
            return await self._used(kept)
        row = await self._engine.database.get(store.find, key, position.connection, position.generation)
        if row is None:
            raise UnknownPosError
        rooms = {await self._engine.rooms.room_id(number): told for number, told in row.rooms.items()}
        connection = Connection(key)
        connection.loaded(row, rooms)
        self._kept.put(key, connection)
        return await self._used(connection)

    async def answer(
        self, connection: Connection, cut: Vector, changes: Changes, numbers: Mapping[str, int]
    ) -> Position:
        """The position of an answer; `numbers` are of the rooms that have changed.

        Raises `UnknownPosError` where the connection has moved on meanwhile.
        """
        generation = connection.generation
        if changes.rooms or not connection.number:
            told = {numbers[room_id]: one for room_id, one in changes.rooms.items()}
            configs = msgspec.json.encode(connection.configs)
            connection.used_ms = self._now_ms()
            connection.number, generation = await self._engine.database.write(
                _write, connection.key, connection.number, generation, told, configs, connection.used_ms
            )
        position = Position(connection.number, generation, cut)
        connection.answered(position, changes)
        self._kept.put(connection.key, connection)
        return position

    async def prune(self) -> None:
        """Removes what has not been used for a month."""
        while await self._engine.database.write(store.prune, self._now_ms() - _KEPT_MS):
            pass

    async def _used(self, connection: Connection) -> Connection:
        now_ms = self._now_ms()
        if now_ms - connection.used_ms > _DAY_MS:
            connection.used_ms = now_ms
            await self._engine.database.write(store.used, connection.number, now_ms)
        return connection


def _key(requester: Requester, conn_id: str) -> Key:
    return Key(requester.user_id, requester.device_id or "", conn_id)


def _write(
    tx: WriteTransaction,
    key: Key,
    number: int,
    had: int,
    changes: Mapping[int, Told],
    configs: bytes,
    now_ms: int,
) -> tuple[int, int]:
    number = number or store.begin(tx, key, now_ms)
    generation = store.save(tx, number, had, changes, configs, now_ms)
    if generation is None:
        raise UnknownPosError
    return number, generation
