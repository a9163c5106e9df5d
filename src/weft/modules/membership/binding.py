"""An identity server tells that an address is one of our users' now: the invites that waited for it become real ones.

Anybody can say so; what counts is the identity server's signature, which the authorisation rules check against the
keys that the room has. So all that a liar gets done is that inviting servers are asked in vain, a few at a time.

https://spec.matrix.org/v1.19/server-server-api/#third-party-invites
"""

from __future__ import annotations

import asyncio
from typing import Final

import structlog

from weft.modules.membership.admitting import Admitting, Exists
from weft.modules.membership.elsewhere import Elsewhere
from weft.protocol.api.federation.third_party_invites import BoundInvite, OnBindThirdPartyIdentifierRequest
from weft.protocol.errors import InvalidParam, MatrixError
from weft.protocol.identifiers import is_valid_user_id
from weft.rooms.engine import Engine

log = structlog.get_logger(__name__)

#: How many invites are dealt with at a time, and the seconds for all of them.
_AT_ONCE: Final = 4
_PATIENCE: Final = 60.0


class Binding:
    def __init__(self, engine: Engine, admitting: Admitting, elsewhere: Elsewhere, *, exists: Exists) -> None:
        self._engine = engine
        self._admitting = admitting
        self._elsewhere = elsewhere
        self._exists = exists

    async def bound(self, told: OnBindThirdPartyIdentifierRequest) -> None:
        """Has each of the invites made by the server of who sent it; one that can't be made keeps back no other.

        Raises `InvalidParam` for somebody who has no account here, and for invites of somebody else.
        """
        user_id = told.mxid
        if not is_valid_user_id(user_id) or not self._engine.is_local(user_id) or not await self._exists(user_id):
            raise InvalidParam("The user has no account on this server.")
        if any(invite.mxid != user_id or not is_valid_user_id(invite.sender) for invite in told.invites):
            raise InvalidParam("An invite is not of that user.")
        places = asyncio.Semaphore(_AT_ONCE)

        async def make(invite: BoundInvite) -> None:
            async with places:
                try:
                    await self._make(user_id, invite)
                except MatrixError as error:
                    log.info("an address's invite can't be made", room_id=invite.room_id, reason=error.message)

        try:
            async with asyncio.timeout(_PATIENCE), asyncio.TaskGroup() as group:
                for invite in told.invites:
                    group.create_task(make(invite))
        except TimeoutError:
            log.info("the invites of an address took too long", invites=len(told.invites))

    async def _make(self, user_id: str, invite: BoundInvite) -> None:
        room = await self._engine.rooms.find(invite.room_id)
        if room is not None and room.membership(user_id) in ("invite", "join"):
            return
        if not self._engine.is_local(invite.sender):
            await self._elsewhere.exchange(invite.room_id, invite.sender, user_id, invite.signed)
        elif room is not None and room.membership(invite.sender) == "join":
            await self._admitting.invite_third_party(room, invite.sender, user_id, {"signed": invite.signed})
