"""Changes of membership, each with the checks that are its own.

Whether somebody stands high enough for one is the authorisation rules' matter. All go through `engine.append`,
those of `PUT …/state/m.room.member/…` too.

https://spec.matrix.org/v1.19/client-server-api/#room-membership
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from weft.graph.build import Draft
from weft.http.call import Requester
from weft.modules.membership.elsewhere import Elsewhere
from weft.modules.membership.identity_keys import IdentityKeys
from weft.modules.membership.joining import CantVouch, check_guest, vouching_for
from weft.modules.membership.viewing import not_in_room
from weft.protocol.api.client.membership import ThirdPartySigned
from weft.protocol.errors import AuthRuleViolation, BadJson, BadState, Forbidden, InvalidParam, MatrixError, NotFound
from weft.protocol.event import Event
from weft.protocol.identifiers import is_valid_user_id, localpart_of
from weft.protocol.invite_permissions import KEY, LISTS_KEY, InvitePermissions, InviteRule
from weft.rooms.engine import Engine
from weft.rooms.room import Room
from weft.storage import rooms as room_store
from weft.storage.database import WriteTransaction

_MEMBER: Final = "m.room.member"
_AUTHORISED_VIA: Final = "join_authorised_via_users_server"
_PRESENT: Final = frozenset({"join", "invite", "knock"})

#: A user's profile: `displayname`, `avatar_url` and other fields; empty for nobody.
ProfileOf = Callable[[str], Awaitable[Mapping[str, Any]]]
#: The content of a user's account data of a type; None if there is none.
AccountDataOf = Callable[[str, str], Awaitable[Mapping[str, Any] | None]]
#: The room id of a room id or alias, and servers that may be in the room; raises `MatrixError`.
Locate = Callable[[str], Awaitable[tuple[str, Sequence[str]]]]
#: Whether an account of this server is a guest's.
IsGuest = Callable[[str], Awaitable[bool]]
#: Called with a user, the room that they were in, and its replacement, which they have just joined.
OnReplaced = Callable[[str, str, str], Awaitable[None]]

Content = Mapping[str, Any]
NOTHING: Final[Content] = MappingProxyType({})


class Memberships:
    """Each method returns the room's id or the id of the event that now says so; one that changes nothing adds none.

    Raises `MatrixError`: `NotFound` only where the room may be known to whoever asks, otherwise `Forbidden`.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        profile_of: ProfileOf,
        account_data_of: AccountDataOf,
        locate: Locate,
        is_guest: IsGuest,
        notices_localpart: str,
        elsewhere: Elsewhere,
        identity_keys: IdentityKeys,
        on_replaced: OnReplaced | None = None,
    ) -> None:
        self._engine = engine
        self._elsewhere = elsewhere
        self._identity_keys = identity_keys
        self._profile_of = profile_of
        self._account_data_of = account_data_of
        self._locate = locate
        self._is_guest = is_guest
        self._notices_localpart = notices_localpart
        self._on_replaced = on_replaced
        #: Called with the id of a room before anybody of this server gets into it; raises what forbids that.
        self.closed: list[Callable[[str], None]] = []
        #: Called with who invites and who is invited, of which one is of this server; raises what forbids that.
        self.unwelcome: list[Callable[[str, str], None]] = []

    def check_open(self, room_id: str) -> None:
        """Raises what forbids that anybody of this server gets into a room, or is invited to it."""
        for check in self.closed:
            check(room_id)

    # -- oneself

    async def join(
        self,
        requester: Requester,
        room_id_or_alias: str,
        *,
        via: Sequence[str] = (),
        reason: str | None = None,
        third_party_signed: ThirdPartySigned | None = None,
    ) -> str:
        """Joins a room by id or alias; returns its id. Whoever is in already gets their present profile into it.

        `via` are servers to ask for a room that nobody here is in.
        """
        room_id, servers = await self._locate(room_id_or_alias)
        if third_party_signed is not None:
            await self._accept_third_party(requester.user_id, room_id, third_party_signed)
        await self._join(requester, room_id, {}, reason, [*via, *servers])
        return room_id

    async def knock(
        self, requester: Requester, room_id_or_alias: str, *, via: Sequence[str] = (), reason: str | None = None
    ) -> str:
        """Asks to be let into a room; returns its id."""
        room_id, servers = await self._locate(room_id_or_alias)
        await self._knock(requester.user_id, room_id, {}, reason, [*via, *servers])
        return room_id

    async def leave(
        self, requester: Requester, room_id: str, *, reason: str | None = None, content: Content = NOTHING
    ) -> str:
        """Leaves a room, rejects an invite or takes back a knock. Whoever has left already stays so."""
        user_id = requester.user_id
        room = await self._engine.rooms.find(room_id)
        membership = room.membership(user_id) if room is not None else None
        if room is None or membership is None:
            raise not_in_room()
        current = await self._current(room, user_id)
        if membership == "leave" and current is not None:
            return current.event_id
        if membership == "invite" and await self.is_notice_room(room):
            raise MatrixError("You can't reject this invite.", errcode="M_CANNOT_LEAVE_SERVER_NOTICE_ROOM", status=403)
        made = _made(content, "leave", reason)
        if self._elsewhere.is_elsewhere(room):
            return await self._elsewhere.leave(user_id, room, made)
        return await self._append(room_id, user_id, user_id, made)

    async def forget(self, user_id: str, room_id: str) -> None:
        """Hides a room that the user has left, with all of its history."""
        room = await self._engine.rooms.find(room_id)
        membership = room.membership(user_id) if room is not None else None
        if room is None or membership is None:
            raise not_in_room()
        if membership in _PRESENT:
            raise MatrixError(f"User {user_id} is in room {room_id}.", errcode="M_UNKNOWN")
        await self._engine.database.write(_forget, room.number, user_id)

    # -- others

    async def invite(
        self, requester: Requester, room_id: str, target: str, *, reason: str | None = None, content: Content = NOTHING
    ) -> str:
        """Invites a user. Raises `M_INVITE_BLOCKED` where the user wants no invites."""
        room = await self._entered(requester.user_id, room_id)
        self.check_open(room_id)
        await self.check_invite(requester.user_id, target)
        made = await self.member_content(target, "invite", content, reason)
        if not self._engine.is_local(target):
            return await self._elsewhere.invite(room, requester.user_id, target, made)
        return await self._set(room, requester.user_id, target, made)

    async def kick(
        self, requester: Requester, room_id: str, target: str, *, reason: str | None = None, content: Content = NOTHING
    ) -> str:
        """Removes a user who is in the room, invited or knocking."""
        room = await self._entered(requester.user_id, room_id)
        _check_user_id(target)
        if room.membership(target) not in _PRESENT:
            raise Forbidden(f"{target} is not in the room.")
        return await self._append(room_id, requester.user_id, target, _made(content, "leave", reason))

    async def ban(
        self, requester: Requester, room_id: str, target: str, *, reason: str | None = None, content: Content = NOTHING
    ) -> str:
        """Bans a user, who need not have been in the room."""
        room = await self._entered(requester.user_id, room_id)
        _check_user_id(target)
        return await self._set(room, requester.user_id, target, _made(content, "ban", reason))

    async def unban(
        self, requester: Requester, room_id: str, target: str, *, reason: str | None = None, content: Content = NOTHING
    ) -> str:
        """Lifts a ban. Raises `BadState` for a user who is not banned."""
        room = await self._entered(requester.user_id, room_id)
        _check_user_id(target)
        if room.membership(target) != "ban":
            raise BadState(f"{target} is not banned from the room.")
        return await self._append(room_id, requester.user_id, target, _made(content, "leave", reason))

    # -- by the event's content

    async def set_member(self, requester: Requester, room_id: str, target: str, content: Content) -> str:
        """What `PUT …/state/m.room.member/{target}` asks for, by the rules of the endpoint made for it.

        Returns the event's id. Further keys of the content are kept, but for those that only servers may set.
        """
        _check_user_id(target)
        own = target == requester.user_id
        match content.get("membership"):
            case "join" if own:
                return await self._join(requester, room_id, content, None)
            case "knock" if own:
                return await self._knock(requester.user_id, room_id, content, None)
            case "join" | "knock":
                raise Forbidden("Nobody can join or knock for somebody else.")
            case "invite":
                return await self.invite(requester, room_id, target, content=content)
            case "leave" if own:
                return await self.leave(requester, room_id, content=content)
            case "leave":
                room = await self._entered(requester.user_id, room_id)
                change = self.unban if room.membership(target) == "ban" else self.kick
                return await change(requester, room_id, target, content=content)
            case "ban":
                return await self.ban(requester, room_id, target, content=content)
            case _:
                raise BadJson("The membership must be join, invite, knock, leave or ban.")

    async def member_content(
        self, user_id: str, membership: str, given: Content = NOTHING, reason: str | None = None
    ) -> dict[str, Any]:
        """The content of a member event that is to bring the user into the room: with their profile, if we know it."""
        made = _made(given, membership, reason)
        if self._engine.is_local(user_id):
            for key, value in member_profile(await self._profile_of(user_id)).items():
                made.setdefault(key, value)
        return made

    async def check_invite(self, inviter: str, target: str) -> None:
        """Raises what forbids somebody to invite the user, to whatever room."""
        _check_user_id(target)
        for check in self.unwelcome:
            check(inviter, target)
        if self._engine.is_local(target):
            rule = (await self.invite_permissions(target)).rule(inviter)
            if rule is InviteRule.BLOCK:
                raise MatrixError(f"{target} does not want to be invited.", errcode="M_INVITE_BLOCKED", status=403)

    async def invite_permissions(self, user_id: str) -> InvitePermissions:
        """Whose invites a user of this server wants."""
        config, lists = [await self._account_data_of(user_id, key) for key in (KEY, LISTS_KEY)]
        return InvitePermissions(config, lists)

    async def remove_guests(self, room_id: str) -> None:
        """Has every guest of this server leave a room that guests may no longer be in."""
        room = await self._engine.rooms.get(room_id)
        members = await self._engine.rooms.state_events(room, [(_MEMBER, user_id) for user_id in room.joined_local])
        entered = [user_id for (_, user_id), event in members.items() if event.content.get("kind") == "guest"]
        # Some have become members of the server since.
        guests = [user_id for user_id in entered if await self._is_guest(user_id)]
        if guests:
            drafts = [_draft(user_id, user_id, {"membership": "leave"}) for user_id in guests]
            await self._engine.append.append_all(room_id, drafts)

    async def leave_all(self, user_id: str) -> None:
        """Takes a user whose account has ended out of every room, invites and knocks included."""
        for row in await self._engine.database.read(room_store.memberships_of_user, user_id):
            if row.membership not in _PRESENT:
                continue
            try:
                await self.leave_for_good(user_id, row.room_id)
            except AuthRuleViolation:
                # Somebody else removed the user meanwhile.
                continue

    async def leave_for_good(self, user_id: str, room_id: str) -> None:
        """Takes a user of this server out of a room, whether they want it or not. Raises what forbids it."""
        room = await self._engine.rooms.get(room_id)
        if self._elsewhere.is_elsewhere(room):
            await self._elsewhere.leave(user_id, room, {"membership": "leave"})
        else:
            await self._append(room_id, user_id, user_id, {"membership": "leave"})

    async def is_notice_room(self, room: Room) -> bool:
        """Whether the server itself made the room, to send its notices in."""
        create = await self._engine.rooms.state_event(room, "m.room.create")
        return (
            create is not None
            and localpart_of(create.sender) == self._notices_localpart
            and self._engine.is_local(create.sender)
        )

    # -- how

    async def _join(
        self, requester: Requester, room_id: str, given: Content, reason: str | None, via: Sequence[str] = ()
    ) -> str:
        user_id = requester.user_id
        self.check_open(room_id)
        room = self._engine.rooms.cached(room_id) or await self._engine.rooms.find(room_id)
        made = await self.member_content(user_id, "join", given, reason)
        if room is None or self._elsewhere.is_elsewhere(room):
            return await self._join_elsewhere(requester, room_id, room, made, via)
        if requester.is_guest:
            await check_guest(self._engine, room)
            made["kind"] = "guest"
        membership = room.membership(user_id)
        if membership == "join":
            current = await self._current(room, user_id)
            if current is not None and _without_authoriser(current.content) == made:
                return current.event_id
        elif membership not in ("invite", "ban"):
            try:
                vouching = await vouching_for(self._engine, room, user_id)
            except CantVouch as error:
                if not any(not self._engine.is_local_domain(name) for name in room.servers):
                    raise Forbidden(error.message) from None
                return await self._join_elsewhere(requester, room_id, room, made, via)
            if vouching is not None:
                made[_AUTHORISED_VIA] = vouching
        event_id = await self._append(room_id, user_id, user_id, made)
        if membership != "join" and self._on_replaced is not None:
            await self._replaced(self._on_replaced, room, user_id)
        return event_id

    async def _join_elsewhere(
        self, requester: Requester, room_id: str, room: Room | None, made: dict[str, Any], via: Sequence[str]
    ) -> str:
        """Joins through another server."""
        if requester.is_guest:
            raise MatrixError(
                "Guests can't join rooms of other servers.", errcode="M_GUEST_ACCESS_FORBIDDEN", status=403
            )
        event_id = await self._elsewhere.join(requester.user_id, room_id, via, made, room)
        if self._on_replaced is not None:
            await self._replaced(self._on_replaced, await self._engine.rooms.get(room_id), requester.user_id)
        return event_id

    async def _knock(
        self, user_id: str, room_id: str, given: Content, reason: str | None, via: Sequence[str] = ()
    ) -> str:
        self.check_open(room_id)
        room = await self._engine.rooms.find(room_id)
        made = await self.member_content(user_id, "knock", given, reason)
        if room is None or self._elsewhere.is_elsewhere(room):
            return await self._elsewhere.knock(user_id, room_id, via, made, room)
        return await self._set(room, user_id, user_id, made)

    async def _set(self, room: Room, sender: str, target: str, content: dict[str, Any]) -> str:
        """Sends the event, unless the same one is in the state already."""
        current = await self._current(room, target)
        if current is not None and current.sender == sender and current.content == content:
            return current.event_id
        return await self._append(room.id, sender, target, content)

    async def _append(self, room_id: str, sender: str, target: str, content: dict[str, Any]) -> str:
        return (await self._engine.append.append(room_id, _draft(sender, target, content))).event.event_id

    async def _current(self, room: Room, user_id: str) -> Event | None:
        return await self._engine.rooms.state_event(room, _MEMBER, user_id)

    async def _known(self, room_id: str) -> Room:
        room = await self._engine.rooms.find(room_id)
        if room is None:
            raise NotFound("This server knows no such room, and nobody to ask for it.")
        return room

    async def _entered(self, user_id: str, room_id: str) -> Room:
        """A room that the user is in."""
        room = self._engine.rooms.cached(room_id) or await self._engine.rooms.find(room_id)
        if room is None or room.membership(user_id) != "join":
            raise not_in_room()
        return room

    async def _replaced(self, on_replaced: OnReplaced, room: Room, user_id: str) -> None:
        """Tells of somebody who has followed a room to its replacement."""
        create = await self._engine.rooms.state_event(room, "m.room.create")
        predecessor = create.content.get("predecessor") if create is not None else None
        old_id = predecessor.get("room_id") if isinstance(predecessor, dict) else None
        old = await self._engine.rooms.find(old_id) if isinstance(old_id, str) else None
        if old is not None and old.membership(user_id) is not None:
            await on_replaced(user_id, old.id, room.id)

    async def _accept_third_party(self, user_id: str, room_id: str, signed: ThirdPartySigned) -> None:
        """Turns an invite to an address into one to the user, who has shown that the address is theirs.

        The inviter's server sends it; the authorisation rules check what was signed.
        """
        if signed.mxid != user_id or not is_valid_user_id(signed.sender):
            raise Forbidden("What is signed is not about you.")
        room = await self._engine.rooms.find(room_id)
        if room is not None and room.membership(user_id) in ("invite", "join"):
            return
        claim = {
            "mxid": signed.mxid,
            "sender": signed.sender,
            "token": signed.token,
            "signatures": signed.signatures,
        }
        if not self._engine.is_local(signed.sender):
            await self._elsewhere.exchange(room_id, signed.sender, user_id, claim)
            return
        room = await self._known(room_id)
        offer = await self._engine.rooms.state_event(room, "m.room.third_party_invite", signed.token)
        if offer is not None:
            await self._identity_keys.check(claim, offer)
        name = offer.content.get("display_name") if offer is not None else None
        block = {"display_name": name if isinstance(name, str) else "", "signed": claim}
        made = await self.member_content(user_id, "invite", {"third_party_invite": block})
        await self._append(room_id, signed.sender, user_id, made)


def member_profile(profile: Mapping[str, Any]) -> dict[str, str]:
    """What of a profile goes into member events."""
    found = ((key, profile.get(key)) for key in ("displayname", "avatar_url"))
    return {key: value for key, value in found if isinstance(value, str)}


def _made(given: Content, membership: str, reason: str | None) -> dict[str, Any]:
    """A member event's content: without what would have our server vouch for somebody."""
    made = {key: value for key, value in given.items() if key not in (_AUTHORISED_VIA, "kind")}
    made["membership"] = membership
    if reason is not None:
        made["reason"] = reason
    return made


def _without_authoriser(content: Content) -> Content:
    return {key: value for key, value in content.items() if key != _AUTHORISED_VIA}


def _draft(sender: str, target: str, content: dict[str, Any]) -> Draft:
    return Draft(type=_MEMBER, state_key=target, sender=sender, content=content)


def _check_user_id(user_id: str) -> None:
    if not is_valid_user_id(user_id):
        raise InvalidParam(f"{user_id} is not a user id.")


def _forget(tx: WriteTransaction, room: int, user_id: str) -> None:
    if room_store.forget(tx, room, user_id):
        tx.append("forgotten", room=room, user_id=user_id)
