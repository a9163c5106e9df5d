"""Takes in what other servers send: events go into their rooms, ephemeral messages to the modules that know them.

A transaction is dealt with once, however often it comes; one that comes again gets the first answer. The answer is
given when every event of it is on disk, judged or staged. Rooms don't wait for each other.

https://spec.matrix.org/v1.19/server-server-api/#transactions
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec
import structlog

from weft.modules.module import EduHandler
from weft.protocol.api.federation.transactions import (
    Edu,
    PduResult,
    SendTransactionRequest,
    SendTransactionResponse,
)
from weft.protocol.errors import InvalidEvent, MatrixError
from weft.protocol.event import Event
from weft.rooms.access import RoomAccess
from weft.rooms.engine import Engine
from weft.rooms.incoming import read, room_id_of
from weft.rooms.room import Room
from weft.storage import transaction_ids
from weft.storage.database import UniqueViolation, WriteTransaction
from weft.storage.transaction_ids import TransactionKey

log = structlog.get_logger(__name__)

#: Why an event is not taken, as the other server is told.
NOBODY_THERE: Final = "Nobody of this server is in that room."
_ENDPOINT: Final = "federation/send"
_KEPT_MS: Final = 24 * 3600 * 1000
#: What is taken in before the events of its transaction: without the keys that came along, nobody could read them.
_BEFORE_EVENTS: Final = frozenset({"m.direct_to_device", "m.device_list_update", "m.signing_key_update"})


class Transactions:
    def __init__(self, engine: Engine, access: RoomAccess) -> None:
        self._engine = engine
        self._access = access
        self._under_way: dict[TransactionKey, asyncio.Future[None]] = {}
        #: By the type of EDU; set once all modules are made.
        self.edus: Mapping[str, EduHandler] = {}

    async def take(self, origin: str, transaction: SendTransactionRequest) -> bytes:
        """The answer to a transaction, as JSON."""
        key = TransactionKey(origin, "", _ENDPOINT, transaction.txn_id)
        while (first := self._under_way.get(key)) is not None:
            await asyncio.wait([first])
        ended = self._under_way[key] = asyncio.get_running_loop().create_future()
        try:
            answered = await self._engine.database.get(transaction_ids.find, key)
            if answered is not None and answered.response is not None:
                return answered.response
            edus = self._read(origin, transaction.edus)
            await self._ephemeral(origin, [edu for edu in edus if edu.edu_type in _BEFORE_EVENTS])
            results = await self._events(origin, transaction.pdus)
            await self._ephemeral(origin, [edu for edu in edus if edu.edu_type not in _BEFORE_EVENTS])
            answer = msgspec.json.encode(
                SendTransactionResponse(pdus={one: PduResult(error=why) for one, why in results.items()})
            )
            try:
                await self._engine.database.write(_remember, key, answer, self._engine.outside.now_ms())
            except UniqueViolation:
                log.info("another process had the same transaction", origin=origin, txn_id=transaction.txn_id)
            return answer
        finally:
            del self._under_way[key]
            ended.set_result(None)

    async def prune(self) -> None:
        """Forgets transactions that nobody sends again."""
        await self._engine.database.write(_prune, self._engine.outside.now_ms() - _KEPT_MS)

    # -- events

    async def _events(self, origin: str, pdus: Sequence[msgspec.Raw]) -> dict[str, str | None]:
        by_room: dict[str, list[msgspec.Raw]] = {}
        for pdu in pdus:
            room_id = room_id_of(pdu)
            if room_id is None:
                # Without a room there is no room version, and so not even an event id to answer with.
                log.info("an event came that is of no room", origin=origin)
                continue
            by_room.setdefault(room_id, []).append(pdu)
        found = await asyncio.gather(*(self._events_of(origin, room_id, some) for room_id, some in by_room.items()))
        return {event_id: why for results in found for event_id, why in results.items()}

    async def _events_of(self, origin: str, room_id: str, pdus: Sequence[msgspec.Raw]) -> dict[str, str | None]:
        room = await self._engine.rooms.find(room_id) if "\0" not in room_id else None
        is_outside = room is None or not room.joined_local
        if is_outside and await self._engine.remote.handshakes.entered(room_id):
            room = await self._engine.rooms.find(room_id)
        if room is None:
            log.info("events came of a room that is not known here", origin=origin, room_id=room_id)
            return {}
        if not room.joined_local:
            return await self._from_outside(origin, room, pdus)
        if not await self._access.acl_allows(room, origin):
            return dict.fromkeys(_ids(room, pdus), "Your server is banned from that room.")
        return await self._engine.remote.staging.push(origin, room, pdus)

    async def _from_outside(self, origin: str, room: Room, pdus: Sequence[msgspec.Raw]) -> dict[str, str | None]:
        """In a room that nobody here is in, an invite may be taken back and a knock refused. Nothing else counts."""
        inspected = await self._engine.remote.incoming.inspect(room.id, room.version, pdus)
        results: dict[str, str | None] = dict(inspected.refused)
        for event in inspected.events:
            if await self._takes_back(origin, room, event):
                await self._engine.remote.outside.put(room.version, event)
                results[event.event_id] = None
            else:
                results[event.event_id] = NOBODY_THERE
        return results

    async def _takes_back(self, origin: str, room: Room, event: Event) -> bool:
        """Whether an event ends the invite or the knock of one of our users, by somebody who may be believed."""
        user_id = event.state_key
        if event.membership not in ("leave", "ban") or user_id is None or not self._engine.is_local(user_id):
            return False
        if room.membership(user_id) not in ("invite", "knock"):
            return False
        current = await self._engine.rooms.state_event(room, "m.room.member", user_id)
        if current is None or event.sender_domain != origin:
            return False
        return room.membership(user_id) == "knock" or current.sender_domain == origin

    # -- ephemeral messages

    def _read(self, origin: str, raw_edus: Sequence[msgspec.Raw]) -> list[Edu]:
        """Those of some ephemeral messages that can be read."""
        edus: list[Edu] = []
        for raw in raw_edus:
            try:
                edus.append(msgspec.json.decode(raw, type=Edu))
            except (ValueError, RecursionError):
                log.info("an ephemeral message can't be read", origin=origin)
        return edus

    async def _ephemeral(self, origin: str, edus: Sequence[Edu]) -> None:
        for edu in edus:
            handler = self.edus.get(edu.edu_type)
            if handler is None:
                continue
            try:
                await handler(origin, edu.content)
            except MatrixError as error:
                log.info("an ephemeral message was dropped", origin=origin, type=edu.edu_type, reason=error.message)


def _ids(room: Room, pdus: Sequence[msgspec.Raw]) -> list[str]:
    ids: list[str] = []
    for pdu in pdus:
        try:
            ids.append(read(pdu, room.version).event_id)
        except InvalidEvent:
            continue
    return ids


def _remember(tx: WriteTransaction, key: TransactionKey, answer: bytes, now_ms: int) -> None:
    transaction_ids.insert(tx, key, now_ms=now_ms, response=answer)


def _prune(tx: WriteTransaction, before_ms: int) -> None:
    transaction_ids.prune_endpoint(tx, _ENDPOINT, before_ms)
