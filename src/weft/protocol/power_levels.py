"""Power levels: who stands how high, and how high one must stand to do what.

Reads an `m.room.power_levels` event (or its absence) once, into plain integers. Reading never fails: what is
no level counts as not given. Whether such an event may be sent is `event_auth`'s question, which asks
`parse_level` the same way.

Rules: https://spec.matrix.org/v1.19/client-server-api/#mroompower_levels
       https://spec.matrix.org/v1.19/rooms/v1/#mroompower_levels-events-accept-values-as-strings
       https://spec.matrix.org/v1.19/rooms/v1/#mroompower_levels-events-accept-values-as-floats
"""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from weft.protocol.canonical_json import MAX_INTEGER

if TYPE_CHECKING:
    from weft.protocol.event import Event
    from weft.protocol.room_versions import RoomVersion

#: Where creators stand in the room versions that set them apart: above every level that can be written there.
CREATOR_LEVEL: Final = MAX_INTEGER + 1
#: Where the creator stands as long as an older room has no power levels event.
_FIRST_CREATOR_LEVEL: Final = 100

#: The single levels of the event's content, and what holds where one isn't given.
DEFAULTS: Final[Mapping[str, int]] = MappingProxyType(
    {
        "users_default": 0,
        "events_default": 0,
        "state_default": 50,
        "ban": 50,
        "redact": 50,
        "kick": 50,
        "invite": 0,
    }
)
_DEFAULT_NOTIFICATION_LEVEL: Final = 50

#: Beyond the range of a double a number is no level, however it is written.
_MAX_BITS: Final = 1024
_MAX_DIGITS: Final = 309

_NO_LEVELS: Final[dict[str, int]] = {}


class PowerLevels:
    """The levels of a room at one point of its history. All fields are for reading only."""

    __slots__ = (
        "ban",
        "create_id",
        "creators",
        "events",
        "events_default",
        "given",
        "invite",
        "kick",
        "notification_levels",
        "redact",
        "state_default",
        "users",
        "users_default",
    )

    def __init__(self, content: dict[str, Any], create: Event, version: RoomVersion) -> None:
        self.create_id: str = create.event_id
        #: Those who stand at `CREATOR_LEVEL`; empty in room versions that don't set creators apart.
        self.creators: frozenset[str] = creators_of(create) if version.auth.privileged_creators else frozenset()
        #: Which of the single levels the content itself gives.
        self.given: dict[str, int] = _parse_levels(content, version, only=DEFAULTS)
        self.users: dict[str, int] = _parse_map(content, "users", version)
        self.events: dict[str, int] = _parse_map(content, "events", version)
        self.notification_levels: dict[str, int] = _parse_map(content, "notifications", version)
        levels = {**DEFAULTS, **self.given}
        self.users_default: int = levels["users_default"]
        self.events_default: int = levels["events_default"]
        self.state_default: int = levels["state_default"]
        self.ban: int = levels["ban"]
        self.redact: int = levels["redact"]
        self.kick: int = levels["kick"]
        self.invite: int = levels["invite"]

    @classmethod
    def of(cls, event: Event | None, create: Event, version: RoomVersion) -> PowerLevels:
        """The levels that `event` sets in the room of `create`; without an event, those that every room begins with.

        The result is kept with the event and handed out again.
        """
        keeper = create if event is None else event
        levels = keeper.parsed_power_levels
        if levels is None or levels.create_id != create.event_id:
            levels = _first_levels(create, version) if event is None else cls(event.content, create, version)
            keeper.parsed_power_levels = levels
        return levels

    def user(self, user_id: str) -> int:
        if user_id in self.creators:
            return CREATOR_LEVEL
        return self.users.get(user_id, self.users_default)

    def event(self, event_type: str, is_state: bool) -> int:
        """What it takes to send such an event (membership events have levels of their own)."""
        level = self.events.get(event_type)
        if level is not None:
            return level
        return self.state_default if is_state else self.events_default

    def notifications(self, key: str) -> int:
        """What it takes to notify everybody by `key`; `room` is the only one that the specification has."""
        return self.notification_levels.get(key, _DEFAULT_NOTIFICATION_LEVEL)


def parse_level(value: object, version: RoomVersion) -> int | None:
    """The level that a JSON value stands for in this room version; None if it stands for none."""
    if type(value) is int:
        return value if value.bit_length() <= _MAX_BITS else None
    if version.auth.integer_power_levels:
        return None
    if type(value) is str:
        return _parse_stringy(value)
    if type(value) is float and not version.format.strict_canonical_json and isfinite(value):
        return int(value)
    return None


def creators_of(create: Event) -> frozenset[str]:
    """The room creators: whoever the room version holds for that, alone or with the others whom the event names.

    https://spec.matrix.org/v1.19/rooms/v12/#event-format
    """
    if create.version.auth.creator_in_content:
        creator = create.content.get("creator")
        return frozenset({creator}) if type(creator) is str else frozenset()
    if not create.version.auth.privileged_creators:
        return frozenset({create.sender})
    others = create.content.get("additional_creators")
    return frozenset([create.sender, *[user for user in (others if type(others) is list else ()) if type(user) is str]])


def _first_levels(create: Event, version: RoomVersion) -> PowerLevels:
    levels = PowerLevels({}, create, version)
    if not version.auth.privileged_creators:
        levels.users = dict.fromkeys(creators_of(create), _FIRST_CREATOR_LEVEL)
    return levels


def _parse_stringy(text: str) -> int | None:
    """A decimal integer, perhaps with a sign, leading zeros and whitespace around; nothing else that `int` reads."""
    text = text.strip()
    digits = text[1:] if text[:1] in ("+", "-") else text
    if not (digits.isascii() and digits.isdigit()):
        return None
    significant = digits.lstrip("0") or "0"
    if len(significant) > _MAX_DIGITS:
        return None
    level = int(significant)
    if level.bit_length() > _MAX_BITS:
        return None
    return -level if text[0] == "-" else level


def _parse_map(content: dict[str, Any], name: str, version: RoomVersion) -> dict[str, int]:
    entries = content.get(name)
    return _parse_levels(entries, version) if type(entries) is dict else _NO_LEVELS


def _parse_levels(
    entries: dict[str, Any], version: RoomVersion, *, only: Mapping[str, int] | None = None
) -> dict[str, int]:
    levels = {}
    for name in entries if only is None else only:
        level = parse_level(entries.get(name), version)
        if level is not None:
            levels[name] = level
    return levels
