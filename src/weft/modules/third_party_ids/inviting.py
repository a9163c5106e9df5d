"""Inviting somebody of whom only an address is known.

An identity server says whose the address is. If it is nobody's yet, the identity server keeps the invite until it is
somebody's, and the room gets a state event with the keys by which that will be shown. What comes after is in
`weft.modules.membership` (`binding`, `admitting`).

https://spec.matrix.org/v1.19/client-server-api/#third-party-invites
"""

from __future__ import annotations

from typing import Final, Protocol

from weft.graph.build import Draft
from weft.http.call import Requester
from weft.modules.third_party_ids.identity import IdentityServers
from weft.protocol.api.client.rooms import Invite3pid
from weft.protocol.api.endpoint import Empty
from weft.protocol.api.identity.invites import STORE_INVITE_V2, StoreInviteRequest, StoreInviteResponse
from weft.protocol.api.identity.lookup import GET_HASH_DETAILS, LOOKUP_USERS_V2, LookupUsersRequest
from weft.protocol.errors import Forbidden, MatrixError
from weft.protocol.identifiers import is_valid_client_secret, is_valid_user_id
from weft.protocol.power_levels import PowerLevels
from weft.protocol.third_party_ids import ThirdPartyId, canonical, lookup_hash, lookup_plain
from weft.rooms.engine import Engine
from weft.rooms.room import Room

#: What of the room goes into the message to the address: the field, the state event, the key of its content.
_TOLD: Final = (
    ("room_alias", "m.room.canonical_alias", "alias"),
    ("room_avatar_url", "m.room.avatar", "url"),
    ("room_join_rules", "m.room.join_rules", "join_rule"),
    ("room_name", "m.room.name", "name"),
    ("room_type", "m.room.create", "type"),
)


class Invite(Protocol):
    async def __call__(self, requester: Requester, room_id: str, target: str, *, reason: str | None = None) -> str:
        """`Memberships.invite`."""


class AddressInvites:
    """`invite` is what invites a user."""

    def __init__(self, engine: Engine, identity: IdentityServers, invite: Invite) -> None:
        self._engine = engine
        self._identity = identity
        self._invite = invite

    async def invite(self, requester: Requester, room_id: str, who: Invite3pid, *, reason: str | None = None) -> None:
        """Invites whoever has an address, or will have it.

        Raises `MatrixError`: where the requester may not invite, and as `IdentityServers.call` does.
        """
        await self._may_invite(requester.user_id, room_id)
        user_id = await self.find(who)
        if user_id is not None:
            await self._invite(requester, room_id, user_id, reason=reason)
        else:
            await self.offer(requester, room_id, who)

    async def offer(self, requester: Requester, room_id: str, who: Invite3pid) -> None:
        """Leaves an invite with an identity server for whoever will have an address that is nobody's yet.

        Raises as `invite` does.
        """
        third_party_id = canonical(who.medium, who.address)
        room = await self._may_invite(requester.user_id, room_id)
        offered = await self._store(requester.user_id, room, who, third_party_id)
        await self._engine.append.append(room_id, _draft(requester.user_id, offered))

    async def find(self, who: Invite3pid) -> str | None:
        """Whose an address is, as an identity server says. Raises as `IdentityServers.call` does."""
        third_party_id = canonical(who.medium, who.address)
        token = who.id_access_token
        details = await self._identity.call(who.id_server, GET_HASH_DETAILS, Empty(), token=token)
        if "sha256" in details.algorithms:
            algorithm, address = "sha256", lookup_hash(third_party_id, details.lookup_pepper)
        elif "none" in details.algorithms:
            algorithm, address = "none", lookup_plain(third_party_id)
        else:
            raise MatrixError(f"{who.id_server} knows no way of looking up that this server knows.", status=502)
        request = LookupUsersRequest(addresses=[address], algorithm=algorithm, pepper=details.lookup_pepper)
        found = await self._identity.call(who.id_server, LOOKUP_USERS_V2, request, token=token)
        user_id = found.mappings.get(address)
        return user_id if user_id is not None and is_valid_user_id(user_id) else None

    async def _may_invite(self, user_id: str, room_id: str) -> Room:
        """The room, in which the user stands high enough: before a message goes out, not after.

        Raises `Forbidden`.
        """
        room = await self._engine.rooms.find(room_id)
        if room is None or room.membership(user_id) != "join":
            raise Forbidden("You are not in this room.")
        create = await self._engine.rooms.state_event(room, "m.room.create")
        current = await self._engine.rooms.state_event(room, "m.room.power_levels")
        if create is None:
            raise Forbidden("You are not in this room.")
        levels = PowerLevels.of(current, create, room.version)
        if levels.user(user_id) < levels.invite:
            raise Forbidden("You may not invite to this room.")
        return room

    async def _store(
        self, sender: str, room: Room, who: Invite3pid, third_party_id: ThirdPartyId
    ) -> StoreInviteResponse:
        told: dict[str, str] = {}
        for field, event_type, key in _TOLD:
            event = await self._engine.rooms.state_event(room, event_type)
            value = event.content.get(key) if event is not None else None
            if isinstance(value, str):
                told[field] = value
        member = await self._engine.rooms.state_event(room, "m.room.member", sender)
        for field, key in (("sender_display_name", "displayname"), ("sender_avatar_url", "avatar_url")):
            value = member.content.get(key) if member is not None else None
            if isinstance(value, str):
                told[field] = value
        request = StoreInviteRequest(
            medium=third_party_id.medium, address=third_party_id.address, room_id=room.id, sender=sender, **told
        )
        offered = await self._identity.call(who.id_server, STORE_INVITE_V2, request, token=who.id_access_token)
        if not offered.public_keys or not is_valid_client_secret(offered.token):
            raise MatrixError(f"{who.id_server} kept the invite without a key or a token.", status=502)
        return offered


def _draft(sender: str, offered: StoreInviteResponse) -> Draft:
    """https://spec.matrix.org/v1.19/client-server-api/#mroomthird_party_invite"""
    keys = [{"public_key": key.public_key, "key_validity_url": key.key_validity_url} for key in offered.public_keys]
    content = {"display_name": offered.display_name, **keys[0], "public_keys": keys}
    return Draft(type="m.room.third_party_invite", state_key=offered.token, sender=sender, content=content)
