"""Sends what happens here to the servers that have to hear of it: a follower of the log.

Each server has a queue in memory and one transaction under way at a time; what comes meanwhile shares the next. A
server that does not answer loses its queue: how far it had come is written down (`behind`), and once it is heard from
again it first gets the newest event of each room that it missed something of, from which it finds the rest itself. So
a server that was away for a week is not flooded, and a queue never grows with the length of an outage.

The follower's own cursor stands where everybody who keeps up has everything, so that a crash loses nothing: what is
sent twice is recognised by its id.

https://spec.matrix.org/v1.19/server-server-api/#transactions
"""

from __future__ import annotations

import asyncio
import zlib
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import msgspec
import structlog

from weft.federation import behind
from weft.federation.destinations import Destinations
from weft.federation.peer import Peers
from weft.http.client import Refused
from weft.protocol.api.federation.transactions import SEND_TRANSACTION, SendTransactionRequest
from weft.protocol.api.federation.types import MAX_EDUS, MAX_PDUS
from weft.protocol.errors import NotFound, NotNow, PeerError, Unreachable
from weft.storage import events, sticky
from weft.storage.database import Database
from weft.storage.events import StoredEvent
from weft.storage.followers import Follower
from weft.storage.positions import WRITER_SHIFT, Entry, Vector

log = structlog.get_logger(__name__)

#: Entries that wait for one server; with more it counts as one that does not keep up.
_LONGEST_QUEUE: Final = 2_000
_TIMEOUT: Final = 60.0
#: Seconds between looks at who may be tried again.
_LOOK: Final = 1.0
#: Servers that are caught up with at a time.
_CATCHING_UP: Final = 8
_ROOMS_AT_ONCE: Final = 500


class Outgoing(Protocol):
    """What a part of the server tells other servers besides events."""

    @property
    def kinds(self) -> Collection[str]:
        """The kinds of log entries that it tells of."""

    async def servers(self, entry: Entry) -> Iterable[str]:
        """Which servers an entry concerns; ours may be among them."""

    async def edus(self, server_name: str, entries: Sequence[Entry]) -> Sequence[dict[str, Any]]:
        """The EDUs that tell a server of some entries, as things are now."""

    async def missed(self, server_name: str, since: Vector) -> Sequence[dict[str, Any]]:
        """The EDUs that tell a server that was away what it still has to know of what happened since."""


@dataclass(slots=True)
class _Server:
    """What one server is owed. `since`: it has all of that; None: it has everything that was routed."""

    name: str
    pdus: deque[tuple[Entry, StoredEvent]] = field(default_factory=deque)
    edus: list[tuple[Outgoing, Entry]] = field(default_factory=list)
    since: Vector | None = None
    is_behind: bool = False
    #: Whether something for it was passed over while it was behind.
    passed_over: bool = False
    task: asyncio.Task[None] | None = None

    @property
    def has_work(self) -> bool:
        return bool(self.pdus or self.edus or self.is_behind)


def cursor_name(share: int) -> str:
    """The follower that sends to one share of the servers."""
    return f"sender/{share}"


class Sender:
    """One share of the servers, by their names: `share` of `shares`.

    `reminder` says, for an event that was refused, what put its sender out of the room, where their server is outside.
    `welcome` says, for an event by which a server comes into a room, what else it has to have at once.
    """

    def __init__(
        self,
        database: Database,
        peers: Peers,
        destinations: Destinations,
        *,
        servers_of: Callable[[StoredEvent], Awaitable[Iterable[str]]],
        reminder: Callable[[StoredEvent], Awaitable[StoredEvent | None]],
        welcome: Callable[[StoredEvent], Awaitable[Sequence[StoredEvent]]],
        origin_of: Callable[[int], Awaitable[str]],
        is_local: Callable[[str], bool],
        default_origin: str,
        outgoing: Sequence[Outgoing],
        new_transaction_id: Callable[[], str],
        now_ms: Callable[[], int],
        share: int = 0,
        shares: int = 1,
    ) -> None:
        self._database = database
        self._peers = peers
        self._destinations = destinations
        self._servers_of = servers_of
        self._reminder = reminder
        self._welcome = welcome
        self._origin_of = origin_of
        self._is_local = is_local
        self._default_origin = default_origin
        self._outgoing: dict[str, list[Outgoing]] = {}
        for part in outgoing:
            for kind in part.kinds:
                self._outgoing.setdefault(kind, []).append(part)
        self._parts = list(outgoing)
        self._new_transaction_id = new_transaction_id
        self._now_ms = now_ms
        self._share, self._shares = share, shares
        self._servers: dict[str, _Server] = {}
        self._routed = Vector()
        self._catching_up = asyncio.Semaphore(_CATCHING_UP)

    @property
    def follower(self) -> Follower:
        return Follower(
            cursor_name(self._share),
            ("event", "hidden_event", *self._outgoing),
            self._route_all,
            from_beginning=False,
            session=self._session,
            settled=self._settled,
        )

    # -- while this process is the one that sends

    @asynccontextmanager
    async def _session(self) -> AsyncIterator[None]:
        self._servers.clear()
        for name, vector in (await self._database.read(behind.read_all)).items():
            if self._is_mine(name):
                self._servers[name] = _Server(name, since=vector, is_behind=True)
        looking = asyncio.create_task(self._look())
        try:
            yield
        finally:
            looking.cancel()
            tasks = [server.task for server in self._servers.values() if server.task is not None]
            for task in tasks:
                task.cancel()
            await asyncio.gather(looking, *tasks, return_exceptions=True)
            self._servers.clear()

    def _settled(self, handled: Vector) -> Vector:
        """How far everybody who keeps up has come. Those who don't are written down."""
        numbers = dict(handled)
        for server in self._servers.values():
            if server.since is None or server.is_behind:
                continue
            for writer, number in list(numbers.items()):
                numbers[writer] = min(number, server.since.number(writer))
        self._routed = handled
        return Vector({writer: number for writer, number in numbers.items() if number})

    async def _look(self) -> None:
        """Now and then, tries those again whose pause is over."""
        while True:
            await asyncio.sleep(_LOOK)
            for server in list(self._servers.values()):
                if server.is_behind and self._peers.is_available(server.name):
                    self._start(server)
                elif not server.has_work and server.task is None:
                    del self._servers[server.name]

    def returned(self, server_name: str) -> None:
        """A server is heard from that was not: what it is owed goes out at once."""
        server = self._servers.get(server_name)
        if server is not None and server.has_work:
            self._start(server)

    # -- who hears of what

    def _is_mine(self, server_name: str) -> bool:
        return self._shares == 1 or zlib.crc32(server_name.encode()) % self._shares == self._share

    async def _route_all(self, entries: Sequence[Entry]) -> None:
        before = self._routed
        owed: dict[str, _Server] = {}
        for entry in entries:
            try:
                await self._route(entry, before, owed)
            except NotFound:
                # The room was deleted meanwhile: nobody is told anything of it any more.
                log.info("what happened in a room that is gone is not sent", position=entry.position)
            before = before.advanced([entry.position])
        for server in owed.values():
            if server.has_work and not server.is_behind:
                if len(server.pdus) + len(server.edus) > _LONGEST_QUEUE:
                    await self._fall_behind(server)
                else:
                    self._start(server)

    async def _route(self, entry: Entry, before: Vector, owed: dict[str, _Server]) -> None:
        if entry.kind == "event":
            happened = await self._event_of(entry)
            stored = self._to_be_sent(entry, happened)
            for name in sorted(await self._servers_of(stored)) if stored is not None else ():
                server = self._owed(name, before, owed)
                if server is not None and stored is not None and name != stored.event.sender_domain:
                    server.pdus.append((entry, stored))
            await self._greet(entry, happened, before, owed)
        elif entry.kind == "hidden_event":
            await self._remind(entry, before, owed)
        for part in self._outgoing.get(entry.kind, ()):
            for name in sorted(await part.servers(entry)):
                server = self._owed(name, before, owed)
                if server is not None:
                    server.edus.append((part, entry))

    async def _remind(self, entry: Entry, before: Vector, owed: dict[str, _Server]) -> None:
        """Tells a server that speaks in a room it was put out of what put it out: whoever did may have kept it back."""
        hidden = await self._event_of(entry)
        reminder = await self._reminder(hidden) if hidden is not None else None
        if hidden is None or reminder is None:
            return
        server = self._owed(hidden.event.sender_domain, before, owed)
        if server is not None and all(reminder is not stored for _, stored in server.pdus):
            server.pdus.append((entry, reminder))

    async def _greet(self, entry: Entry, came: StoredEvent | None, before: Vector, owed: dict[str, _Server]) -> None:
        """Sends a server that comes into a room what it has to have of what we said there before."""
        if came is None or came.event.membership != "join" or self._is_local(came.event.sender_domain):
            return
        for stored in await self._welcome(came):
            server = self._owed(came.event.sender_domain, before, owed)
            if server is not None:
                server.pdus.append((entry, stored))

    async def _event_of(self, entry: Entry) -> StoredEvent | None:
        if isinstance(entry.payload, StoredEvent):
            return entry.payload
        return (await self._database.read(events.by_positions, [entry.position])).get(entry.position)

    def _to_be_sent(self, entry: Entry, stored: StoredEvent | None) -> StoredEvent | None:
        """The event of an entry, if it is for us to send it."""
        if entry.key == events.HANDED_OVER or stored is None:
            return None
        if not (entry.key == events.RELAYED or self._is_local(stored.event.sender_domain)):
            return None
        return stored

    def _owed(self, name: str, before: Vector, owed: dict[str, _Server]) -> _Server | None:
        """The queue of a server that is to hear of something; None where it is not ours to send to, or is behind."""
        if not self._is_mine(name) or self._is_local(name):
            return None
        server = self._servers.get(name)
        if server is None:
            server = self._servers[name] = _Server(name)
        if server.is_behind:
            server.passed_over = True
            return None
        if server.since is None:
            server.since = before
        owed[name] = server
        return server

    # -- sending

    def _start(self, server: _Server) -> None:
        if server.task is None or server.task.done():
            server.task = asyncio.create_task(self._serve(server))

    async def _serve(self, server: _Server) -> None:
        """Sends until nothing is left, or until the server does not answer."""
        try:
            while server.has_work:
                if server.is_behind and not await self._catch_up(server):
                    return
                if not await self._send_some(server):
                    await self._fall_behind(server)
                    return
        except Exception:
            log.exception("sending failed; it is tried again", server=server.name)
            await self._fall_behind(server)
        finally:
            server.task = None

    async def _send_some(self, server: _Server) -> bool:
        """Sends one transaction. Whether the server has it, or will never take it."""
        pdus = [server.pdus[index] for index in range(min(MAX_PDUS, len(server.pdus)))]
        told = server.edus
        server.edus = []
        upto = self._routed
        edus = await self._edus_of(server.name, told)
        origin = await self._origin(pdus, told)
        while pdus or edus:
            raw = [msgspec.Raw(stored.event.wire) for _, stored in pdus]
            if not await self._transmit(server.name, origin, raw, edus[:MAX_EDUS]):
                return False
            if server.is_behind:
                return True
            for _ in pdus:
                server.pdus.popleft()
            pdus, edus = [], edus[MAX_EDUS:]
        server.since = _before(server, upto)
        return True

    async def _edus_of(self, name: str, told: Sequence[tuple[Outgoing, Entry]]) -> list[dict[str, Any]]:
        by_part: dict[int, tuple[Outgoing, list[Entry]]] = {}
        for part, entry in told:
            by_part.setdefault(id(part), (part, []))[1].append(entry)
        return [edu for part, entries in by_part.values() for edu in await part.edus(name, entries)]

    async def _origin(self, pdus: Sequence[tuple[Entry, StoredEvent]], told: Sequence[tuple[Outgoing, Entry]]) -> str:
        """In which of our domains' names: the sender's, or that of somebody in the room."""
        for _, stored in pdus:
            if self._is_local(stored.event.sender_domain):
                return stored.event.sender_domain
        rooms = [entry.room for entry, _ in pdus] + [entry.room for _, entry in told]
        for room in rooms:
            if room is not None:
                return await self._origin_of(room)
        for _, entry in told:
            if entry.user_id is not None and self._is_local(entry.user_id.partition(":")[2]):
                return entry.user_id.partition(":")[2]
        return self._default_origin

    async def _transmit(
        self, name: str, origin: str, pdus: Sequence[msgspec.Raw], edus: Sequence[dict[str, Any]]
    ) -> bool:
        request = SendTransactionRequest(
            txn_id=self._new_transaction_id(),
            origin=origin,
            origin_server_ts=self._now_ms(),
            pdus=list(pdus),
            edus=[msgspec.Raw(msgspec.json.encode(edu)) for edu in edus],
        )
        try:
            answer = await self._peers.call(
                SEND_TRANSACTION, request, origin=origin, destination=name, timeout=_TIMEOUT
            )
        except Refused as refused:
            if refused.status < 500 and refused.status not in (401, 403, 404, 408, 429):
                # It will not take this whenever it is sent; what follows may be better.
                log.warning("a server refuses a transaction for good", server=name, reason=str(refused))
                return True
            self._destinations.failed(name)
            log.info("a server does not take a transaction", server=name, reason=str(refused))
            return False
        except (Unreachable, NotNow, PeerError) as error:
            if not isinstance(error, Unreachable):
                self._destinations.failed(name)
            log.info("a server can't be sent to", server=name, reason=str(error))
            return False
        for event_id, result in answer.pdus.items():
            if result.error:
                log.info("a server refused an event", server=name, event_id=event_id, reason=result.error[:200])
        return True

    # -- servers that were away

    async def _fall_behind(self, server: _Server) -> None:
        """Writes down how far a server had come, and forgets what waits for it."""
        since = server.since or self._routed
        if not server.is_behind:
            await self._database.write(behind.put, server.name, since)
        server.is_behind = True
        server.since = since
        server.pdus.clear()
        server.edus.clear()

    async def _catch_up(self, server: _Server) -> bool:
        """Sends the newest of each room that the server missed something of. Whether it has all that now."""
        if not self._peers.is_available(server.name):
            return False
        async with self._catching_up:
            since, upto = server.since or Vector(), self._routed
            server.passed_over = False
            rooms = await self._database.read(behind.rooms_with_news, since)
            newest: list[msgspec.Raw] = []
            for start in range(0, len(rooms), _ROOMS_AT_ONCE):
                some = rooms[start : start + _ROOMS_AT_ONCE]
                for room in reversed(await self._database.read(behind.concerned, some, server.name, since)):
                    ids = await self._database.read(behind.newest, room, server.name, since, self._is_local)
                    ids += await self._database.read(sticky.own, room, self._now_ms(), self._is_local)
                    found = await self._database.read(events.by_ids, list(dict.fromkeys(ids)))
                    newest.extend(msgspec.Raw(stored.event.wire) for stored in found.values())
            edus = [edu for part in self._parts for edu in await part.missed(server.name, since)]
            while newest or edus:
                if not await self._transmit(server.name, self._default_origin, newest[:MAX_PDUS], edus[:MAX_EDUS]):
                    return False
                newest, edus = newest[MAX_PDUS:], edus[MAX_EDUS:]
        # What was routed meanwhile was not queued: from there it goes on.
        server.since = upto
        await self._database.write(behind.put, server.name, upto)
        if not server.passed_over:
            server.is_behind, server.since = False, None
            await self._database.write(behind.clear, server.name)
        return True


def _before(server: _Server, upto: Vector) -> Vector | None:
    """What a server has for sure, given that it has all of a vector but what waits in its queue."""
    if not server.pdus and not server.edus:
        return None
    waiting = [entry.position for entry, _ in server.pdus] + [entry.position for _, entry in server.edus]
    numbers = dict(upto)
    for position in waiting:
        writer, number = position >> WRITER_SHIFT, position & ((1 << WRITER_SHIFT) - 1)
        numbers[writer] = min(numbers.get(writer, 0), number - 1)
    return Vector({writer: number for writer, number in numbers.items() if number > 0})
