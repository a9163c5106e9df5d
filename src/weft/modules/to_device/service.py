"""Messages that wait for devices, and those on their way to other servers.

A message waits until its device shows, by the token of its next `/sync`, that it has it. One for a user of another
server waits in the outbox until that server has it. Each is written in one transaction with its log entry, so that a
crash neither loses nor doubles any.

https://spec.matrix.org/v1.19/client-server-api/#send-to-device-messaging
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Any, Final

import msgspec

from weft.http.call import Requester
from weft.modules.devices import DevicesService
from weft.modules.devices import store as device_store
from weft.modules.to_device import store
from weft.modules.to_device.store import KIND, Message, Waiting
from weft.protocol.identifiers import domain_of, parse_user_id
from weft.rooms.engine import Engine
from weft.storage import transaction_ids
from weft.storage.database import UniqueViolation, WriteTransaction
from weft.storage.positions import Entry, Vector
from weft.storage.transaction_ids import TransactionKey

#: How many messages one answer holds: as the specification recommends.
MAX_PORTION: Final = 100
#: Bytes after which an answer holds no further message.
MAX_PORTION_BYTES: Final = 1 << 20
#: Every device of a user.
ALL_DEVICES: Final = "*"
#: Bytes of what goes to another server in one piece, unless a single message is larger.
_EDU_BYTES: Final = 48 << 10
_KEPT_CLEAN: Final = 100_000
#: How long a message that came from another server is known again, and how long one waits for a server that is away.
_KEPT_RECEIVED_MS: Final = 30 * 86_400_000
_KEPT_OUTBOX_MS: Final = 60 * 86_400_000

#: By user id and device id, contents.
Messages = Mapping[str, Mapping[str, Mapping[str, Any]]]


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
        devices.on_deleted.append(store.remove_devices)
        self._ignored_users = ignored_users
        self._sender_cursors = sender_cursors
        #: The devices for which nothing waits, as far as this process has looked, by user.
        self._clean: OrderedDict[str, set[str]] = OrderedDict()

    # -- sending

    async def send(self, sender: str, event_type: str, messages: Messages, *, transaction: TransactionKey) -> None:
        """Has messages of a local user on their way; those for devices that are not there are dropped.

        Raises `InvalidParam` for what is no user id. The same transaction again does nothing.
        """
        for user_id in messages:
            parse_user_id(user_id)
        here = {user_id: of for user_id, of in messages.items() if self._engine.is_local(user_id)}
        elsewhere = {user_id: of for user_id, of in messages.items() if user_id not in here}
        edus = self._edus(sender, event_type, elsewhere)
        now_ms = self._engine.outside.now_ms()

        def write(tx: WriteTransaction) -> None:
            transaction_ids.insert(tx, transaction, now_ms=now_ms)
            self.deliver(tx, sender, event_type, here)
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
        here = {user_id: of for user_id, of in messages.items() if self._engine.is_local(user_id)}
        now_ms = self._engine.outside.now_ms()

        def write(tx: WriteTransaction) -> None:
            if store.is_new(tx, origin, message_id, now_ms):
                self.deliver(tx, sender, event_type, here)

        await self._database.write(write)

    def deliver(self, tx: WriteTransaction, sender: str, event_type: str, messages: Messages) -> None:
        """Puts messages before devices of our users, within a transaction."""
        devices = device_store.ids_of_users(tx, messages)
        waiting: list[Waiting] = []
        for user_id, of_user in messages.items():
            chosen = _by_device(of_user, devices.get(user_id, ()))
            if not chosen:
                continue
            position = tx.append(KIND, user_id=user_id)
            waiting += [
                Waiting(user_id, device_id, position, sender, _event(sender, event_type, content))
                for device_id, content in chosen.items()
            ]
        store.put_in(tx, waiting)

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
        rows = await self._database.read(store.next_ones, user_id, device_id, since, upto, MAX_PORTION + 1)
        ignored = await self._ignored_users(user_id) if rows else ()
        told: list[Message] = []
        size = 0
        for row in rows:
            if len(told) == MAX_PORTION or (told and size + len(row.json) > MAX_PORTION_BYTES):
                upto = since.advanced(one.position for one in told)
                break
            told.append(row)
            size += len(row.json)
        return [row.json for row in told if row.sender not in ignored], upto

    async def acknowledged(self, requester: Requester, vector: Vector) -> None:
        """A device has everything in a vector: that is not kept any longer."""
        user_id, device_id = requester.user_id, requester.device_id
        if device_id is None or self._is_clean(user_id, device_id):
            return
        before = self._engine.log.head
        row = await self._database.get(store.oldest, user_id, device_id)
        if row is not None and row in vector:
            await self._database.write(store.remove_within, user_id, device_id, vector)
            row = await self._database.get(store.oldest, user_id, device_id)
        if row is None and self._engine.log.head == before:
            self._clean.setdefault(user_id, set()).add(device_id)
            while len(self._clean) > _KEPT_CLEAN:
                self._clean.popitem(last=False)

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


def _by_device(messages: Mapping[str, Mapping[str, Any]], devices: Collection[str]) -> dict[str, Mapping[str, Any]]:
    """What each of a user's devices gets: its own message, or the one for all."""
    found = dict.fromkeys(devices, messages[ALL_DEVICES]) if ALL_DEVICES in messages else {}
    found.update({device_id: messages[device_id] for device_id in devices if device_id in messages})
    return found


def _event(sender: str, event_type: str, content: Mapping[str, Any]) -> bytes:
    return msgspec.json.encode({"content": content, "sender": sender, "type": event_type})
