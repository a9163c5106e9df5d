"""Messages that wait for devices, and those on their way to other servers.

A message waits until its device shows, by the token of its next `/sync`, that it has it. One for a user of another
server waits in the outbox until that server has it. Each is written in one transaction with its log entry, so that a
crash neither loses nor doubles any.

https://spec.matrix.org/v1.19/client-server-api/#send-to-device-messaging
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgspec

from weft.http.call import Requester
from weft.modules.devices import DevicesService
from weft.modules.devices import store as device_store
from weft.modules.to_device import inbox_store, store
from weft.modules.to_device.inbox_store import ALL_DEVICES, KIND, Arrived
from weft.protocol.errors import BadJson
from weft.protocol.identifiers import domain_of, parse_user_id
from weft.protocol.nesting import check_nesting
from weft.rooms.engine import Engine
from weft.storage import transaction_ids
from weft.storage.database import UniqueViolation, WriteTransaction
from weft.storage.positions import Entry, Vector, split
from weft.storage.transaction_ids import TransactionKey

#: How many messages one answer holds: as the specification recommends.
MAX_PORTION: Final = 100
#: Bytes after which an answer holds no further message.
MAX_PORTION_BYTES: Final = 1 << 20
#: Bytes of what goes to another server in one piece, unless a single message is larger.
_EDU_BYTES: Final = 48 << 10
#: Of so many it is remembered what does not wait for them.
_KEPT_DEVICES: Final = 100_000
#: How long a message that came from another server is known again, and how long one waits for a server that is away.
_KEPT_RECEIVED_MS: Final = 30 * 86_400_000
_KEPT_OUTBOX_MS: Final = 60 * 86_400_000

#: By user id and device id, contents.
Messages = Mapping[str, Mapping[str, Mapping[str, Any]]]
#: The first byte of an object's JSON.
_OBJECT: Final = ord("{")


class _Part(NamedTuple):
    """What a request sends to one of our users. `device_ids`: to which devices, perhaps to all."""

    user_id: str
    device_ids: Collection[str]
    json: bytes


class ToDevice:
    """`sender_cursors` are the names of the followers that send to other servers."""

    def __init__(
        self,
        engine: Engine,
        devices: DevicesService,
        *,
        ignored_users: Callable[[str], Awaitable[Collection[str]]],
        sender_cursors: Sequence[str],
    ) -> None:
        self._engine = engine
        self._database = engine.database
        devices.on_deleted.append(inbox_store.remove_devices)
        self._ignored_users = ignored_users
        self._sender_cursors = sender_cursors
        #: The devices for which nothing waits, as far as this process has looked, by user.
        self._clean: OrderedDict[str, set[str]] = OrderedDict()
        #: What devices have acknowledged: nothing in it waits for them.
        self._acknowledged: OrderedDict[tuple[str, str], Vector] = OrderedDict()

    # -- sending

    async def send(
        self,
        sender: str,
        event_type: str,
        messages: Mapping[str, Mapping[str, msgspec.Raw]],
        *,
        transaction: TransactionKey,
    ) -> None:
        """Has messages of a local user on their way; those for devices that are not there are dropped.

        Raises `InvalidParam` for what is no user id, and `BadJson`. The same transaction again does nothing.
        """
        here: list[_Part] = []
        elsewhere: dict[str, dict[str, dict[str, Any]]] = {}
        for user_id, of_user in messages.items():
            parse_user_id(user_id)
            _check_are_objects(of_user.values())
            part = _part(sender, event_type, user_id, of_user)
            check_nesting(part.json)
            if self._engine.is_local(user_id):
                here.append(part)
            else:
                elsewhere[user_id] = _read(of_user)
        edus = self._edus(sender, event_type, elsewhere)
        now_ms = self._engine.outside.now_ms()

        def write(tx: WriteTransaction) -> None:
            transaction_ids.insert(tx, transaction, now_ms=now_ms)
            self._deliver(tx, here)
            for server_name, content in edus:
                store.put_out(tx, server_name, content, now_ms)

        if await self._database.get(transaction_ids.find, transaction) is not None:
            return
        try:
            await self._database.write(write)
        except UniqueViolation:
            return  # the same request was under way already

    async def receive(self, origin: str, message_id: str, sender: str, event_type: str, messages: Messages) -> None:
        """Takes in what another server sent; a message that came before is dropped."""
        here = [
            _part(sender, event_type, user_id, of_user)
            for user_id, of_user in messages.items()
            if self._engine.is_local(user_id)
        ]
        now_ms = self._engine.outside.now_ms()

        def write(tx: WriteTransaction) -> None:
            if store.is_new(tx, origin, message_id, now_ms):
                self._deliver(tx, here)

        await self._database.write(write)

    def _deliver(self, tx: WriteTransaction, parts: Sequence[_Part]) -> None:
        """Puts messages before devices of our users; those for devices that are not there are dropped."""
        there = device_store.ids_of_users(tx, [part.user_id for part in parts])
        known = self._known_of_others(tx)
        arrived: list[Arrived] = []
        for part in parts:
            devices = there.get(part.user_id, [])
            if ALL_DEVICES not in part.device_ids:
                devices = [device_id for device_id in devices if device_id in part.device_ids]
            if devices:
                position = tx.append(KIND, user_id=part.user_id)
                _, number = split(position)
                arrived.append(Arrived(part.user_id, devices, position, known + number, part.json))
        inbox_store.put(tx, arrived)

    def _known_of_others(self, tx: WriteTransaction) -> int:
        """How many entries of other writers this process knows.

        Added to the number of an entry of its own, that gives an order in which whatever was known comes before.
        """
        own = tx.writer.id if tx.writer is not None else 0
        return sum(number for writer, number in self._engine.log.head if writer != own)

    def _edus(self, sender: str, event_type: str, messages: Messages) -> list[tuple[str, bytes]]:
        """What other servers are sent, in pieces: the server, and the EDU's content."""
        by_server: dict[str, list[tuple[str, str, bytes]]] = {}
        for user_id, of_user in messages.items():
            pieces = by_server.setdefault(domain_of(user_id), [])
            pieces += [(user_id, device_id, msgspec.json.encode(content)) for device_id, content in of_user.items()]
        found: list[tuple[str, bytes]] = []
        for server_name, pieces in by_server.items():
            some: dict[str, dict[str, msgspec.Raw]] = {}
            size = 0
            for user_id, device_id, content in pieces:
                if some and size + len(content) > _EDU_BYTES:
                    found.append((server_name, self._edu(sender, event_type, some)))
                    some, size = {}, 0
                some.setdefault(user_id, {})[device_id] = msgspec.Raw(content)
                size += len(content)
            if some:
                found.append((server_name, self._edu(sender, event_type, some)))
        return found

    def _edu(self, sender: str, event_type: str, messages: Mapping[str, Mapping[str, msgspec.Raw]]) -> bytes:
        message_id = self._engine.outside.token(18)
        return msgspec.json.encode(
            {"sender": sender, "type": event_type, "message_id": message_id, "messages": messages}
        )

    # -- what a device gets

    async def portion(self, user_id: str, device_id: str, since: Vector, upto: Vector) -> tuple[list[bytes], Vector]:
        """The next messages for a device between two vectors, in order of arrival, and as far as they go."""
        if self._is_clean(user_id, device_id):
            return [], upto
        told, is_all = await self._database.read(
            inbox_store.next_ones,
            user_id,
            device_id,
            since,
            upto,
            most=MAX_PORTION,
            most_bytes=MAX_PORTION_BYTES,
        )
        ignored = await self._ignored_users(user_id) if told else ()
        if not is_all:
            upto = since.advanced(one.position for one in told)
        return [one.json for one in told if one.sender not in ignored], upto

    async def acknowledged(self, requester: Requester, vector: Vector) -> None:
        """A device has everything in a vector: that is not kept any longer."""
        user_id, device_id = requester.user_id, requester.device_id
        if device_id is None or self._is_clean(user_id, device_id):
            return
        before = self._engine.log.head
        since = self._acknowledged.get((user_id, device_id), Vector())
        if await self._database.get(inbox_store.is_waiting, user_id, device_id, since, vector):
            await self._database.write(inbox_store.remove, user_id, device_id, since, vector)
        since = since.joined(vector)
        if before.covers(vector):
            self._acknowledged[user_id, device_id] = since
        is_waiting = await self._database.get(inbox_store.is_waiting, user_id, device_id, since)
        if not is_waiting and self._engine.log.head == before:
            self._clean.setdefault(user_id, set()).add(device_id)
        for kept in (self._clean, self._acknowledged):
            while len(kept) > _KEPT_DEVICES:
                kept.popitem(last=False)

    def _is_clean(self, user_id: str, device_id: str) -> bool:
        return device_id in self._clean.get(user_id, ())

    def apply(self, entries: Sequence[Entry]) -> None:
        """Follows the log: something waits for a user's devices."""
        for entry in entries:
            if entry.kind == KIND and entry.user_id is not None:
                self._clean.pop(entry.user_id, None)

    # -- keeping house

    async def prune(self) -> None:
        """Forgets what other servers have by now, and what is too old to come again."""
        now_ms = self._engine.outside.now_ms()
        await self._database.write(
            store.prune,
            self._sender_cursors,
            received_before_ms=now_ms - _KEPT_RECEIVED_MS,
            sent_before_ms=now_ms - _KEPT_OUTBOX_MS,
        )


def _part(sender: str, event_type: str, user_id: str, messages: Mapping[str, Mapping[str, Any] | msgspec.Raw]) -> _Part:
    return _Part(user_id, messages.keys(), inbox_store.encoded(sender, event_type, messages))


def _check_are_objects(contents: Iterable[msgspec.Raw]) -> None:
    if any(memoryview(content)[0] != _OBJECT for content in contents):
        raise BadJson("What is sent to a device is an object.")


def _read(messages: Mapping[str, msgspec.Raw]) -> dict[str, dict[str, Any]]:
    """Messages as other servers have to be able to read them."""
    try:
        return {device_id: msgspec.json.decode(content) for device_id, content in messages.items()}
    except msgspec.ValidationError as error:
        raise BadJson(f"{error}.") from None
