"""Who may join without an invite: the rules that the authorisation rules leave to the user's own server.

https://spec.matrix.org/v1.19/client-server-api/#restricted-rooms
https://spec.matrix.org/v1.19/client-server-api/#guest-access
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain
from typing import Any, Final

from weft.protocol.errors import Forbidden, MatrixError
from weft.protocol.event import Event
from weft.protocol.power_levels import PowerLevels
from weft.rooms.engine import Engine
from weft.rooms.room import Room

#: How many of the rooms that a join rule allows are looked at.
_MOST_ALLOWED: Final = 100


class CantVouch(MatrixError):
    """This server can't let a user into a restricted room; perhaps another one can."""


async def check_guest(engine: Engine, room: Room) -> None:
    """Raises `Forbidden` unless guests may be in the room."""
    event = await engine.rooms.state_event(room, "m.room.guest_access")
    if event is None or event.content.get("guest_access") != "can_join":
        raise Forbidden("Guests can't join this room.")


async def vouching_for(engine: Engine, room: Room, user_id: str) -> str | None:
    """The member of ours in whose name a restricted join is authorised; None where the join rule asks for none.

    Raises `Forbidden` for a user who is in none of the rooms that the rule allows, and `CantVouch` where this server
    can't tell, or nobody of it may: then another server of the room may know better.
    """
    rules = await engine.rooms.state_event(room, "m.room.join_rules")
    if rules is None or not _is_restricted(room, rules.content):
        return None
    if not await may_join_by_membership(engine, rules.content, user_id):
        if await _knows_all(engine, rules.content):
            raise Forbidden("You are not invited, and in none of the rooms whose members may join.")
        raise CantVouch("This server is not in the rooms whose members may join.", errcode="M_UNABLE_TO_AUTHORISE_JOIN")
    create = await engine.rooms.state_event(room, "m.room.create")
    current = await engine.rooms.state_event(room, "m.room.power_levels")
    found = _inviter(room, create, current) if create is not None else None
    if found is None:
        raise CantVouch("Nobody of this server who is in the room may invite to it.", errcode="M_UNABLE_TO_GRANT_JOIN")
    return found


async def _knows_all(engine: Engine, join_rules: dict[str, Any]) -> bool:
    """Whether this server is in every room that a restricted join rule allows."""
    for room_id in _allowed(join_rules.get("allow")):
        room = engine.rooms.cached(room_id) or await engine.rooms.find(room_id)
        if room is None or not room.joined_local:
            return False
    return True


async def may_join_by_membership(engine: Engine, join_rules: dict[str, Any], user_id: str) -> bool:
    """Whether the user is in one of the rooms that a restricted join rule allows, as far as this server knows."""
    for room_id in _allowed(join_rules.get("allow")):
        allowed = engine.rooms.cached(room_id) or await engine.rooms.find(room_id)
        if allowed is not None and allowed.membership(user_id) == "join":
            return True
    return False


def _is_restricted(room: Room, join_rules: dict[str, Any]) -> bool:
    join_rule = join_rules.get("join_rule")
    rules = room.version.auth
    return (join_rule == "restricted" and rules.restricted) or (
        join_rule == "knock_restricted" and rules.knock_restricted
    )


def _allowed(allow: object) -> list[str]:
    conditions = allow if isinstance(allow, list) else []
    rooms = [
        condition.get("room_id")
        for condition in conditions
        if isinstance(condition, dict) and condition.get("type") == "m.room_membership"
    ]
    return [room_id for room_id in rooms if isinstance(room_id, str)][:_MOST_ALLOWED]


def _inviter(room: Room, create: Event, current: Event | None) -> str | None:
    """A user of this server who is in the room and may invite to it; the one who stands highest, as a rule."""
    levels = PowerLevels.of(current, create, room.version)
    named = sorted(levels.users, key=lambda user_id: (-levels.users[user_id], user_id))
    anybody: Iterable[str] = room.joined_local if levels.users_default >= levels.invite else ()
    for user_id in chain(sorted(levels.creators), named, anybody):
        if user_id in room.joined_local and levels.user(user_id) >= levels.invite:
            return user_id
    return None
