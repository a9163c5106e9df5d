"""Lets users of other servers into rooms, out of them, and has them knock; takes invites of our own users.

https://spec.matrix.org/v1.19/server-server-api/#joining-rooms
https://spec.matrix.org/v1.19/server-server-api/#restricted-rooms
https://spec.matrix.org/v1.19/server-server-api/#inviting-to-a-room
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgspec
import orjson

from weft.graph.build import Draft
from weft.modules.membership.elsewhere import Elsewhere
from weft.modules.membership.identity_keys import IdentityKeys
from weft.modules.membership.joining import vouching_for
from weft.protocol.api.federation.third_party_invites import ExchangeThirdPartyInviteRequest
from weft.protocol.errors import BadJson, Forbidden, InvalidEvent, InvalidParam, MatrixError, NotFound
from weft.protocol.event import Event, cosign
from weft.protocol.identifiers import domain_of, is_valid_user_id
from weft.protocol.room_versions import ROOM_VERSIONS, RoomVersion
from weft.rooms.access import RoomAccess
from weft.rooms.engine import Engine
from weft.rooms.handshake import is_as_good
from weft.rooms.incoming import read
from weft.rooms.previews import read_preview
from weft.rooms.room import Room
from weft.storage import wire
from weft.storage.database import Transaction

_MEMBER: Final = "m.room.member"
_VIA: Final = "join_authorised_via_users_server"

#: Raises what forbids inviting a user of ours.
CheckInvite = Callable[[str, str], Awaitable[None]]
#: Whether a user of ours has an account that is not deactivated.
Exists = Callable[[str], Awaitable[bool]]


class Entered(NamedTuple):
    """What a server that has joined is told. All as JSON arrays but the event and the names."""

    event: bytes
    state: bytes
    auth_chain: bytes
    members_omitted: bool
    servers: list[str]


class Admitting:
    def __init__(
        self,
        engine: Engine,
        access: RoomAccess,
        elsewhere: Elsewhere,
        identity_keys: IdentityKeys,
        *,
        exists: Exists,
        check_invite: CheckInvite,
        check_room: Callable[[str], None],
    ) -> None:
        self._engine = engine
        self._access = access
        self._elsewhere = elsewhere
        self._identity_keys = identity_keys
        self._exists = exists
        self._check_invite = check_invite
        self._check_room = check_room

    # -- joining

    async def make_join(
        self, origin: str, room_id: str, user_id: str, versions: Collection[str]
    ) -> tuple[RoomVersion, dict[str, Any]]:
        """A template of the join of a user of `origin`."""
        room = await self._asked(origin, room_id, user_id)
        _check_version(room, versions)
        content: dict[str, Any] = {"membership": "join"}
        if room.membership(user_id) not in ("join", "invite"):
            vouching = await vouching_for(self._engine, room, user_id)
            if vouching is not None:
                content[_VIA] = vouching
        return room.version, await self._template(room, user_id, content)

    async def send_join(
        self, origin: str, room_id: str, event_id: str, pdu: msgspec.Raw, *, omit_members: bool = False
    ) -> Entered:
        """Takes a join that was made of a template; returns what there is to know of the room."""
        room = await self._room(origin, room_id)
        resident = self._engine.remote.resident
        event = resident.read_member(origin, room, event_id, pdu, "join")
        event = await self._vouched(room, event)
        stored = await resident.take(room, event)
        if (await self._engine.rooms.get(room_id)).membership(event.sender) != "join":
            # It was accepted once, or on another branch: that is no way into the room as it is now.
            raise Forbidden("You are not in the room after that event.")
        state = await resident.state_before(room, stored)
        servers = sorted(room.servers.keys() | {origin})
        ids = {
            key: one for key, one in state.items() if not omit_members or key[0] != _MEMBER or key[1] == event.sender
        }
        omitted = len(ids) < len(state)
        if omitted:
            ids.update(await self._heroes(room, state))
        chain_of = [*ids.values(), *stored.event.auth_events]
        create = "$" + room.id[1:] if room.version.format.room_id_is_create_hash else None
        state_json, chain_json = await self._engine.database.read(
            _state_and_chain, list(ids.values()), chain_of, create
        )
        return Entered(stored.event.wire, state_json, chain_json, omitted, servers)

    async def _heroes(self, room: Room, state: Mapping[tuple[str, str], str]) -> dict[tuple[str, str], str]:
        """The member events by which clients name a room that has no name: they are never omitted."""
        if ("m.room.name", "") in state or ("m.room.canonical_alias", "") in state:
            return {}
        present = [user for user in room.memberships if room.memberships[user] in ("join", "invite")][:5]
        return {(_MEMBER, user): state[_MEMBER, user] for user in present if (_MEMBER, user) in state}

    async def _vouched(self, room: Room, event: Event) -> Event:
        """A restricted join with our signature, where somebody of ours is named as who lets the user in, and may."""
        authoriser = event.content.get(_VIA)
        if not isinstance(authoriser, str) or not self._engine.is_local(authoriser):
            return event
        if room.membership(event.sender) not in ("join", "invite") and (
            await vouching_for(self._engine, room, event.sender) is None
        ):
            raise Forbidden("The room's join rule asks for nobody to vouch.")
        return self._engine.remote.resident.vouched(event)

    # -- leaving and knocking

    async def make_leave(self, origin: str, room_id: str, user_id: str) -> tuple[RoomVersion, dict[str, Any]]:
        """A template of the leaving, the refusal or the taking back of a user of `origin`."""
        room = await self._asked(origin, room_id, user_id)
        if room.membership(user_id) not in ("join", "invite", "knock"):
            raise Forbidden(f"{user_id} is not in the room.")
        return room.version, await self._template(room, user_id, {"membership": "leave"})

    async def send_leave(self, origin: str, room_id: str, event_id: str, pdu: msgspec.Raw) -> None:
        """Takes a leave event that was made of a template."""
        room = await self._room(origin, room_id)
        resident = self._engine.remote.resident
        await resident.take(room, resident.read_member(origin, room, event_id, pdu, "leave"))

    async def make_knock(
        self, origin: str, room_id: str, user_id: str, versions: Collection[str]
    ) -> tuple[RoomVersion, dict[str, Any]]:
        """A template of the knock of a user of `origin`."""
        room = await self._asked(origin, room_id, user_id)
        _check_version(room, versions)
        return room.version, await self._template(room, user_id, {"membership": "knock"})

    async def send_knock(self, origin: str, room_id: str, event_id: str, pdu: msgspec.Raw) -> list[msgspec.Raw]:
        """Takes a knock; returns what the user may see of the room."""
        room = await self._room(origin, room_id)
        resident = self._engine.remote.resident
        await resident.take(room, resident.read_member(origin, room, event_id, pdu, "knock"))
        return await self._elsewhere.preview(room)

    # -- invites of our users

    async def take_invite(
        self, origin: str, room_id: str, event_id: str, version_id: str, pdu: msgspec.Raw, state: Sequence[msgspec.Raw]
    ) -> bytes:
        """An invite of one of our users with our signature added; the user is told of it."""
        version = ROOM_VERSIONS.get(version_id)
        if version is None:
            raise MatrixError(
                "This server does not know that room version.",
                errcode="M_INCOMPATIBLE_ROOM_VERSION",
                extra={"room_version": version_id},
            )
        event = self._read_invite(origin, room_id, event_id, version, pdu)
        self._check_room(room_id)
        failed = await self._engine.remote.incoming.failed_signatures([event])
        if failed:
            raise InvalidParam(f"The invite is not signed well: {failed[event.event_id]}")
        known = await self._engine.rooms.find(room_id)
        if known is not None and not is_as_good(version, known.version):
            raise InvalidParam(f"The room is known here as one of version {known.version.identifier}.")
        if known is not None and not await self._access.acl_allows(known, origin):
            raise Forbidden("Your server is banned from that room.")
        target = event.key[1]
        if not await self._exists(target):
            raise Forbidden(f"{target} is not a user of this server.")
        await self._check_invite(event.sender, target)
        preview = await read_preview(self._engine.remote.incoming, room_id, version, state)
        if preview.problem is not None and version.format.room_id_is_create_hash:
            raise InvalidParam(preview.problem)
        identity = self._engine.identities[domain_of(target)]
        signed = cosign(event, identity.server_name, identity.signing_key)
        if known is None or not known.joined_local:
            if known is not None and known.membership(target) == "ban":
                raise Forbidden("The user is banned from that room.")
            await self._engine.remote.outside.put(version, signed, preview.shown)
        return signed.wire

    def _read_invite(self, origin: str, room_id: str, event_id: str, version: RoomVersion, pdu: msgspec.Raw) -> Event:
        try:
            event = read(pdu, version)
        except InvalidEvent as error:
            raise InvalidParam(error.message) from None
        if event.event_id != event_id or event.room_id != room_id:
            raise InvalidParam("The event is not the one that the path names.")
        if event.membership != "invite" or event.state_key is None:
            raise InvalidParam("The event is no invite.")
        if event.sender_domain != origin:
            raise InvalidParam("The event is not of a user of your server.")
        if not is_valid_user_id(event.state_key) or not self._engine.is_local(event.state_key):
            raise InvalidParam("The invited user is not of this server.")
        return event

    # -- invites to third parties

    async def exchange_third_party_invite(self, origin: str, args: ExchangeThirdPartyInviteRequest) -> None:
        """Makes the real invite of a user who has shown that an address that was invited is theirs.

        https://spec.matrix.org/v1.19/server-server-api/#third-party-invites
        """
        given = args.event
        target, sender, content = given.get("state_key"), given.get("sender"), given.get("content")
        if not (isinstance(target, str) and isinstance(sender, str) and isinstance(content, dict)):
            raise BadJson("The event lacks a sender, a state_key or a content.")
        if given.get("type") != _MEMBER or content.get("membership") != "invite":
            raise InvalidParam("The event is no invite.")
        if given.get("room_id", args.room_id) != args.room_id or not is_valid_user_id(target):
            raise InvalidParam("The event is not of the room that the path names.")
        room = await self._room(origin, args.room_id)
        if not self._engine.is_local(sender) or room.membership(sender) != "join":
            raise Forbidden("The one who invited is not of this server, or no longer in the room.")
        await self.invite_third_party(room, sender, target, content.get("third_party_invite"))

    async def invite_third_party(self, room: Room, sender: str, target: str, block: object) -> None:
        """Sends the invite with what was signed; the authorisation rules check that."""
        signed = block.get("signed") if isinstance(block, dict) else None
        if not isinstance(signed, dict) or signed.get("mxid") != target:
            raise InvalidParam("The invite does not say who has the address.")
        token = signed.get("token")
        offer = (
            await self._engine.rooms.state_event(room, "m.room.third_party_invite", token)
            if isinstance(token, str)
            else None
        )
        if offer is None:
            raise Forbidden("Nobody was invited by that token.")
        await self._identity_keys.check(signed, offer)
        name = offer.content.get("display_name")
        content = {
            "membership": "invite",
            "third_party_invite": {"display_name": name if isinstance(name, str) else "", "signed": signed},
        }
        if self._engine.is_local(target):
            draft = Draft(type=_MEMBER, sender=sender, state_key=target, content=content)
            await self._engine.append.append(room.id, draft)
        else:
            await self._elsewhere.invite(room, sender, target, content)

    # -- how

    async def _room(self, origin: str, room_id: str) -> Room:
        """A room that we are in, for a server that need not be."""
        room = await self._engine.rooms.find(room_id)
        if room is None or not room.joined_local:
            raise NotFound("This server is not in that room.")
        await self._access.check_acl(room, origin)
        return room

    async def _asked(self, origin: str, room_id: str, user_id: str) -> Room:
        if domain_of(user_id) != origin:
            raise Forbidden("The user is not of your server.")
        return await self._room(origin, room_id)

    async def _template(self, room: Room, user_id: str, content: dict[str, Any]) -> dict[str, Any]:
        draft = Draft(type=_MEMBER, sender=user_id, state_key=user_id, content=content)
        pdu = await self._engine.remote.resident.template(room, draft)
        return {**pdu, "origin": self._engine.remote.missing.own_domain(room)}


def _check_version(room: Room, versions: Collection[str]) -> None:
    if room.version.identifier not in versions:
        raise MatrixError(
            f"Your server does not know room version {room.version.identifier}.",
            errcode="M_INCOMPATIBLE_ROOM_VERSION",
            extra={"room_version": room.version.identifier},
        )


def template_json(pdu: Mapping[str, Any]) -> msgspec.Raw:
    """A template as it travels."""
    return msgspec.Raw(orjson.dumps(pdu))


def _state_and_chain(
    tx: Transaction, ids: Sequence[str], chain_of: Sequence[str], create: str | None
) -> tuple[bytes, bytes]:
    """Some events, and all that authorises some others, as JSON arrays."""
    state = dict(wire.read(tx, ids))
    others: dict[str, bytes] = {}
    chain = wire.auth_chain(tx, chain_of, state, create=create, found=others)
    authorising = ((others.get(event_id) or state.get(event_id)) for event_id in chain)
    return (
        b"[%s]" % b",".join(state.values()),
        b"[%s]" % b",".join(json for json in authorising if json is not None),
    )
