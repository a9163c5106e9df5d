"""Makes rooms: checks what is asked for, and writes all first events, invites included, in one commit.

https://spec.matrix.org/v1.19/client-server-api/#creation
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, Protocol

from weft.graph.build import Draft
from weft.http.call import Requester
from weft.modules.directory import Directory
from weft.modules.directory.store import add_alias, publish
from weft.modules.membership import Memberships
from weft.modules.room_creation import first_events
from weft.modules.room_creation.first_events import PRESETS, Plan, Preset
from weft.modules.room_events import check_content, check_server_acl
from weft.protocol.api.client.rooms import CreateRoomRequest, CreateRoomResponse, Invite3pid, StateEvent
from weft.protocol.errors import AuthRuleViolation, BadJson, InvalidParam, MatrixError, RoomInUse, TooLarge
from weft.protocol.identifiers import domain_of, is_valid_user_id
from weft.protocol.room_versions import RoomVersion, room_version
from weft.rooms.commit import Also
from weft.rooms.engine import Engine
from weft.rooms.room import Room
from weft.storage.database import UniqueViolation, WriteTransaction
from weft.storage.events import StoredEvent

_ROOM_ID_LETTERS: Final = 18
#: All first events are made in one go, during which nobody else is answered.
_MOST_STATE: Final = 1000

#: Counts one more use of a named rate by a user; raises `LimitExceeded`.
Limit = Callable[[str, str], None]


class AddressInvites(Protocol):
    async def find(self, who: Invite3pid) -> str | None:
        """Whose an address is."""

    async def offer(self, requester: Requester, room_id: str, who: Invite3pid) -> None:
        """Leaves an invite for whoever will have an address."""


class RoomCreation:
    """Makes rooms for this server's users. `by_address` invites those of whom only an address is known."""

    def __init__(
        self,
        engine: Engine,
        memberships: Memberships,
        directory: Directory,
        *,
        by_address: AddressInvites,
        default_version: str,
        limit: Limit,
    ) -> None:
        self._by_address = by_address
        self._engine = engine
        self._memberships = memberships
        self._directory = directory
        self._default_version = default_version
        self._limit = limit

    async def create_room(self, requester: Requester, request: CreateRoomRequest) -> CreateRoomResponse:
        """What `POST /createRoom` asks for.

        Raises `MatrixError`; then nothing has been made, unless another server would not take an invite, or an identity
        server not keep one.
        """
        version = room_version(request.room_version if request.room_version is not None else self._default_version)
        creator = requester.user_id
        invitees = _invitees(request, creator)
        if not requester.unlimited:
            for _ in range(len(invitees) + len(request.invite_3pid or ())):
                self._limit("invite", creator)
        public = request.visibility == "public"
        if public:
            self._directory.check_may_publish(requester)
        alias = await self._new_alias(requester, request.room_alias_name)
        found, unknown = await self._looked_up(request.invite_3pid or ())
        invitees += [user_id for user_id in found if user_id not in invitees and user_id != creator]
        preset = PRESETS[request.preset or ("public_chat" if public else "private_chat")]
        trusted = invitees if preset.trusts_invitees else ()
        given = _creation_content(version, request.creation_content)
        plan = Plan(
            version=version,
            creator=creator,
            preset=preset,
            creation_content=first_events.create_content(version, creator, given, trusted),
            membership=await self._memberships.member_content(creator, "join"),
            power_levels=_power_levels(version, creator, preset, trusted, request, given),
            alias=alias,
            initial_state=await self._initial_state(version, creator, request.initial_state or (), alias),
            name=request.name,
            topic=request.topic,
            invites=await self._invites(creator, invitees, is_direct=request.is_direct),
        )
        room = await self.create(version, first_events.drafts(plan), alias=alias, publishing=public)
        for user_id in invitees:
            # Their servers sign the invites too, so these come when the room is there.
            if not self._engine.is_local(user_id):
                await self._memberships.invite(requester, room.id, user_id, content=_invite(request.is_direct))
        for who in unknown:
            await self._by_address.offer(requester, room.id, who)
        return CreateRoomResponse(room_id=room.id, room_alias=alias)

    async def _looked_up(self, addresses: Sequence[Invite3pid]) -> tuple[list[str], list[Invite3pid]]:
        """Whose addresses these are, each user once, and those that are nobody's."""
        owners = [(who, await self._by_address.find(who)) for who in addresses]
        found = dict.fromkeys(owner for _, owner in owners if owner is not None)
        return list(found), [who for who, owner in owners if owner is None]

    async def create(
        self,
        version: RoomVersion,
        drafts: Sequence[Draft],
        *,
        alias: str | None = None,
        publishing: bool = False,
        also: Also | None = None,
    ) -> Room:
        """Makes a room of events that begin with the create event, and in the same transaction its alias.

        Raises `RoomInUse` where the alias is taken, `M_INVALID_ROOM_STATE` where an event is not allowed.
        """
        creator = drafts[0].sender

        def beside(tx: WriteTransaction, stored: Sequence[StoredEvent]) -> None:
            number = stored[0].room
            if alias is not None:
                add_alias(tx, alias, number, creator)
            if publishing:
                publish(tx, number)
            if also is not None:
                also(tx, stored)

        needed = alias is not None or publishing or also is not None
        try:
            room_id = None if version.format.room_id_is_create_hash else self._new_room_id(creator)
            return await self._engine.append.create(version, room_id, drafts, beside if needed else None)
        except AuthRuleViolation as error:
            raise MatrixError(error.message, errcode="M_INVALID_ROOM_STATE") from error
        except UniqueViolation:
            if alias is None:
                raise
            raise RoomInUse(f"The alias {alias} is taken.") from None

    def rehearse(self, version: RoomVersion, drafts: Sequence[Draft]) -> None:
        """Raises what would refuse one of the drafts, if a room began with them. No room is made."""
        room_id = None if version.format.room_id_is_create_hash else self._new_room_id(drafts[0].sender)
        self._engine.append.rehearse(version, room_id, drafts)

    def _new_room_id(self, creator: str) -> str:
        return f"!{self._engine.outside.token(_ROOM_ID_LETTERS)}:{domain_of(creator)}"

    async def _new_alias(self, requester: Requester, localpart: str | None) -> str | None:
        if localpart is None:
            return None
        alias = self._directory.new_alias(requester, localpart)
        if not await self._directory.is_free(alias):
            raise RoomInUse(f"The alias {alias} is taken.")
        return alias

    async def _initial_state(
        self, version: RoomVersion, creator: str, given: Sequence[StateEvent], alias: str | None
    ) -> list[tuple[str, str, dict[str, Any]]]:
        if len(given) > _MOST_STATE:
            raise TooLarge(f"A room begins with at most {_MOST_STATE} events of initial_state.")
        for event in given:
            check_content(version, event.type, event.content)
            if event.type == "m.room.canonical_alias":
                await self._directory.check_canonical_alias(None, event.content, {}, reserved=alias)
            elif event.type == "m.room.server_acl":
                check_server_acl(event.content, [domain_of(creator)])
        return [(event.type, event.state_key, event.content) for event in given]

    async def _invites(
        self, creator: str, invitees: Sequence[str], *, is_direct: bool | None
    ) -> dict[str, dict[str, Any]]:
        contents: dict[str, dict[str, Any]] = {}
        for user_id in invitees:
            await self._memberships.check_invite(creator, user_id)
            if self._engine.is_local(user_id):
                contents[user_id] = await self._memberships.member_content(user_id, "invite", _invite(is_direct))
        return contents


def _invite(is_direct: bool | None) -> dict[str, Any]:
    return {"is_direct": True} if is_direct else {}


def _invitees(request: CreateRoomRequest, creator: str) -> list[str]:
    """Who is to be invited, each once; the creator is in the room anyway."""
    invitees = dict.fromkeys(request.invite or ())
    for user_id in invitees:
        if not is_valid_user_id(user_id):
            raise InvalidParam(f"{user_id} is not a user id.")
    invitees.pop(creator, None)
    return list(invitees)


def _creation_content(version: RoomVersion, given: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """What is given for the create event, as far as the room version looks into it."""
    given = given or {}
    if version.auth.privileged_creators:
        others = given.get("additional_creators", [])
        if not isinstance(others, list) or not all(isinstance(one, str) and is_valid_user_id(one) for one in others):
            raise InvalidParam("additional_creators must be a list of user ids.")
    return given


def _power_levels(
    version: RoomVersion,
    creator: str,
    preset: Preset,
    trusted: Iterable[str],
    request: CreateRoomRequest,
    creation_content: Mapping[str, Any],
) -> dict[str, Any]:
    override = request.power_level_content_override or {}
    users = override.get("users", {})
    if version.auth.privileged_creators and isinstance(users, dict):
        creators = {creator, *trusted, *creation_content.get("additional_creators", [])}
        if not creators.isdisjoint(users):
            raise BadJson("Creators stand above all power levels in this room version: users can't name them.")
    return first_events.power_levels(version, creator, preset, trusted, override)
