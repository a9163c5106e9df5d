"""What a module hands the server."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from prometheus_client.registry import Collector

from weft.federation.sender import Outgoing
from weft.http.call import Requester, Route
from weft.rooms.room import Room
from weft.storage.followers import Follower
from weft.storage.positions import Entry, Vector


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """Work that is done again and again, `every_seconds` apart, by one process at a time."""

    name: str
    every_seconds: float
    run: Callable[[], Awaitable[object]]


#: Takes in one EDU: the server that sent it, and its content, of which nothing is checked yet.
EduHandler = Callable[[str, Mapping[str, Any]], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Module:
    """Everything by which a module is reached: requests, the log, the clock, and `/sync`."""

    name: str
    routes: Sequence[Route[Any, Any]] = ()
    #: Awaited before the first request, when the log is followed already: reads what is kept in memory.
    starts: Sequence[Callable[[], Awaitable[object]]] = ()
    #: Awaited when the server stops and nothing is asked any more: ends what the module has open.
    stops: Sequence[Callable[[], Awaitable[object]]] = ()
    sync: SyncPart | None = None
    followers: Sequence[Follower] = ()
    tasks: Sequence[Task] = ()
    #: What it does with EDUs of other servers, by their type. May raise `MatrixError`: that one is then dropped.
    edus: Mapping[str, EduHandler] = field(default_factory=dict)
    #: What it tells other servers besides events.
    outgoing: Sequence[Outgoing] = ()
    #: What it tells application services besides events.
    overheard: Overheard | None = None
    #: Numbers for Prometheus.
    collectors: Sequence[Collector] = ()
    #: Brings what the module keeps in memory up to date with committed entries; must not wait.
    appliers: Sequence[Callable[[Sequence[Entry]], None]] = ()
    #: Kinds of entries that nobody looks up in the log once they are old: a table says how things are.
    fleeting: Sequence[str] = ()


class Hearing(Protocol):
    """What one application service is interested in."""

    def owns(self, user_id: str) -> bool:
        """Whether a user is the service's."""

    async def hears_room(self, room: Room) -> bool: ...

    async def hears_user(self, user_id: str) -> bool:
        """Whether a user is the service's, or in a room that it hears."""


class Overheard(Protocol):
    """What a module tells application services that want to hear what passes.

    https://spec.matrix.org/v1.19/application-service-api/#pushing-ephemeral-data
    """

    @property
    def kinds(self) -> frozenset[str]:
        """The kinds of log entries that it is made from."""

    async def told(self, entries: Sequence[Entry], hearing: Hearing) -> list[bytes]:
        """Whole JSON objects about entries of these kinds, those of rooms with their `room_id`."""


@dataclass(slots=True)
class RoomSection:
    """What `/sync` tells of a joined room besides its events. Each item is a whole JSON object as bytes."""

    ephemeral: list[bytes] = field(default_factory=list)
    account_data: list[bytes] = field(default_factory=list)
    #: Further members of the room's section, by name: `unread_notifications` and the like, as JSON.
    extra: dict[str, bytes] = field(default_factory=dict)


class Sync(Protocol):
    """One `/sync` response in the making, as the parts see it."""

    @property
    def requester(self) -> Requester: ...

    @property
    def user_id(self) -> str: ...

    @property
    def since(self) -> Vector | None:
        """What the client has: everything in this vector. None: nothing."""

    @property
    def upto(self) -> Vector:
        """What it will have: nothing beyond this vector is told, nothing in it is left out."""

    @property
    def to_device_since(self) -> Vector | None:
        """As much as the device has of the messages to it: `since`, or less where some were left for later."""

    def leave_for_later(self, upto: Vector) -> None:
        """The device is told of the messages to it in this vector only; the next answer goes on from there."""

    @property
    def joined(self) -> Mapping[str, int]:
        """The rooms that the user is joined to (and whose timeline the filter lets through): room id to number."""

    @property
    def newly_joined(self) -> frozenset[str]:
        """Those of `joined` of which the client has been told nothing yet: they are told from the beginning."""

    def entries(self, kinds: Iterable[str]) -> Sequence[Entry] | None:
        """The log's entries of these kinds between `since` and `upto` that concern the user, oldest first.

        None where that is not known (no `since`, or one too far back): then ask the tables for what is beyond `since`.
        """

    def timeline(self, room_id: str) -> Collection[str]:
        """The ids of the events that the response has in a room's timeline."""

    def room(self, room_id: str) -> RoomSection:
        """The section of a joined room; asking for it has the room appear in the response."""

    @property
    def account_data(self) -> list[bytes]: ...

    @property
    def presence(self) -> list[bytes]: ...

    @property
    def extra(self) -> dict[str, bytes]:
        """Further top-level members of the response, by name, as JSON."""

    def wants(self, section: str, event_type: str, sender: str | None = None) -> bool:
        """Whether the client's filter lets an event through.

        `section` is `account_data`, `presence`, `room.account_data` or `room.ephemeral`.
        """


class SyncPart(Protocol):
    """A module's part of `/sync`."""

    @property
    def kinds(self) -> frozenset[str]:
        """The kinds of log entries that it is made from."""

    def wakes(self, entry: Entry) -> Iterable[str] | None:
        """The user ids whose waiting `/sync` an entry concerns.

        None for the ordinary case: the joined users of `entry.room`, or `entry.user_id` where it names no room.
        """

    async def contribute(self, sync: Sync) -> None:
        """Adds what has changed between `sync.since` and `sync.upto`, or everything where `since` is None.

        Called only if there may be something to add.
        """
