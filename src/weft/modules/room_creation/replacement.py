"""What a replaced room hands on to its replacement: values in, values out.

https://spec.matrix.org/v1.19/client-server-api/#room-upgrades
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final

from weft.modules.room_creation.first_events import CREATOR_LEVEL, TOMBSTONE_LEVEL
from weft.protocol.event import Event
from weft.protocol.power_levels import PowerLevels, parse_level
from weft.protocol.room_versions import RoomVersion

Content = dict[str, Any]

#: State that goes over as it is. Join rules and power levels have rules of their own; the canonical alias follows
#: the aliases, and children of a space keep its rooms together.
TRANSFERRED: Final = (
    "m.room.history_visibility",
    "m.room.guest_access",
    "m.room.encryption",
    "m.room.server_acl",
    "m.room.name",
    "m.room.topic",
    "m.room.avatar",
)
TRANSFERRED_BY_KEY: Final = ("m.space.child",)


def create_content(old: Mapping[str, Any], room_id: str, last_event_id: str | None) -> Content:
    """What of the create event goes over, and where the new room comes from."""
    predecessor = {"room_id": room_id}
    if last_event_id is not None:
        predecessor["event_id"] = last_event_id
    content: Content = {"predecessor": predecessor}
    if isinstance(old.get("type"), str):
        content["type"] = old["type"]
    if old.get("m.federate") is False:
        content["m.federate"] = False
    return content


def join_rules(old: Mapping[str, Any], version: RoomVersion) -> Content:
    """The old room's join rule, or what comes nearest to it in a room version that does not know it."""
    content = dict(old)
    rule = content.get("join_rule")
    rules = version.auth
    if rule == "knock_restricted" and not rules.knock_restricted:
        rule = "restricted" if rules.restricted else "knock" if rules.knock else "invite"
    if (rule == "restricted" and not rules.restricted) or (rule == "knock" and not rules.knock):
        rule = "invite"
    if rule != content.get("join_rule"):
        content["join_rule"] = rule
    return content


def power_levels(
    old: Event | None, old_create: Event, old_version: RoomVersion, new_version: RoomVersion, creators: Collection[str]
) -> Content:
    """The old room's power levels, as the new room version has them. `creators` are those of the new room.

    Levels that were strings become numbers; who was above all levels gets the highest that a room starts with; and
    who is now above all of them is not named.
    """
    levels = PowerLevels.of(old, old_create, old_version)
    content = _as_integers(old.content if old is not None else {}, old_version)
    users = dict.fromkeys(levels.creators, max(CREATOR_LEVEL, *levels.users.values(), 0)) | levels.users
    events = dict(levels.events)
    if new_version.auth.privileged_creators:
        users = {user_id: level for user_id, level in users.items() if user_id not in creators}
        if events.get("m.room.tombstone", 0) <= max(levels.state_default, CREATOR_LEVEL):
            events["m.room.tombstone"] = max(TOMBSTONE_LEVEL, levels.state_default + 1)
    return {**content, "users": users, "events": events}


def raised(content: Content, user_id: str) -> Content | None:
    """The levels under which `user_id` can set up the room; None where those they are to have will do."""
    single = ("state_default", "ban", "kick", "redact", "invite")
    needed = max(CREATOR_LEVEL, *(content.get(key, 0) for key in single), *content["events"].values(), 0)
    if content["users"].get(user_id, content.get("users_default", 0)) >= needed:
        return None
    return {**content, "users": {**content["users"], user_id: needed}}


def closed(content: Mapping[str, Any], levels: PowerLevels) -> Content | None:
    """The old room's levels when it is not to be used any more; None where they are so already."""
    needed = max(50, levels.users_default + 1)
    lifted = {"events_default": max(levels.events_default, needed), "invite": max(levels.invite, needed)}
    if levels.events_default == lifted["events_default"] and levels.invite == lifted["invite"]:
        return None
    return {**content, **lifted}


def _as_integers(content: Mapping[str, Any], version: RoomVersion) -> Content:
    """Every level that the old version understood as an integer; what it did not understand is left out."""
    found: Content = {}
    for key, value in content.items():
        if isinstance(value, dict):
            found[key] = {
                name: level for name, text in value.items() if (level := parse_level(text, version)) is not None
            }
        elif (level := parse_level(value, version)) is not None:
            found[key] = level
    return found
