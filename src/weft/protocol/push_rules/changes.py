"""Changing a user's push rules: each function gives the changed value, or raises what the client is to hear.

Rules: https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv3pushrulesglobalkindruleid
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
import orjson

from weft.protocol import canonical_json
from weft.protocol.errors import BadJson, InvalidParam, MatrixError, MissingParam, NotFound, TooLarge
from weft.protocol.push_rules.default_rules import Action, Condition, Kind
from weft.protocol.push_rules.rules import CONDITIONAL, ChangedDefault, PushRule, UserRules, defaults_of, dump

#: Limits of ours. Patterns and rules are evaluated for every event, so that they may not be endless.
MAX_RULES_OF_A_KIND: Final = 1000
#: Of all rules of a user, as they are stored.
MAX_BYTES: Final = 512 * 1024
MAX_PATTERN: Final = 512
_MAX_RULE_ID: Final = 512
_MAX_CONDITIONS: Final = 64
#: Had no effect in the end, and are to be ignored.
_HISTORICAL_ACTIONS: Final = ("dont_notify", "coalesce")


def add_rule(
    rules: UserRules,
    kind: Kind,
    rule_id: str,
    *,
    actions: object,
    conditions: object = None,
    pattern: object = None,
    before: str | None = None,
    after: str | None = None,
) -> UserRules:
    """Adds a rule of the user's own, or changes it and perhaps its place; `object` is JSON as the client sent it.

    A new rule is the most important of its kind and enabled; a changed one keeps its place and whether it is enabled,
    unless `before` or `after` say otherwise, of which the first counts.
    Raises `InvalidParam`, `MissingParam`, `BadJson`, `TooLarge`, or `M_UNKNOWN` if there is no such neighbour.
    """
    if kind == "postcontent":
        raise InvalidParam("Rules of this kind are the server's; they can be turned off.")
    _check_rule_id(rule_id)
    own = list(rules.of_kind(kind))
    place = next((index for index, each in enumerate(own) if each.rule_id == rule_id), None)
    enabled = True if place is None else own.pop(place).enabled
    rule = PushRule(
        rule_id,
        _actions(actions),
        _conditions(conditions) if kind in CONDITIONAL else (),
        _pattern(pattern) if kind == "content" else None,
        enabled,
    )
    if len(own) >= MAX_RULES_OF_A_KIND:
        raise TooLarge("There are too many push rules of this kind.")
    own.insert(_place(own, before, after, default=place or 0), rule)
    return _with_kind(rules, kind, own)


def delete_rule(rules: UserRules, kind: Kind, rule_id: str) -> UserRules:
    """Raises `NotFound`, for default rules too: they can only be disabled."""
    own = rules.of_kind(kind)
    kept = [rule for rule in own if rule.rule_id != rule_id]
    if len(kept) == len(own):
        raise NotFound("The push rule was not found.")
    return _with_kind(rules, kind, kept)


def set_enabled(rules: UserRules, kind: Kind, rule_id: str, enabled: bool) -> UserRules:
    """For default rules too. Raises `NotFound`."""
    return _change(rules, kind, rule_id, enabled=enabled)


def set_actions(rules: UserRules, kind: Kind, rule_id: str, actions: object) -> UserRules:
    """For default rules too. Raises `NotFound`, `InvalidParam`, `BadJson` or `TooLarge`."""
    return _change(rules, kind, rule_id, actions=_actions(actions))


def _change(rules: UserRules, kind: Kind, rule_id: str, **fields: bool | tuple[Action, ...]) -> UserRules:
    if any(default.rule_id == rule_id for default in defaults_of(kind)):
        changed = msgspec.structs.replace(rules.changed_defaults.get(rule_id, ChangedDefault()), **fields)
        return _bounded(msgspec.structs.replace(rules, changed_defaults={**rules.changed_defaults, rule_id: changed}))
    own = rules.of_kind(kind)
    if all(rule.rule_id != rule_id for rule in own):
        raise NotFound("The push rule was not found.")
    return _with_kind(
        rules, kind, [msgspec.structs.replace(rule, **fields) if rule.rule_id == rule_id else rule for rule in own]
    )


def _with_kind(rules: UserRules, kind: Kind, own: list[PushRule]) -> UserRules:
    return _bounded(msgspec.structs.replace(rules, **{kind: tuple(own)}))


def _bounded(rules: UserRules) -> UserRules:
    if len(dump(rules)) > MAX_BYTES:
        raise TooLarge("The push rules are too large.")
    return rules


def _place(own: list[PushRule], before: str | None, after: str | None, *, default: int) -> int:
    neighbour = before if before is not None else after
    if neighbour is None:
        return default
    for index, rule in enumerate(own):
        if rule.rule_id == neighbour:
            return index if before is not None else index + 1
    raise MatrixError(f"before/after rule not found: {neighbour[:_MAX_RULE_ID]}")


def _check_rule_id(rule_id: str) -> None:
    if rule_id.startswith("."):
        raise InvalidParam("Rule ids that start with a dot are the server's.")
    if "/" in rule_id or "\\" in rule_id:
        raise InvalidParam("A rule id has no slashes and no backslashes.")
    if not 0 < len(rule_id) <= _MAX_RULE_ID:
        raise InvalidParam(f"A rule id has 1 to {_MAX_RULE_ID} characters.")


def _actions(value: object) -> tuple[Action, ...]:
    if not isinstance(value, list):
        raise InvalidParam("`actions` must be an array.")
    _check_json(value)
    return tuple(_action(action) for action in value if action not in _HISTORICAL_ACTIONS)


def _action(value: Any) -> Action:
    if value == "notify":
        return "notify"
    if isinstance(value, dict) and isinstance(value.get("set_tweak"), str):
        return value
    raise InvalidParam("An action is `notify`, or an object with `set_tweak`.")


def _conditions(value: object) -> tuple[Condition, ...]:
    """Conditions of unknown kinds are kept: they never hold, but the client will want to see them again."""
    if value is None:
        return ()
    if not isinstance(value, list) or len(value) > _MAX_CONDITIONS:
        raise InvalidParam(f"`conditions` must be an array of at most {_MAX_CONDITIONS}.")
    _check_json(value)
    for condition in value:
        if not isinstance(condition, dict) or not isinstance(condition.get("kind"), str):
            raise InvalidParam("A condition is an object with a `kind`.")
        pattern = condition.get("pattern")
        if isinstance(pattern, str) and len(pattern) > MAX_PATTERN:
            raise InvalidParam(f"A pattern has at most {MAX_PATTERN} characters.")
    return tuple(value)


def _check_json(value: object) -> None:
    """What is kept must be writable again, by any of the JSON libraries. Raises `BadJson`."""
    canonical_json.check_lax(value)
    try:
        orjson.dumps(value)
    except TypeError:
        raise BadJson("A number in the rule is too large.") from None


def _pattern(value: object) -> str:
    if value is None:
        raise MissingParam("A content rule needs a `pattern`.")
    if not isinstance(value, str) or len(value) > MAX_PATTERN:
        raise InvalidParam(f"`pattern` must be a string of at most {MAX_PATTERN} characters.")
    return value
