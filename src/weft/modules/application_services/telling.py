"""Tells an application service what happens where it listens: a follower of the log for each.

A transaction that was begun is sent until the service takes it, and after a crash again with the same id and the same
contents. Meanwhile nothing else is made for the service: what it is owed is the rest of the log, so that an outage of a
month costs no memory and loses no event.

https://spec.matrix.org/v1.19/application-service-api/#pushing-events
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Final

import msgspec
import structlog

from weft.modules.application_services import store
from weft.modules.application_services.asking import Asking
from weft.modules.application_services.hearing import ServiceHearing
from weft.modules.application_services.store import Sent
from weft.modules.events import EventForms, Viewer
from weft.modules.module import Overheard
from weft.protocol.api.application_service.transactions import SEND_TRANSACTION, SendTransactionRequest
from weft.protocol.application_services import Registration
from weft.protocol.errors import NotFound, NotNow, WeftError
from weft.rooms.engine import Engine
from weft.storage import events
from weft.storage.events import StoredEvent
from weft.storage.followers import Follower
from weft.storage.positions import Entry, Vector

log = structlog.get_logger(__name__)

#: Entries of the log that one transaction tells of at most.
_MOST: Final = 100
_FIRST_PAUSE: Final = 1.0
_LONGEST_PAUSE: Final = 300.0
#: What of the log, besides events, changes which rooms a service hears.
_CHANGES: Final = ("resolution", "alias")


class _Body(msgspec.Struct):
    """A transaction as it is kept."""

    events: list[msgspec.Raw]
    ephemeral: list[msgspec.Raw] = []


class Telling:
    """One application service. `ask_user` asks it for a user that is not here yet."""

    def __init__(
        self,
        engine: Engine,
        registration: Registration,
        asking: Asking,
        hearing: ServiceHearing,
        forms: EventForms,
        overheard: Sequence[Overheard],
        ask_user: Callable[[str], Awaitable[bool]],
    ) -> None:
        self._engine = engine
        self._registration = registration
        self._asking = asking
        self._hearing = hearing
        self._forms = forms
        self._overheard = overheard if registration.receive_ephemeral else ()
        self._ask_user = ask_user
        #: What the service was told of, and the transaction that it has not taken yet.
        self._sent: Sent | None = None
        self._woken = asyncio.Event()

    @property
    def follower(self) -> Follower:
        kinds = {kind for part in self._overheard for kind in part.kinds}
        return Follower(
            f"application service {self._registration.id}",
            ("event", *_CHANGES, *kinds),
            self._tell_all,
            from_beginning=False,
            session=self._session,
        )

    def wake(self) -> None:
        """The service is there: what it could not be told is tried again at once."""
        self._woken.set()

    @asynccontextmanager
    async def _session(self) -> AsyncIterator[None]:
        self._hearing.forget(None)
        self._sent = await self._engine.database.read(store.find, self._registration.id)
        yield

    async def _tell_all(self, entries: Sequence[Entry]) -> None:
        await self._deliver()
        told = self._sent.upto if self._sent is not None else Vector()
        left = [entry for entry in entries if entry.position not in told]
        for start in range(0, len(left), _MOST):
            batch = left[start : start + _MOST]
            body = await self._body(batch)
            if body.events or body.ephemeral:
                told = told.advanced(entry.position for entry in batch)
                self._sent = Sent(self._engine.outside.token(20), told, msgspec.json.encode(body))
                await self._engine.database.write(store.put, self._registration.id, self._sent)
                await self._deliver()

    # -- what is told

    async def _body(self, entries: Sequence[Entry]) -> _Body:
        heard: list[StoredEvent] = []
        for entry in entries:
            if entry.kind == "event":
                stored = await self._event(entry)
                if stored is not None and await self._hears(stored):
                    heard.append(stored)
            elif entry.kind in _CHANGES:
                self._hearing.forget(entry.room)
        told = await self._forms.many(heard, Viewer(self._registration.sender), bundled=False)
        return _Body(told, [msgspec.Raw(each) for each in await self._ephemeral(entries)])

    async def _event(self, entry: Entry) -> StoredEvent | None:
        if isinstance(entry.payload, StoredEvent):
            return entry.payload
        return (await self._engine.database.read(events.by_positions, [entry.position])).get(entry.position)

    async def _hears(self, stored: StoredEvent) -> bool:
        event = stored.event
        try:
            room = await self._engine.rooms.get(event.room_id)
        except NotFound:
            # The room was deleted meanwhile.
            return False
        if event.type == "m.room.member" and event.state_key is not None:
            owned = self._hearing.owns(event.state_key)
            heard = owned or await self._hearing.hears_room(room)
            self._hearing.forget(room.number)
            if owned and event.membership == "invite":
                await self._ask_user(event.state_key)
            return heard
        return await self._hearing.hears_room(room)

    async def _ephemeral(self, entries: Sequence[Entry]) -> list[bytes]:
        told: list[bytes] = []
        for part in self._overheard:
            rooms: dict[int | None, list[Entry]] = {}
            for entry in entries:
                if entry.kind in part.kinds:
                    rooms.setdefault(entry.room, []).append(entry)
            for of_room in rooms.values():
                # A room may have been deleted meanwhile.
                with suppress(NotFound):
                    told += await part.told(of_room, self._hearing)
        return told

    # -- telling it

    async def _deliver(self) -> None:
        """Sends the transaction that the service has not taken yet until it does."""
        sent = self._sent
        if sent is None or sent.body is None:
            return
        body = msgspec.json.decode(sent.body, type=_Body)
        request = SendTransactionRequest(
            txn_id=sent.txn_id, events=body.events, ephemeral=body.ephemeral or msgspec.UNSET
        )
        pause = _FIRST_PAUSE
        while True:
            try:
                await self._asking.call(self._registration, SEND_TRANSACTION, request)
                break
            except WeftError as error:
                asked = error.retry_after_ms / 1000 if isinstance(error, NotNow) else 0.0
                log.warning(
                    "an application service does not take its events; they are kept and sent again",
                    service=self._registration.id,
                    url=self._registration.url,
                    error=str(error),
                    again_in_seconds=max(pause, asked),
                )
                await self._wait(max(pause, asked))
                pause = min(2 * pause, _LONGEST_PAUSE)
        await self._engine.database.write(store.taken, self._registration.id)
        self._sent = sent._replace(body=None)

    async def _wait(self, seconds: float) -> None:
        self._woken.clear()
        try:
            async with asyncio.timeout(seconds):
                await self._woken.wait()
        except TimeoutError:
            return
