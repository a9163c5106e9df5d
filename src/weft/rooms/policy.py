"""Policy servers: a room may name a server that has to sign every event before it counts as wanted.

The signature says nothing about permission, which the authorisation rules alone decide. An event of ours that the
policy server will not sign is not sent; one of another server that lacks the signature is soft-failed.

Of a server that vouches itself, the judgement comes from a hook: what it thinks of events is its operator's own.

https://spec.matrix.org/v1.19/server-server-api/#policy-servers
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final, NamedTuple

import msgspec
import structlog

from weft.federation.peer import Peers
from weft.graph.outcome import Outcome
from weft.http.client import Refused
from weft.protocol.api.federation.policy import ASK_POLICY_SERVER_TO_SIGN, AskPolicyServerToSignRequest
from weft.protocol.errors import Forbidden, InvalidParam, MatrixError, NotNow, PeerError, Unreachable
from weft.protocol.event import Event, is_signed_by, sign
from weft.protocol.signatures import SigningKey, VerifyKey, with_signature
from weft.rooms.append import POLICY
from weft.rooms.commit import Also
from weft.rooms.receive import Receive
from weft.rooms.room import Room
from weft.rooms.rooms import Rooms
from weft.storage.events import StoredEvent

log = structlog.get_logger(__name__)

TYPE: Final = POLICY
KEY_ID: Final = "ed25519:policy_server"
#: Seconds that a sender waits for the policy server.
_PATIENCE: Final = 15.0

#: Judges an event for a room that has this server as its policy server: why it is not wanted, or None.
Hook = Callable[[str, Event], Awaitable[str | None]]


class PolicyServer(NamedTuple):
    """The server that a room asks, and the key that it signs with."""

    name: str
    key: VerifyKey


class PolicyServers:
    def __init__(self, rooms: Rooms, receive: Receive, peers: Peers, own_domain: Callable[[Room], str]) -> None:
        self._rooms = rooms
        self._receive = receive
        self._peers = peers
        self._own_domain = own_domain
        #: Where this server is a policy server itself: its judgement, and the key that rooms name.
        self.hook: Hook | None = None
        self.signing_key: SigningKey | None = None

    async def of(self, room: Room) -> PolicyServer | None:
        """The room's policy server; None for a room that has none, or one that is not in the room."""
        if room.state_id(TYPE) is None:
            return None
        event = await self._rooms.state_event(room, TYPE)
        content: dict[str, Any] = event.content if event is not None else {}
        via, keys = content.get("via"), content.get("public_keys")
        key = keys.get("ed25519") if isinstance(keys, dict) else None
        if not isinstance(via, str) or not isinstance(key, str) or not room.servers.get(via):
            return None
        try:
            return PolicyServer(via, VerifyKey.from_base64(KEY_ID, key))
        except (InvalidParam, ValueError):
            return None

    async def recommended(self, room: Room, event: Event) -> Event | None:
        """The event with the policy server's signature, asked for where it is missing; None if it is not wanted.

        Where the room asks no policy server, every event is wanted as it is.
        """
        try:
            return await self.signed(room, event)
        except MatrixError as error:
            log.info("a policy server does not recommend an event", event_id=event.event_id, reason=error.message)
            return None

    async def signed(self, room: Room, event: Event) -> Event:
        """As `recommended`. Raises what the policy server says against the event."""
        server = await self.of(room)
        if server is None or (event.type == TYPE and event.state_key == ""):
            return event
        if is_signed_by(event, server.name, server.key):
            return event
        signature = await self._ask(room, server.name, event)
        pdu = with_signature(event.pdu, server.name, KEY_ID, signature)
        signed = Event.stored(pdu, event.version, event.event_id)
        if not is_signed_by(signed, server.name, server.key):
            raise Forbidden(f"The signature of the policy server {server.name} is not by the key that the room names.")
        return signed

    async def send(self, room_id: str, event: Event, also: Also) -> StoredEvent:
        """Sends an event of ours that the room's policy server signs. Raises what that says against it."""
        signed = await self.signed(await self._rooms.get(room_id), event)
        taken = (await self._receive.take(room_id, [signed], also=also))[event.event_id]
        stored = await self._rooms.event(event.event_id)
        if stored is None or taken.verdict is None or taken.verdict.outcome is not Outcome.ACCEPTED:
            raise Forbidden("The room changed meanwhile so that this is no longer allowed.")
        return stored

    async def _ask(self, room: Room, server: str, event: Event) -> str:
        if self._rooms.is_local(server):
            return await self.vouch(self._own_domain(room), event)
        request = AskPolicyServerToSignRequest(event=msgspec.Raw(event.wire))
        try:
            answer = await self._peers.call(
                ASK_POLICY_SERVER_TO_SIGN,
                request,
                origin=self._own_domain(room),
                destination=server,
                timeout=_PATIENCE,
            )
        except Refused as refused:
            raise MatrixError(refused.text, errcode=refused.errcode, status=min(refused.status, 499)) from None
        except (Unreachable, NotNow, PeerError) as error:
            raise MatrixError(f"The room's policy server {server} does not answer: {error}", status=502) from None
        signature = answer.get(server, {}).get(KEY_ID)
        if signature is None:
            raise Forbidden(f"The policy server {server} did not sign the event.")
        return signature

    async def vouch(self, origin: str, event: Event) -> str:
        """This server's own signature as a policy server. Raises `Forbidden` for an event that it doesn't want."""
        if self.hook is None or self.signing_key is None:
            raise MatrixError("This server is no policy server.", errcode="M_UNRECOGNIZED", status=404)
        reason = await self.hook(origin, event)
        if reason is not None:
            raise Forbidden(reason, status=400)
        return sign(event, self.signing_key)
