"""The rules for changing power levels: nobody may give, take or touch what stands above themselves.

Compared are levels, not spellings: "50" and 50 are the same level where a room version reads both.

Rules: https://spec.matrix.org/v1.19/rooms/v12/#authorization-rules (rule 10)
"""

from __future__ import annotations

from typing import Any

from weft.protocol.auth_rules import violation
from weft.protocol.event import Event
from weft.protocol.identifiers import is_valid_user_id
from weft.protocol.power_levels import DEFAULTS, PowerLevels, parse_level
from weft.protocol.room_versions import RoomVersion


def authorise_power_levels(event: Event, create: Event, current: PowerLevels, *, is_first: bool) -> None:
    """Checks an `m.room.power_levels` event where `current` holds. Raises `AuthRuleViolation`.

    `is_first` says that the room has no such event yet, so that `current` are the levels that it began with.
    """
    version = event.version
    _check_single_levels(event.content, version)
    _check_maps(event.content, version)
    _check_users(event.content, version)
    if version.auth.privileged_creators and not current.creators.isdisjoint(event.content.get("users", ())):
        raise violation(version, "power_levels.creators", "Creators can't be given a power level.")
    if is_first:
        return
    new = PowerLevels.of(event, create, version)
    own = current.user(event.sender)
    _check_changed_single_levels(version, current.given, new.given, own)
    _check_changed_entries(version, "events", current.events, new.events, own)
    if version.auth.check_notifications_levels:
        old_levels, new_levels = current.notification_levels, new.notification_levels
        _check_changed_entries(version, "notifications", old_levels, new_levels, own)
    _check_changed_users(event, current.users, new.users, own)


# What the content must look like


def _check_single_levels(content: dict[str, Any], version: RoomVersion) -> None:
    rule = "power_levels.integers" if version.auth.integer_power_levels else "power_levels.single.new"
    for name in DEFAULTS:
        if name in content and parse_level(content[name], version) is None:
            raise violation(version, rule, f"The power level {name} is not an integer.")


def _check_maps(content: dict[str, Any], version: RoomVersion) -> None:
    """Older versions have no rule for this, but levels that can't be read can't be compared either."""
    rule = "power_levels.integer_maps" if version.auth.integer_power_levels else "power_levels.events_added.new"
    for name in ("events", "notifications") if version.auth.check_notifications_levels else ("events",):
        if name in content and not _are_levels(content[name], version):
            raise violation(version, rule, f"The power levels' {name} is not an object of integers.")


def _check_users(content: dict[str, Any], version: RoomVersion) -> None:
    users = content.get("users", {})
    if not _are_levels(users, version) or not all(is_valid_user_id(user) for user in users):
        raise violation(
            version, "power_levels.users", "The power levels' users is not an object of integers by user id."
        )


def _are_levels(entries: object, version: RoomVersion) -> bool:
    return type(entries) is dict and all(parse_level(level, version) is not None for level in entries.values())


# What may change


def _check_changed_single_levels(version: RoomVersion, old: dict[str, int], new: dict[str, int], own: int) -> None:
    for name in DEFAULTS:
        before, after = old.get(name), new.get(name)
        if before == after:
            continue
        if before is not None and before > own:
            raise violation(version, "power_levels.single.current", _too_high(name, "is", before, own))
        if after is not None and after > own:
            raise violation(version, "power_levels.single.new", _too_high(name, "would be", after, own))


def _check_changed_entries(
    version: RoomVersion, field: str, old: dict[str, int], new: dict[str, int], own: int
) -> None:
    for name, before in old.items():
        if before > own and new.get(name) != before:
            raise violation(
                version, "power_levels.events_removed.current", _too_high(f"{name} in {field}", "is", before, own)
            )
    for name, after in new.items():
        if after > own and old.get(name) != after:
            raise violation(
                version, "power_levels.events_added.new", _too_high(f"{name} in {field}", "would be", after, own)
            )


def _check_changed_users(event: Event, old: dict[str, int], new: dict[str, int], own: int) -> None:
    for user, before in old.items():
        if before >= own and user != event.sender and new.get(user) != before:
            message = f"The power level of {user} is {before}; changing it needs more than the sender's {own}."
            raise violation(event.version, "power_levels.users_removed.current", message)
    for user, after in new.items():
        if after > own and old.get(user) != after:
            raise violation(event.version, "power_levels.users_added.new", _too_high(user, "would be", after, own))


def _too_high(what: str, verb: str, level: int, own: int) -> str:
    return f"The power level of {what} {verb} {level}, which is above the sender's {own}."
