"""What a room shows of itself to those who are not in it, read from its state.

State is written by people: whatever is not of the expected shape is not there.

https://spec.matrix.org/v1.19/client-server-api/#published-room-directory
https://spec.matrix.org/v1.19/client-server-api/#room-summaries
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from weft.protocol.api.client.directory import PublicRoomsChunk
from weft.protocol.api.client.room_summary import RoomSummary
from weft.protocol.event import Event, StateKey
from weft.protocol.extensible_events import plain_text
from weft.protocol.identifiers import is_valid_mxc, is_valid_room_alias, is_valid_room_id

#: The places in a room's state that a summary is made of.
SUMMARY_KEYS: Final[tuple[StateKey, ...]] = (
    ("m.room.create", ""),
    ("m.room.name", ""),
    ("m.room.topic", ""),
    ("m.room.avatar", ""),
    ("m.room.canonical_alias", ""),
    ("m.room.join_rules", ""),
    ("m.room.history_visibility", ""),
    ("m.room.guest_access", ""),
    ("m.room.encryption", ""),
)

_BY_MEMBERSHIP: Final = ("restricted", "knock_restricted")


def chunk_of(room_id: str, state: Mapping[StateKey, Event], joined: int) -> PublicRoomsChunk:
    """The room as the public directory shows it; `joined` is how many are in it."""
    return PublicRoomsChunk(**_shown(room_id, state, joined))


def summary_of(room_id: str, room_version: str, state: Mapping[StateKey, Event], joined: int) -> RoomSummary:
    """The room as previews and the hierarchy of a space show it."""
    return RoomSummary(
        **_shown(room_id, state, joined),
        allowed_room_ids=allowed_rooms(_content(state, "m.room.join_rules")) or None,
        encryption=_text(state, "m.room.encryption", "algorithm"),
        room_version=room_version,
    )


def allowed_rooms(join_rules: Mapping[str, Any]) -> list[str]:
    """The rooms whose members may join, where the join rule goes by that."""
    allow = join_rules.get("allow")
    if join_rules.get("join_rule") not in _BY_MEMBERSHIP or not isinstance(allow, list):
        return []
    conditions = [one for one in allow if isinstance(one, dict) and one.get("type") == "m.room_membership"]
    rooms = [one.get("room_id") for one in conditions]
    return [room_id for room_id in rooms if isinstance(room_id, str) and is_valid_room_id(room_id)]


def _shown(room_id: str, state: Mapping[StateKey, Event], joined: int) -> dict[str, Any]:
    avatar = _text(state, "m.room.avatar", "url")
    alias = _text(state, "m.room.canonical_alias", "alias")
    return {
        "room_id": room_id,
        "num_joined_members": joined,
        "world_readable": _text(state, "m.room.history_visibility", "history_visibility") == "world_readable",
        "guest_can_join": _text(state, "m.room.guest_access", "guest_access") == "can_join",
        "canonical_alias": alias if alias is not None and is_valid_room_alias(alias) else None,
        "name": _text(state, "m.room.name", "name"),
        "topic": _topic(state),
        "avatar_url": avatar if avatar is not None and is_valid_mxc(avatar) else None,
        # Without the event nobody gets in but by invite.
        "join_rule": _text(state, "m.room.join_rules", "join_rule") or "invite",
        "room_type": _text(state, "m.room.create", "type"),
    }


def _topic(state: Mapping[StateKey, Event]) -> str | None:
    block = _content(state, "m.room.topic").get("m.topic")
    plain = plain_text(block) if isinstance(block, dict) else None
    return plain or _text(state, "m.room.topic", "topic")


def _text(state: Mapping[StateKey, Event], event_type: str, key: str) -> str | None:
    value = _content(state, event_type).get(key)
    return value if isinstance(value, str) and value else None


def _content(state: Mapping[StateKey, Event], event_type: str) -> Mapping[str, Any]:
    event = state.get((event_type, ""))
    return event.content if event is not None else {}
