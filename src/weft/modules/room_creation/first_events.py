"""The first events of a room, in the order that the specification gives; values in, drafts out.

https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3createroom
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from weft.graph.build import Draft
from weft.protocol.room_versions import RoomVersion

PresetName = Literal["private_chat", "public_chat", "trusted_private_chat"]
Content = dict[str, Any]

#: What creators of rooms without privileged creators get, and those whom a trusted chat puts beside them.
CREATOR_LEVEL: Final = 100
#: What replacing a room takes where creators stand above all levels: more than its administrators have.
TOMBSTONE_LEVEL: Final = 150


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """What a preset decides."""

    join_rule: str
    history_visibility: str
    guest_access: str
    invite_level: int
    #: Who is invited stands as high as the creator.
    trusts_invitees: bool = False

    def events(self) -> list[tuple[str, Content]]:
        return [
            ("m.room.join_rules", {"join_rule": self.join_rule}),
            ("m.room.history_visibility", {"history_visibility": self.history_visibility}),
            ("m.room.guest_access", {"guest_access": self.guest_access}),
        ]


_PRIVATE: Final = Preset(join_rule="invite", history_visibility="shared", guest_access="can_join", invite_level=0)
PRESETS: Final[Mapping[PresetName, Preset]] = {
    "private_chat": _PRIVATE,
    "trusted_private_chat": Preset(
        join_rule="invite", history_visibility="shared", guest_access="can_join", invite_level=0, trusts_invitees=True
    ),
    "public_chat": Preset(join_rule="public", history_visibility="shared", guest_access="forbidden", invite_level=50),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A room to be made; everything in it has been checked."""

    version: RoomVersion
    creator: str
    preset: Preset
    creation_content: Content
    #: The creator's own member event.
    membership: Content
    power_levels: Content
    alias: str | None = None
    #: (type, state key, content), in order.
    initial_state: Sequence[tuple[str, str, Content]] = ()
    name: str | None = None
    topic: str | None = None
    #: Member events of those who are invited, by user id.
    invites: Mapping[str, Content] | None = None


def drafts(plan: Plan) -> list[Draft]:
    """The events, from the create event to the invites."""
    found = [
        ("m.room.create", "", plan.creation_content),
        ("m.room.member", plan.creator, plan.membership),
        ("m.room.power_levels", "", plan.power_levels),
    ]
    if plan.alias is not None:
        found.append(("m.room.canonical_alias", "", {"alias": plan.alias}))
    given = {(event_type, state_key) for event_type, state_key, _ in plan.initial_state}
    # What initial_state sets anyway need not be set twice.
    found += [
        (event_type, "", content) for event_type, content in plan.preset.events() if (event_type, "") not in given
    ]
    found += plan.initial_state
    if plan.name is not None:
        found.append(("m.room.name", "", {"name": plan.name}))
    if plan.topic is not None:
        found.append(("m.room.topic", "", topic_content(plan.topic)))
    found += [("m.room.member", user_id, content) for user_id, content in (plan.invites or {}).items()]
    return [
        Draft(type=event_type, state_key=state_key, sender=plan.creator, content=content)
        for event_type, state_key, content in found
    ]


def topic_content(topic: str) -> Content:
    return {"topic": topic, "m.topic": {"m.text": [{"body": topic, "mimetype": "text/plain"}]}}


def create_content(version: RoomVersion, creator: str, given: Mapping[str, Any], trusted: Iterable[str]) -> Content:
    """The create event's content: what is given, with the keys that are the server's to set.

    `trusted` become creators beside the first where the room version knows of that.
    """
    content = {key: value for key, value in given.items() if key not in ("creator", "room_version")}
    content["room_version"] = version.identifier
    if version.auth.creator_in_content:
        content["creator"] = creator
    if version.auth.privileged_creators:
        others = dict.fromkeys([*content.get("additional_creators", []), *trusted])
        others.pop(creator, None)
        if others or "additional_creators" in content:
            content["additional_creators"] = list(others)
    return content


def power_levels(
    version: RoomVersion, creator: str, preset: Preset, trusted: Iterable[str], override: Mapping[str, Any]
) -> Content:
    """The power levels of a new room, with `override` on top: it replaces whole keys."""
    tombstone = CREATOR_LEVEL
    users: dict[str, int] = {}
    if version.auth.privileged_creators:
        tombstone = TOMBSTONE_LEVEL
    else:
        users = dict.fromkeys([creator, *trusted], CREATOR_LEVEL)
    content: Content = {
        "users": users,
        "users_default": 0,
        "events": {
            "m.room.name": 50,
            "m.room.avatar": 50,
            "m.room.canonical_alias": 50,
            "m.room.power_levels": 100,
            "m.room.history_visibility": 100,
            "m.room.encryption": 100,
            "m.room.server_acl": 100,
            "m.room.tombstone": tombstone,
        },
        "events_default": 0,
        "state_default": 50,
        "ban": 50,
        "kick": 50,
        "redact": 50,
        "invite": preset.invite_level,
    }
    content.update(override)
    return content
