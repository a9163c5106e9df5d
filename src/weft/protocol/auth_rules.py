"""What the authorisation rules share: how they ask for state, and their numbers in the specification's lists.

The code that checks a rule names it once, whatever its number is in the version at hand. Here the rules stand
in the specification's order, each with the condition under which a version has it; their numbers follow
from that. Where the text of version 12 skips a number or uses one twice, we count on as its rendered list does.

Rules: https://spec.matrix.org/v1.19/rooms/v12/#authorization-rules
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Final, NamedTuple, TypeAlias

from weft.protocol.errors import AuthRuleViolation
from weft.protocol.event import Event, StateKey
from weft.protocol.room_versions import RoomVersion

#: A room's state: the event at a place, or None.
State: TypeAlias = Callable[[StateKey], Event | None]

CREATE_KEY: Final[StateKey] = ("m.room.create", "")
POWER_LEVELS_KEY: Final[StateKey] = ("m.room.power_levels", "")
JOIN_RULES_KEY: Final[StateKey] = ("m.room.join_rules", "")


def violation(version: RoomVersion, name: str, message: str) -> AuthRuleViolation:
    """The error to raise when rule `name` refuses an event; `message` says in plain words what was missing."""
    return AuthRuleViolation(rule_number(version, name), message)


def rule_number(version: RoomVersion, name: str) -> str:
    """The number of a rule in a version's list, such as `5.3.3`. Raises `KeyError` if the version has no such rule."""
    return _numbers(version)[name]


class _Rule(NamedTuple):
    name: str
    parts: tuple[_Rule, ...] = ()
    when: Callable[[RoomVersion], bool] = lambda version: True


def _rules(prefix: str, *names: str | _Rule) -> tuple[_Rule, ...]:
    return tuple(_Rule(f"{prefix}.{name}") if isinstance(name, str) else name for name in names)


_IN_ORDER: Final = (
    _Rule(
        "create",
        _rules(
            "create",
            "prev_events",
            "room_id",
            "room_version",
            _Rule("create.creator", when=lambda version: version.auth.creator_in_content),
            _Rule("create.additional_creators", when=lambda version: version.auth.privileged_creators),
        ),
    ),
    _Rule("room", when=lambda version: version.format.room_id_is_create_hash),
    _Rule(
        "auth_events",
        _rules(
            "auth_events",
            "duplicate",
            "not_selected",
            "rejected",
            _Rule("auth_events.create", when=lambda version: not version.format.room_id_is_create_hash),
            "other_room",
        ),
    ),
    _Rule("federate"),
    _Rule("aliases", _rules("aliases", "state_key", "domain"), when=lambda version: version.auth.special_aliases),
    _Rule(
        "member",
        _rules(
            "member",
            "shape",
            _Rule(
                "member.authorised_via",
                _rules("member.authorised_via", "signature"),
                when=lambda version: version.auth.restricted,
            ),
            _Rule(
                "member.join",
                _rules(
                    "member.join",
                    "first",
                    "sender",
                    "banned",
                    "invited",
                    _Rule(
                        "member.join.restricted",
                        _rules("member.join.restricted", "invited", "authoriser"),
                        when=lambda version: version.auth.restricted,
                    ),
                    "public",
                    "otherwise",
                ),
            ),
            _Rule(
                "member.invite",
                _rules(
                    "member.invite",
                    _Rule(
                        "member.invite.third_party",
                        _rules(
                            "member.invite.third_party",
                            "banned",
                            "signed",
                            "fields",
                            "mxid",
                            "token",
                            "sender",
                            "signature",
                            "otherwise",
                        ),
                    ),
                    "sender",
                    "target",
                    "level",
                    "otherwise",
                ),
            ),
            _Rule("member.leave", _rules("member.leave", "own", "sender", "unban", "kick", "otherwise")),
            _Rule("member.ban", _rules("member.ban", "sender", "level", "otherwise")),
            _Rule(
                "member.knock",
                _rules("member.knock", "join_rule", "sender", "membership", "otherwise"),
                when=lambda version: version.auth.knock,
            ),
            "unknown",
        ),
    ),
    _Rule("sender"),
    _Rule("third_party_invite", _rules("third_party_invite", "level")),
    _Rule("level"),
    _Rule("state_key"),
    _Rule(
        "power_levels",
        _rules(
            "power_levels",
            _Rule("power_levels.integers", when=lambda version: version.auth.integer_power_levels),
            _Rule("power_levels.integer_maps", when=lambda version: version.auth.integer_power_levels),
            "users",
            _Rule("power_levels.creators", when=lambda version: version.auth.privileged_creators),
            "first",
            _Rule("power_levels.single", _rules("power_levels.single", "current", "new")),
            _Rule("power_levels.events_removed", _rules("power_levels.events_removed", "current")),
            _Rule("power_levels.events_added", _rules("power_levels.events_added", "new")),
            _Rule("power_levels.users_removed", _rules("power_levels.users_removed", "current")),
            _Rule("power_levels.users_added", _rules("power_levels.users_added", "new")),
        ),
    ),
    _Rule(
        "redaction",
        _rules("redaction", "level", "domain", "otherwise"),
        when=lambda version: version.auth.redactions_by_domain,
    ),
)


@lru_cache(maxsize=32)
def _numbers(version: RoomVersion) -> dict[str, str]:
    return dict(_numbered(_IN_ORDER, version, ""))


def _numbered(rules: tuple[_Rule, ...], version: RoomVersion, prefix: str) -> Iterator[tuple[str, str]]:
    there = [rule for rule in rules if rule.when(version)]
    for number, rule in enumerate(there, start=1):
        yield rule.name, f"{prefix}{number}"
        yield from _numbered(rule.parts, version, f"{prefix}{number}.")
