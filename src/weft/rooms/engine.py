"""The room engine as a whole: the database, the log, the rooms, and this process's place among the writers.

Everything that is built on rooms gets an `Engine`. Time and randomness are given to it.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass

import structlog

from weft.federation.federation import Federation
from weft.graph.build import Identity
from weft.protocol.identifiers import domain_of
from weft.rooms.append import Append
from weft.rooms.receive import Receive
from weft.rooms.remote import Remote
from weft.rooms.room import Room
from weft.rooms.rooms import Rooms
from weft.storage import leases
from weft.storage.cache import Budget
from weft.storage.database import Database, DatabaseError
from weft.storage.followers import Follower, Following
from weft.storage.history import HistoryPositions
from weft.storage.log import Log
from weft.storage.positions import Vector
from weft.storage.purging import Purging

log = structlog.get_logger(__name__)

#: Ids of snapshots: the number of the process's start, and a number of its own.
RUN_SHIFT = 36

_LOOK_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Outside:
    """What comes from outside the program: the clock, and randomness."""

    #: Milliseconds since the epoch.
    now_ms: Callable[[], int]
    #: That many unpredictable bytes.
    random_bytes: Callable[[int], bytes]

    def token(self, characters: int = 32) -> str:
        """An unpredictable text of letters and digits (about 5.9 bits a character)."""
        return "".join(_ALPHABET[byte % len(_ALPHABET)] for byte in self.random_bytes(characters))


_ALPHABET = "ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz23456789abcdefg"


class Engine:
    """Start it before use, stop it after: `await engine.start(); …; await engine.stop()`."""

    def __init__(
        self,
        database: Database,
        *,
        identities: Mapping[str, Identity],
        outside: Outside,
        budget: Budget,
        name: str,
    ) -> None:
        self.database = database
        self.identities = identities
        self.outside = outside
        self.budget = budget
        #: What this process is called where it holds leases.
        self.name = name
        self.log = Log(database)
        self.rooms = Rooms(
            database, self.log, budget, is_local=self.is_local_domain, new_snapshot_id=self._new_snapshot_id
        )
        self.append = Append(database, self.rooms, identities, outside.now_ms)
        self.history = HistoryPositions(database, name)
        #: What goes when rooms are deleted and events removed.
        self.purging = Purging()
        self.receive = Receive(database, self.rooms, self.history, outside.now_ms)
        self._remote: Remote | None = None
        self._snapshot_ids = itertools.count(1)
        self._followings: dict[str, Following] = {}
        self._tasks: list[asyncio.Task[None]] = []

    def connect(self, federation: Federation) -> None:
        """Gives the engine other servers to talk to; before `start`."""
        self._remote = Remote(
            self.database,
            self.rooms,
            self.receive,
            federation,
            self.identities,
            self.outside.now_ms,
            self.server_names,
        )
        self.append.checked = self._remote.policy.send

    @property
    def remote(self) -> Remote:
        """The part that needs other servers. Asking for it in an engine that has none is a fault of ours."""
        if self._remote is None:
            raise RuntimeError("this engine was not given other servers to talk to")
        return self._remote

    # -- what is local

    def is_local_domain(self, server_name: str) -> bool:
        return server_name in self.identities

    def is_local(self, user_id: str) -> bool:
        """Whether the user belongs to one of this server's domains."""
        return domain_of(user_id) in self.identities

    def is_shared(self, room: Room) -> bool:
        """Whether other servers are in the room, too."""
        return not room.servers.keys() <= self.identities.keys()

    @property
    def server_names(self) -> Collection[str]:
        """The domains of this server, the default one first."""
        return self.identities.keys()

    # -- life

    async def start(self, followers: Iterable[Follower] = ()) -> None:
        """Takes a writer id, reads how far the log goes, and lets the followers run."""
        await self.database.become_writer(self.name)
        run = await self.database.write(leases.new_run, self.name)
        self._snapshot_ids = itertools.count(1 + (run << RUN_SHIFT))
        await self.log.start()
        if self.database.shared:
            self._tasks.append(asyncio.create_task(self._listen()))
            self._tasks.append(asyncio.create_task(self._look_around()))
        for follower in followers:
            following = Following(follower, self.database, self.log, self.name, self.outside.now_ms)
            self._followings[follower.name] = following
            self._tasks.append(asyncio.create_task(following.run()))

    async def stop(self) -> None:
        """Stops the followers, lets others take over, and closes the database once its writes are done."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()
        if self._remote is not None:
            await self._remote.close()
        for following in self._followings.values():
            with contextlib.suppress(DatabaseError):
                await following.release()
        await self.database.close()

    async def followed(self, name: str, vector: Vector | None = None) -> None:
        """Returns once a follower has handled everything up to a vector (by default: up to now)."""
        if vector is None:
            await self.log.catch_up()
            vector = self.log.head
        await self._followings[name].caught_up(vector)

    def _new_snapshot_id(self) -> int:
        # Also called in reading threads: taking the next of a count is one step.
        return next(self._snapshot_ids)

    async def _listen(self) -> None:
        async for _ in self.database.notifications():
            await self._catch_up()

    async def _look_around(self) -> None:
        """Should another process end between its commit and telling of it, this one finds out."""
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            await self._catch_up()

    async def _catch_up(self) -> None:
        try:
            await self.log.catch_up()
        except DatabaseError as error:
            log.warning("the database can't be read; this goes on once it can", error=str(error))
            await asyncio.sleep(_LOOK_SECONDS)
