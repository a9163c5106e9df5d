"""Puts events of this server's users into rooms.

The way of a plain message is short: the room from memory, one look-up of its transaction id, and the append. What
only some types need is asked of those types only.

https://spec.matrix.org/v1.19/client-server-api/#sending-events-to-a-room
https://spec.matrix.org/v1.19/client-server-api/#redactions
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from weft.graph.build import Draft
from weft.http.call import Requester
from weft.modules.directory import Directory
from weft.modules.directory.store import outdate
from weft.modules.membership import Memberships
from weft.modules.membership.viewing import not_in_room
from weft.modules.room_events.content_rules import check_content, check_server_acl
from weft.modules.room_events.relations import check_relation, has_relation
from weft.protocol.errors import BadJson, Forbidden, MatrixError, NotFound
from weft.protocol.identifiers import domain_of
from weft.protocol.power_levels import PowerLevels
from weft.rooms.commit import Also
from weft.rooms.engine import Engine
from weft.rooms.room import Room
from weft.storage import transaction_ids
from weft.storage.database import WriteTransaction
from weft.storage.events import StoredEvent
from weft.storage.transaction_ids import TransactionKey

_REDACTION: Final = "m.room.redaction"
#: Losing what these say would break the room, so that nobody may redact them through this server.
_NEVER_REDACTED: Final = frozenset({"m.room.create", "m.room.server_acl"})


class Sending:
    """Each method returns the id of the event that was sent, or that a repeated request had sent before."""

    def __init__(self, engine: Engine, memberships: Memberships, directory: Directory) -> None:
        self._engine = engine
        self._memberships = memberships
        self._directory = directory

    async def send(
        self,
        requester: Requester,
        room_id: str,
        event_type: str,
        content: dict[str, Any],
        txn_id: str,
        ts: int | None,
        *,
        sticky_ms: int | None = None,
    ) -> str:
        """Sends a message event, sticky for `sticky_ms`."""
        transaction = _transaction(requester, f"send/{room_id}/{event_type}", txn_id)
        room = self._engine.rooms.cached(room_id) or await self._engine.rooms.find(room_id)
        if room is None or room.memberships.get(requester.user_id) != "join":
            return await self._sent_before(transaction)
        if event_type == _REDACTION:
            return await self._send_redaction(requester, room, content, transaction, ts)
        if room.version.extensible_events:
            check_content(room.version, event_type, content)
        if has_relation(content):
            replayed = await self._engine.database.get(transaction_ids.find, transaction)
            if replayed is not None and replayed.event_id is not None:
                return replayed.event_id
            await check_relation(self._engine, room_id, requester.user_id, event_type, content)
        draft = Draft(
            type=event_type,
            sender=requester.user_id,
            content=content,
            origin_server_ts=_timestamp(requester, ts),
            sticky_ms=sticky_ms,
        )
        return (await self._engine.append.append(room_id, draft, transaction=transaction)).event.event_id

    async def redact(
        self, requester: Requester, room_id: str, target_id: str, reason: str | None, txn_id: str, ts: int | None
    ) -> str:
        """Redacts an event."""
        transaction = _transaction(requester, f"redact/{room_id}/{target_id}", txn_id)
        room = await self._engine.rooms.find(room_id)
        if room is None or room.membership(requester.user_id) != "join":
            return await self._sent_before(transaction)
        content = {"reason": reason} if reason is not None else {}
        return await self._redact(requester, room, target_id, content, transaction, ts)

    async def set_state(
        self,
        requester: Requester,
        room_id: str,
        event_type: str,
        state_key: str,
        content: dict[str, Any],
        ts: int | None,
        *,
        sticky_ms: int | None = None,
    ) -> str:
        """Sets state. The same content by the same sender is not sent twice, unless it is to be sticky anew."""
        if event_type == "m.room.member":
            return await self._memberships.set_member(requester, room_id, state_key, content)
        room = self._engine.rooms.cached(room_id) or await self._engine.rooms.find(room_id)
        if room is None or room.memberships.get(requester.user_id) != "join":
            raise not_in_room()
        current = await self._engine.rooms.state_event(room, event_type, state_key)
        is_same = current is not None and current.sender == requester.user_id and current.content == content
        if current is not None and is_same and sticky_ms is None:
            return current.event_id
        check_content(room.version, event_type, content)
        if event_type == "m.room.canonical_alias" and state_key == "":
            before = current.content if current is not None else {}
            await self._directory.check_canonical_alias(room_id, content, before)
        elif event_type == "m.room.server_acl" and state_key == "":
            check_server_acl(content, [domain_of(requester.user_id)])
        draft = Draft(
            type=event_type,
            state_key=state_key,
            sender=requester.user_id,
            content=content,
            origin_server_ts=_timestamp(requester, ts),
            sticky_ms=sticky_ms,
        )
        stored = await self._engine.append.append(room_id, draft)
        if event_type == "m.room.guest_access" and content.get("guest_access") != "can_join":
            await self._memberships.remove_guests(room_id)
        return stored.event.event_id

    async def _send_redaction(
        self, requester: Requester, room: Room, content: dict[str, Any], transaction: TransactionKey, ts: int | None
    ) -> str:
        """A redaction sent like a message names its target in the content, whatever the room version."""
        target_id = content.get("redacts")
        if not isinstance(target_id, str):
            raise BadJson("A redaction needs redacts: the id of an event.")
        rest = {key: value for key, value in content.items() if key != "redacts"}
        return await self._redact(requester, room, target_id, rest, transaction, ts)

    async def _redact(
        self,
        requester: Requester,
        room: Room,
        target_id: str,
        content: dict[str, Any],
        transaction: TransactionKey,
        ts: int | None,
    ) -> str:
        target = await self._engine.rooms.event(target_id)
        if target is None or target.event.room_id != room.id:
            raise NotFound("There is no such event in the room.")
        await self._check_redaction(requester, room, target)
        draft = Draft(
            type=_REDACTION,
            sender=requester.user_id,
            content=content,
            redacts=target_id,
            origin_server_ts=_timestamp(requester, ts),
        )
        also: Also | None = None
        if target.event.state_key is not None:
            # The room's state stays the same, and yet the directory has to forget what it showed of it.
            also = _outdate_directory
        stored = await self._engine.append.append(room.id, draft, transaction=transaction, also=also)
        return stored.event.event_id

    async def _check_redaction(self, requester: Requester, room: Room, target: StoredEvent) -> None:
        """Raises `Forbidden` unless the redaction would take effect.

        One may redact one's own events, those that power allows, and as an administrator those of the same domain.
        """
        event = target.event
        if event.type in _NEVER_REDACTED and event.state_key is not None:
            raise Forbidden(f"{event.type} can't be redacted.")
        own = event.sender == requester.user_id
        if own:
            return
        if requester.suspended:
            raise MatrixError(
                "You can only redact your own events while your account is suspended.",
                errcode="M_USER_SUSPENDED",
                status=403,
            )
        if requester.is_admin and event.sender_domain == domain_of(requester.user_id):
            return
        create = await self._engine.rooms.state_event(room, "m.room.create")
        current = await self._engine.rooms.state_event(room, "m.room.power_levels")
        if create is None:
            raise Forbidden("The room has no create event.")
        levels = PowerLevels.of(current, create, room.version)
        if levels.user(requester.user_id) < levels.redact:
            raise Forbidden(f"Redacting somebody else's event needs power level {levels.redact}.")

    async def _sent_before(self, transaction: TransactionKey) -> str:
        """The event that a repeated request had sent before its sender left the room; raises `Forbidden` if none."""
        found = await self._engine.database.get(transaction_ids.find, transaction)
        if found is None or found.event_id is None:
            raise not_in_room()
        return found.event_id


def _transaction(requester: Requester, endpoint: str, txn_id: str) -> TransactionKey:
    """Application services may act without a device: then the service itself is the scope."""
    device = requester.device_id if requester.device_id is not None else f"appservice {requester.appservice_id}"
    return TransactionKey(requester.user_id, device, endpoint, txn_id)


def _timestamp(requester: Requester, ts: int | None) -> int | None:
    """Only application services may say when something happened."""
    return ts if requester.appservice_id is not None else None


def _outdate_directory(tx: WriteTransaction, stored: Sequence[StoredEvent]) -> None:
    outdate(tx, stored[0].room)
