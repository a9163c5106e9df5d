"""Sends notices: each user has one room for them, made with the first one, which shows up under the tag of notices.

The user is invited; the invite can't be rejected, but the room can be left, and the next notice invites again.

https://spec.matrix.org/v1.19/client-server-api/#server-notices
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, Final

from weft.graph.build import Draft
from weft.modules.membership import Memberships
from weft.modules.room_creation import RoomCreation
from weft.modules.room_creation.first_events import PRESETS, Plan, create_content, drafts, power_levels
from weft.modules.server_notices import store
from weft.protocol.errors import InvalidParam, NotFound
from weft.protocol.identifiers import domain_of, is_valid_user_id
from weft.protocol.room_versions import DEFAULT_ROOM_VERSION, room_version
from weft.rooms.engine import Engine
from weft.settings import ServerNotices as NoticeSettings
from weft.storage.database import UniqueViolation, WriteTransaction
from weft.storage.events import StoredEvent
from weft.storage.transaction_ids import TransactionKey

TAG: Final = "m.server_notice"

#: Puts a tag with its content on a user's room.
SetTag = Callable[[str, str, str, dict[str, Any]], Awaitable[None]]
#: Whether there is an account of that user id.
Exists = Callable[[str], Awaitable[bool]]


class ServerNotices:
    """Writes to users in the server's name."""

    def __init__(
        self,
        engine: Engine,
        creation: RoomCreation,
        memberships: Memberships,
        settings: NoticeSettings,
        *,
        default_version: str,
        set_tag: SetTag,
        exists: Exists,
    ) -> None:
        self._engine = engine
        engine.purging.tables["server_notice_rooms"] = "user_id"
        self._creation = creation
        self._memberships = memberships
        self._settings = settings
        self._default_version = default_version
        self._set_tag = set_tag
        self._exists = exists

    async def send(
        self,
        user_id: str,
        event_type: str,
        content: dict[str, Any],
        *,
        state_key: str | None = None,
        transaction: TransactionKey | None = None,
    ) -> str:
        """Sends a notice; returns its event id. Raises `NotFound` for who has no account here.

        A notice that is refused leaves nothing behind, neither a room nor an invite.
        """
        if not is_valid_user_id(user_id) or not self._engine.is_local(user_id):
            raise InvalidParam("Notices can be sent to users of this server only.")
        if not await self._exists(user_id):
            raise NotFound(f"There is no account {user_id}.")
        draft = Draft(type=event_type, state_key=state_key, sender=self._sender(user_id), content=content)
        room_id = await self._room_of(user_id, draft)
        return (await self._engine.append.append(room_id, draft, transaction=transaction)).event.event_id

    def _sender(self, user_id: str) -> str:
        """The account that writes to users of the same domain."""
        return f"@{self._settings.localpart}:{domain_of(user_id)}"

    async def _room_of(self, user_id: str, notice: Draft) -> str:
        """The user's room of notices, to which they are at least invited. Raises what would refuse the notice there."""
        room_id = await self._engine.database.get(store.room_of, user_id)
        if room_id is None:
            try:
                return await self._make_room(user_id, notice)
            except UniqueViolation:
                # Another process was quicker.
                room_id = await self._engine.database.get(store.room_of, user_id)
                if room_id is None:
                    raise
        room = await self._engine.rooms.get(room_id)
        if room.membership(user_id) not in ("join", "invite"):
            await self._engine.append.prepare(room_id, notice)
            content = await self._memberships.member_content(user_id, "invite")
            invite = Draft(type="m.room.member", state_key=user_id, sender=self._sender(user_id), content=content)
            await self._engine.append.append(room_id, invite)
            await self._set_tag(user_id, room_id, TAG, {})
        return room_id

    async def _make_room(self, user_id: str, notice: Draft) -> str:
        sender = self._sender(user_id)
        version = room_version(self._default_version)
        if version.extensible_events:
            # Notices are m.room.message events.
            version = DEFAULT_ROOM_VERSION
        preset = PRESETS["private_chat"]
        plan = Plan(
            version=version,
            creator=sender,
            preset=preset,
            creation_content=create_content(version, sender, {}, ()),
            membership={"membership": "join", "displayname": self._settings.display_name},
            power_levels=power_levels(version, sender, preset, (), {"users_default": -10, "invite": 50}),
            name=self._settings.room_name,
            invites={user_id: await self._memberships.member_content(user_id, "invite")},
        )
        first = drafts(plan)
        self._creation.rehearse(version, [*first, notice])
        room = await self._creation.create(version, first, also=partial(_add, user_id=user_id))
        await self._set_tag(user_id, room.id, TAG, {})
        return room.id


def _add(tx: WriteTransaction, stored: Sequence[StoredEvent], *, user_id: str) -> None:
    store.add(tx, user_id, stored[0].room)
