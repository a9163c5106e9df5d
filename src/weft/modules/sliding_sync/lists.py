"""Which of a user's rooms a request asks for.

Lists are of the rooms that the user is in, is invited to or has knocked at, and of those that they were put out of;
of rooms that they left, only while the connection has told of the room. What happened last comes first.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

from weft.modules.events.user_rooms import Seat
from weft.modules.sliding_sync.connections import Connection
from weft.modules.sliding_sync.facts import RoomFacts
from weft.modules.sliding_sync.matches import Matches, Wanted
from weft.modules.sliding_sync.rules import ListOfRooms, Rules
from weft.protocol.invite_permissions import InvitePermissions
from weft.protocol.sliding_sync import RoomFilters, within
from weft.rooms.engine import Engine
from weft.storage.cache import Cache

_CHILD: Final = "m.space.child"


@dataclass(frozen=True, slots=True)
class Preferences:
    """What the user has said of their rooms, and what sliding sync asks of other modules for that."""

    #: The content of a piece of global account data.
    account_data: Callable[[str, str], Awaitable[Mapping[str, Any] | None]]
    tags: Callable[[str, str], Awaitable[Collection[str]]]
    ignored_users: Callable[[str], Awaitable[Collection[str]]]
    #: Whether a user wants no invitations at all.
    invite_permissions: Callable[[str], Awaitable[InvitePermissions]]


class Lists:
    def __init__(self, engine: Engine, facts: RoomFacts, preferences: Preferences) -> None:
        self._engine = engine
        self._facts = facts
        self._preferences = preferences
        #: Whether somebody was put out of a room that they were in, by the id of the event.
        self._put_out: Cache[str, tuple[bool]] = engine.budget.cache("sliding_sync_removals", 0.005, lambda _: 250)

    async def match(self, connection: Connection, user_id: str, seats: Mapping[str, Seat], rules: Rules) -> Matches:
        """What the rules of a request match now."""
        matches = Matches(direct=await self._direct(user_id))
        rooms = await self._listed(connection, user_id, seats) if rules.lists else []
        for name, rule in rules.lists.items():
            chosen = await self._filtered(user_id, rooms, seats, rule, matches.direct)
            matches.counts[name] = len(chosen)
            window = matches.windows[name] = [chosen[index] for index in within(rule.ranges, len(chosen))]
            for room_id in window:
                wanted = matches.rooms.get(room_id)
                if wanted is None:
                    matches.rooms[room_id] = Wanted(rule.config, [name])
                else:
                    wanted.config |= rule.config
                    wanted.lists.append(name)
        for room_id, config in rules.subscriptions.items():
            if not await self._may_follow(connection, user_id, room_id, seats.get(room_id)):
                continue
            wanted = matches.rooms.setdefault(room_id, Wanted(config))
            wanted.config |= config
        return matches

    # -- the list that the server keeps

    async def _listed(self, connection: Connection, user_id: str, seats: Mapping[str, Seat]) -> list[str]:
        """All rooms that lists are of, those where something happened last first."""
        joined = [seat.number for seat in seats.values() if seat.membership == "join"]
        activity = await self._facts.activity(joined)
        at_ms = {room_id: activity.get(seat.number, 0) for room_id, seat in seats.items() if seat.membership == "join"}
        others = {
            room_id: seat
            for room_id, seat in seats.items()
            if seat.membership != "join" and not (seat.forgotten and room_id not in connection.rooms)
        }
        at_ms.update(await self._of_those_outside(connection, user_id, others))
        return sorted(at_ms, key=lambda room_id: (at_ms[room_id], room_id), reverse=True)

    async def _of_those_outside(
        self, connection: Connection, user_id: str, seats: Mapping[str, Seat]
    ) -> dict[str, int]:
        """The rooms that the user is not in and that are listed all the same, with when that became so."""
        shown = {
            room_id: seat
            for room_id, seat in seats.items()
            if room_id in connection.rooms
            or seat.membership in ("invite", "knock")
            or await self.was_put_out(user_id, seat)
        }
        if not shown:
            return {}
        members = await self._engine.rooms.events([seat.event_id for seat in shown.values()])
        ignored = await self._preferences.ignored_users(user_id)
        permissions = await self._preferences.invite_permissions(user_id)
        now_ms = self._engine.outside.now_ms()
        found: dict[str, int] = {}
        for room_id, seat in shown.items():
            member = members.get(seat.event_id)
            if member is None:
                continue
            inviter = member.event.sender
            if seat.membership == "invite" and (inviter in ignored or not permissions.shows(inviter)):
                continue
            found[room_id] = min(member.event.origin_server_ts, now_ms)
        return found

    async def was_put_out(self, user_id: str, seat: Seat) -> bool:
        """Whether a user who is out of a room was in it, and did not leave by themselves."""
        known = self._put_out.get(seat.event_id)
        if known is None:
            known = (await self._look_whether_put_out(user_id, seat),)
            self._put_out.put(seat.event_id, known)
        return known[0]

    async def _look_whether_put_out(self, user_id: str, seat: Seat) -> bool:
        member = await self._engine.rooms.event(seat.event_id)
        if member is None or member.event.sender == user_id or member.replaces is None:
            return False
        before = await self._engine.rooms.event(member.replaces)
        return before is not None and before.event.membership == "join"

    async def _may_follow(self, connection: Connection, user_id: str, room_id: str, seat: Seat | None) -> bool:
        """Whether a user can subscribe to a room: who was never in it is told nothing."""
        if seat is None:
            return False
        if seat.membership == "join" or room_id in connection.rooms:
            return True
        return room_id in await self._of_those_outside(connection, user_id, {room_id: seat})

    # -- filters

    async def _filtered(
        self,
        user_id: str,
        rooms: list[str],
        seats: Mapping[str, Seat],
        rule: ListOfRooms,
        direct: Collection[str],
    ) -> list[str]:
        filters = rule.filters
        if filters.is_dm is not None:
            rooms = [room_id for room_id in rooms if (room_id in direct) is filters.is_dm]
        if filters.is_invited is not None:
            rooms = [room_id for room_id in rooms if (seats[room_id].membership == "invite") is filters.is_invited]
        if filters.tags is not None or filters.not_tags:
            rooms = [room_id for room_id in rooms if filters.wants_tags(await self._preferences.tags(user_id, room_id))]
        if filters.spaces is not None:
            inside = await self._inside(filters.spaces, seats)
            rooms = [room_id for room_id in rooms if room_id in inside]
        return await self._by_facts(rooms, seats, filters)

    async def _by_facts(self, rooms: list[str], seats: Mapping[str, Seat], filters: RoomFilters) -> list[str]:
        if filters.asks_for_types:
            types = await self._facts.types([seats[room_id].number for room_id in rooms])
            rooms = [room_id for room_id in rooms if filters.wants_type(types.get(seats[room_id].number, (None,))[0])]
        if filters.is_encrypted is not None:
            encrypted = await self._facts.encrypted([seats[room_id].number for room_id in rooms])
            rooms = [
                room_id
                for room_id in rooms
                if encrypted.get(seats[room_id].number, (False,))[0] is filters.is_encrypted
            ]
        return rooms

    async def _inside(self, spaces: Collection[str], seats: Mapping[str, Seat]) -> set[str]:
        """The rooms that spaces name which the user is joined to."""
        inside: set[str] = set()
        for space in spaces:
            seat = seats.get(space)
            if seat is None or seat.membership != "join":
                continue
            room = await self._engine.rooms.get(space)
            children = {key: event_id for key, event_id in room.state if key[0] == _CHILD}
            found = await self._engine.rooms.events(list(children.values()))
            inside.update(
                key[1]
                for key, event_id in children.items()
                if event_id in found and "via" in found[event_id].event.content
            )
        return inside

    async def _direct(self, user_id: str) -> frozenset[str]:
        content = await self._preferences.account_data(user_id, "m.direct") or {}
        return frozenset(
            room_id
            for rooms in content.values()
            if isinstance(rooms, list)
            for room_id in rooms
            if isinstance(room_id, str)
        )
