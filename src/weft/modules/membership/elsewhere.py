"""Memberships in rooms that only other servers are in, and invites of users of other servers.

https://spec.matrix.org/v1.19/server-server-api/#joining-rooms
https://spec.matrix.org/v1.19/server-server-api/#inviting-to-a-room
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec
import structlog

from weft.graph.build import Draft
from weft.graph.outcome import Outcome
from weft.http.client import Refused
from weft.protocol.api.federation.inviting import (
    SEND_INVITE_V1,
    SEND_INVITE_V2,
    SendInviteV1Request,
    SendInviteV2Request,
)
from weft.protocol.api.federation.third_party_invites import (
    EXCHANGE_THIRD_PARTY_INVITE,
    ExchangeThirdPartyInviteRequest,
)
from weft.protocol.errors import Forbidden, InvalidEvent, MatrixError
from weft.protocol.event import Event
from weft.protocol.identifiers import domain_of
from weft.rooms.engine import Engine
from weft.rooms.handshake import told_to_client
from weft.rooms.incoming import read
from weft.rooms.missing import FAILURES
from weft.rooms.previews import PREVIEW_KEYS
from weft.rooms.room import Room

log = structlog.get_logger(__name__)

_MEMBER: Final = "m.room.member"
_OLD: Final = frozenset({"1", "2"})


class Elsewhere:
    """What needs another server's help."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def is_elsewhere(self, room: Room | None) -> bool:
        """Whether nobody here is in the room, and others are or may be."""
        if room is None:
            return True
        return not room.joined_local and (not room.extremities or bool(room.servers))

    async def servers(self, room_id: str, user_id: str, via: Iterable[str], room: Room | None) -> list[str]:
        """Whom to ask about a room, the most promising first."""
        found = list(via)
        if room is not None:
            current = await self._engine.rooms.state_event(room, _MEMBER, user_id)
            if current is not None and current.sender != user_id:
                found.insert(0, current.sender_domain)
            found.extend(name for name, _ in room.servers.most_common(10))
        found.append(domain_of(room_id))
        return [name for name in dict.fromkeys(found) if name and not self._engine.is_local_domain(name)]

    async def join(
        self, user_id: str, room_id: str, via: Iterable[str], content: Mapping[str, Any], room: Room | None
    ) -> str:
        """Joins through another server; returns the event's id."""
        servers = await self.servers(room_id, user_id, via, room)
        joined = await self._engine.remote.handshakes.join(user_id, room_id, servers, content)
        event_id = joined.state_id(_MEMBER, user_id)
        if event_id is None or joined.membership(user_id) != "join":
            raise Forbidden("The room did not let you in after all.")
        return event_id

    async def leave(self, user_id: str, room: Room, content: Mapping[str, Any]) -> str:
        """Turns down an invite or takes back a knock."""
        servers = await self.servers(room.id, user_id, (), room)
        return await self._engine.remote.handshakes.leave(user_id, room.id, servers, content)

    async def knock(
        self, user_id: str, room_id: str, via: Iterable[str], content: Mapping[str, Any], room: Room | None
    ) -> str:
        servers = await self.servers(room_id, user_id, via, room)
        return await self._engine.remote.handshakes.knock(user_id, room_id, servers, content)

    # -- inviting users of other servers

    async def invite(self, room: Room, sender: str, target: str, content: Mapping[str, Any]) -> str:
        """Invites a user of another server: that server signs the invite too, and only then it is part of the room."""
        create = await self._engine.rooms.state_event(room, "m.room.create")
        if create is not None and create.content.get("m.federate") is False:
            raise Forbidden("The room is for users of the server that made it alone.")
        draft = Draft(type=_MEMBER, sender=sender, state_key=target, content=dict(content))
        event = await self._engine.append.prepare(room.id, draft)
        try:
            cosigned = await self._ask(room, event, domain_of(target))
        except FAILURES as error:
            raise told_to_client([error], "No server of the invited user") from None
        taken = (await self._engine.receive.take(room.id, [cosigned]))[event.event_id]
        if taken.verdict is None or taken.verdict.outcome is not Outcome.ACCEPTED:
            raise Forbidden("The room changed meanwhile so that you may no longer invite.")
        return event.event_id

    async def exchange(self, room_id: str, sender: str, user_id: str, signed: Mapping[str, Any]) -> None:
        """Has the server of who invited an address make an invite of our user, who has shown that it is theirs.

        https://spec.matrix.org/v1.19/server-server-api/#third-party-invites
        """
        event = {
            "type": _MEMBER,
            "room_id": room_id,
            "sender": sender,
            "state_key": user_id,
            "content": {
                "membership": "invite",
                "third_party_invite": {"display_name": user_id, "signed": dict(signed)},
            },
        }
        request = ExchangeThirdPartyInviteRequest(room_id=room_id, event=event)
        server = domain_of(sender)
        try:
            await self._engine.remote.peers.call(
                EXCHANGE_THIRD_PARTY_INVITE, request, origin=domain_of(user_id), destination=server
            )
        except FAILURES as error:
            raise told_to_client([error], "The server of who invited you") from None

    async def _ask(self, room: Room, event: Event, server: str) -> Event:
        origin = event.sender_domain
        peers = self._engine.remote.peers
        preview = await self.preview(room)
        request = SendInviteV2Request(
            room_id=room.id,
            event_id=event.event_id,
            room_version=room.version.identifier,
            event=msgspec.Raw(event.wire),
            invite_room_state=preview,
        )
        try:
            answer = await peers.call(
                SEND_INVITE_V2, request, origin=origin, destination=server, even_if_backed_off=True
            )
        except Refused as refused:
            if refused.status not in (400, 404) or room.version.identifier not in _OLD:
                raise
            stated = b'{"invite_room_state":[%s]}' % b",".join(map(bytes, preview))
            old = SendInviteV1Request(
                room_id=room.id,
                event_id=event.event_id,
                event=msgspec.Raw(b'%s,"unsigned":%s}' % (event.wire[:-1], stated)),
            )
            _, answer = await peers.call(SEND_INVITE_V1, old, origin=origin, destination=server)
        return await self._check(event, answer.event, server)

    async def _check(self, event: Event, answered: msgspec.Raw, server: str) -> Event:
        """Our invite with the other server's signature; nothing else of what it answered is used."""
        try:
            cosigned = read(answered, event.version)
        except InvalidEvent as error:
            raise MatrixError(f"{server} answered with what is no event: {error.message}", status=502) from None
        if cosigned.event_id != event.event_id or server not in cosigned.pdu["signatures"]:
            raise MatrixError(f"{server} did not sign the invite that it was given.", status=502)
        failed = await self._engine.remote.incoming.failed_signatures([cosigned])
        if failed:
            raise MatrixError(f"{server} did not sign the invite well.", status=502)
        return cosigned

    async def preview(self, room: Room) -> list[msgspec.Raw]:
        """What other servers are shown of a room of ours."""
        state = await self._engine.rooms.state_events(room, PREVIEW_KEYS)
        return [msgspec.Raw(state[key].wire) for key in PREVIEW_KEYS if key in state]
