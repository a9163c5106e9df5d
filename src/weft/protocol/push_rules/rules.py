"""What a user set, as a value; and how rules are shown and stored.

Rules: https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3pushrules
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, get_args

import msgspec

from weft.protocol.errors import InvalidParam, NotFound
from weft.protocol.push_rules.default_rules import (
    DEFAULT_RULES,
    MASTER,
    OWN_USER_ID,
    Action,
    Condition,
    DefaultRule,
    Kind,
)

#: From the most important to the least.
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
#: Those of a server without thread subscriptions.
KINDS_WITHOUT_THREADS: Final = tuple(kind for kind in KINDS if kind != "postcontent")
#: The kinds whose rules carry conditions.
CONDITIONAL: Final[frozenset[Kind]] = frozenset({"override", "underride"})


class PushRule(msgspec.Struct, frozen=True, omit_defaults=True):
    """A rule of a user's own. Conditions belong to the conditional kinds, `pattern` to `content`."""

    rule_id: str
    actions: tuple[Action, ...]
    conditions: tuple[Condition, ...] = ()
    pattern: str | None = None
    enabled: bool = True


class ChangedDefault(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a user changed of a default rule; None where it is as it was."""

    enabled: bool | None = None
    actions: tuple[Action, ...] | None = None


class UserRules(msgspec.Struct, frozen=True, omit_defaults=True):
    """Everything a user set. Within a kind the most important rule comes first."""

    override: tuple[PushRule, ...] = ()
    content: tuple[PushRule, ...] = ()
    room: tuple[PushRule, ...] = ()
    sender: tuple[PushRule, ...] = ()
    underride: tuple[PushRule, ...] = ()
    changed_defaults: dict[str, ChangedDefault] = {}

    def of_kind(self, kind: Kind) -> tuple[PushRule, ...]:
        """The rules of a kind; `postcontent` has those of the server only."""
        own: tuple[PushRule, ...] = getattr(self, kind, ())
        return own


class Actions:
    """What a rule that notifies makes of a notification. The JSON form is as the rule has it."""

    __slots__ = ("highlight", "json", "sound", "tweaks")

    def __init__(self, actions: tuple[Action, ...]) -> None:
        self.json = list(actions)
        #: Goes to the push gateway.
        self.tweaks: dict[str, Any] = {
            action["set_tweak"]: action.get("value", True) for action in actions if isinstance(action, dict)
        }
        self.highlight: bool = self.tweaks.get("highlight") is True
        sound = self.tweaks.get("sound")
        #: The name of a sound; None for silence.
        self.sound: str | None = sound if isinstance(sound, str) else None

    def __repr__(self) -> str:
        return f"Actions({self.json!r})"


def parse_kind(text: str) -> Kind:
    """Raises `InvalidParam`."""
    for kind in KINDS:
        if kind == text:
            return kind
    raise InvalidParam(f"There is no kind of push rules called {text[:32]!r}.")


def defaults_of(kind: Kind) -> tuple[DefaultRule, ...]:
    """With the master rule."""
    return (MASTER, *DEFAULT_RULES[kind]) if kind == "override" else DEFAULT_RULES[kind]


# Shown


def to_json(rules: UserRules, user_id: str, kinds: Sequence[Kind] = KINDS) -> dict[Kind, list[dict[str, Any]]]:
    """The `global` ruleset, in order of importance, defaults included."""
    return {kind: _kind_to_json(rules, user_id, kind) for kind in kinds}


def rule_to_json(rules: UserRules, user_id: str, kind: Kind, rule_id: str) -> dict[str, Any]:
    """One rule, a default one or the user's. Raises `NotFound`."""
    if rule_id.startswith("."):
        for default in defaults_of(kind):
            if default.rule_id == rule_id:
                return _default_to_json(default, rules, user_id)
    for rule in rules.of_kind(kind):
        if rule.rule_id == rule_id:
            return _own_to_json(rule, kind)
    raise NotFound("The push rule was not found.")


def _kind_to_json(rules: UserRules, user_id: str, kind: Kind) -> list[dict[str, Any]]:
    own = [_own_to_json(rule, kind) for rule in rules.of_kind(kind)]
    defaults = [_default_to_json(default, rules, user_id) for default in DEFAULT_RULES[kind]]
    return [*([_default_to_json(MASTER, rules, user_id)] if kind == "override" else ()), *own, *defaults]


def _own_to_json(rule: PushRule, kind: Kind) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "rule_id": rule.rule_id,
        "default": False,
        "enabled": rule.enabled,
        "actions": list(rule.actions),
    }
    if kind in CONDITIONAL:
        shown["conditions"] = list(rule.conditions)
    elif kind == "content":
        shown["pattern"] = rule.pattern
    return shown


def _default_to_json(default: DefaultRule, rules: UserRules, user_id: str) -> dict[str, Any]:
    enabled, actions = effective(default, rules)
    return {
        "rule_id": default.rule_id,
        "default": True,
        "enabled": enabled,
        "actions": list(actions),
        "conditions": [
            {key: user_id if value is OWN_USER_ID else value for key, value in condition.items()}
            for condition in default.conditions
        ],
    }


def effective(default: DefaultRule, rules: UserRules) -> tuple[bool, tuple[Action, ...]]:
    """Whether a default rule is on, and its actions, for a user."""
    changed = rules.changed_defaults.get(default.rule_id)
    if changed is None:
        return default.enabled, default.actions
    return (
        default.enabled if changed.enabled is None else changed.enabled,
        default.actions if changed.actions is None else changed.actions,
    )


# Stored


def dump(rules: UserRules) -> bytes:
    return msgspec.json.encode(rules)


def load(data: bytes) -> UserRules:
    """Reads what `dump` wrote."""
    return msgspec.json.decode(data, type=UserRules)
