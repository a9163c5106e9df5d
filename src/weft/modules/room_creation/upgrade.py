"""Replaces a room by a new one of another version.

The new room is made first, in one commit with the move of the aliases; only then the old one is closed, so that a
failure in between leaves a room that people can still use.

https://spec.matrix.org/v1.19/client-server-api/#room-upgrades
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from weft.graph.build import Draft
from weft.http.call import Requester
from weft.modules.directory import Directory
from weft.modules.directory.store import is_published, move_aliases, publish, unpublish
from weft.modules.membership import Memberships
from weft.modules.membership.service import OnReplaced
from weft.modules.membership.viewing import not_in_room
from weft.modules.room_creation import first_events, replacement
from weft.modules.room_creation.service import RoomCreation
from weft.modules.room_events import check_content
from weft.protocol.errors import AuthRuleViolation, Forbidden, InvalidParam
from weft.protocol.event import Event, StateKey
from weft.protocol.identifiers import is_valid_user_id
from weft.protocol.power_levels import PowerLevels
from weft.protocol.room_versions import RoomVersion, room_version
from weft.rooms.engine import Engine
from weft.rooms.room import Room
from weft.storage.database import WriteTransaction
from weft.storage.events import StoredEvent

_READ: Final = ("m.room.create", "m.room.power_levels", "m.room.join_rules", "m.room.canonical_alias")
#: How many bans go over in one commit.
_BATCH: Final = 100


class RoomUpgrade:
    """Upgrades rooms of this server's users."""

    def __init__(
        self,
        engine: Engine,
        creation: RoomCreation,
        memberships: Memberships,
        directory: Directory,
        *,
        on_replaced: OnReplaced | None = None,
    ) -> None:
        self._engine = engine
        self._creation = creation
        self._memberships = memberships
        self._directory = directory
        self._on_replaced = on_replaced

    async def upgrade(
        self, requester: Requester, room_id: str, new_version: str, additional_creators: Sequence[str]
    ) -> str:
        """Returns the id of the new room. Raises `MatrixError`; then the old room is as it was."""
        version = room_version(new_version)
        others = _others(version, requester.user_id, additional_creators)
        old = await self._engine.rooms.find(room_id)
        if old is None or old.membership(requester.user_id) != "join":
            raise not_in_room()
        state = await self._state(old)
        create = state["m.room.create", ""]
        levels = PowerLevels.of(state.get(("m.room.power_levels", "")), create, old.version)
        needed = levels.event("m.room.tombstone", is_state=True)
        if levels.user(requester.user_id) < needed:
            raise Forbidden(f"Upgrading the room needs power level {needed}.")
        bans = await self._bans(old)
        new = await self._replace(requester, old, version, others, state)
        await self._ban_again(new, requester.user_id, bans)
        await self._close(old, requester.user_id, new.id, state, levels)
        if self._on_replaced is not None:
            await self._on_replaced(requester.user_id, old.id, new.id)
        return new.id

    async def _replace(
        self,
        requester: Requester,
        old: Room,
        version: RoomVersion,
        others: Sequence[str],
        state: dict[StateKey, Event],
    ) -> Room:
        """Makes the new room, and has the aliases and the place in the directory move on to it."""
        drafts = await self._first_events(requester.user_id, old, version, others, state)

        def move(tx: WriteTransaction, stored: Sequence[StoredEvent]) -> None:
            new = stored[0].room
            move_aliases(tx, old.number, new)
            if is_published(tx, old.number):
                unpublish(tx, old.number)
                publish(tx, new)

        return await self._creation.create(version, drafts, also=move)

    async def _first_events(
        self, user_id: str, old: Room, version: RoomVersion, others: Sequence[str], state: dict[StateKey, Event]
    ) -> list[Draft]:
        create = state["m.room.create", ""]
        last = max(old.extremities.values(), key=lambda stored: stored.order).event.event_id
        content = replacement.create_content(create.content, old.id, last)
        if others:
            content["additional_creators"] = list(others)
        levels = replacement.power_levels(
            state.get(("m.room.power_levels", "")), create, old.version, version, {user_id, *others}
        )
        first = None if version.auth.privileged_creators else replacement.raised(levels, user_id)
        found: list[tuple[str, str, dict[str, Any]]] = [
            ("m.room.create", "", first_events.create_content(version, user_id, content, ())),
            ("m.room.member", user_id, await self._memberships.member_content(user_id, "join")),
            ("m.room.power_levels", "", first or levels),
        ]
        rules = state.get(("m.room.join_rules", ""))
        if rules is not None:
            found.append(("m.room.join_rules", "", replacement.join_rules(rules.content, version)))
        moved = ("m.room.canonical_alias", *replacement.TRANSFERRED, *replacement.TRANSFERRED_BY_KEY)
        for event_type in moved:
            found += [(t, key, event.content) for (t, key), event in state.items() if t == event_type and event.content]
        if first is not None:
            found.append(("m.room.power_levels", "", levels))
        for event_type, _, content in found:
            check_content(version, event_type, content)
        return [Draft(type=t, state_key=key, sender=user_id, content=c) for t, key, c in found]

    async def _state(self, old: Room) -> dict[StateKey, Event]:
        """What of the old room's state is looked at, in a settled order."""
        keys = [(event_type, "") for event_type in (*_READ, *replacement.TRANSFERRED)]
        by_key = sorted(key for key in old.current.state if key[0] in replacement.TRANSFERRED_BY_KEY)
        return await self._engine.rooms.state_events(old, [*keys, *by_key])

    async def _bans(self, old: Room) -> list[tuple[str, str | None]]:
        """Who is banned from the old room, and why."""
        found = await self._engine.rooms.state_events(old, [("m.room.member", user) for user in old.members("ban")])
        reasons = ((user_id, event.content.get("reason")) for (_, user_id), event in found.items())
        return [(user_id, reason if isinstance(reason, str) else None) for user_id, reason in reasons]

    async def _ban_again(self, new: Room, user_id: str, bans: Sequence[tuple[str, str | None]]) -> None:
        drafts = [
            Draft(
                type="m.room.member",
                state_key=banned,
                sender=user_id,
                content={"membership": "ban"} | ({"reason": reason} if reason is not None else {}),
            )
            for banned, reason in bans
        ]
        for start in range(0, len(drafts), _BATCH):
            await self._try(new.id, drafts[start : start + _BATCH])

    async def _close(
        self, old: Room, user_id: str, new_id: str, state: dict[StateKey, Event], levels: PowerLevels
    ) -> None:
        """Says in the old room where to go, and has it take nothing more."""
        tombstone = {"body": "This room has been replaced", "replacement_room": new_id}
        await self._engine.append.append(
            old.id, Draft(type="m.room.tombstone", state_key="", sender=user_id, content=tombstone)
        )
        alias = state.get(("m.room.canonical_alias", ""))
        if alias is not None and alias.content:
            await self._try(old.id, [Draft(type="m.room.canonical_alias", state_key="", sender=user_id, content={})])
        current = state.get(("m.room.power_levels", ""))
        closed = replacement.closed(current.content, levels) if current is not None else None
        if closed is not None:
            await self._try(old.id, [Draft(type="m.room.power_levels", state_key="", sender=user_id, content=closed)])

    async def _try(self, room_id: str, drafts: Sequence[Draft]) -> None:
        """Sends what is good to have, where the user may."""
        try:
            await self._engine.append.append_all(room_id, drafts)
        except AuthRuleViolation:
            return


def _others(version: RoomVersion, user_id: str, additional_creators: Sequence[str]) -> list[str]:
    """The creators beside the one who upgrades, each once; none where the room version does not know of them."""
    if not version.auth.privileged_creators:
        return []
    others = dict.fromkeys(additional_creators)
    if not all(is_valid_user_id(other) for other in others):
        raise InvalidParam("additional_creators must be a list of user ids.")
    others.pop(user_id, None)
    return list(others)
