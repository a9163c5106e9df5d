"""Asking what a user's rules say about an event.

The work is split by what it depends on. Compiling depends on the rules alone: rules that are off go, and for each
type of events it is known which rules are left. What depends on the event but not on the user is done once in the
`FlattenedEvent`, per ruleset: for an ordinary message and the default rules, nearly everything.

Rules: https://spec.matrix.org/v1.19/client-server-api/#push-rules
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from weft.protocol.extensible_events import plain_text
from weft.protocol.property_paths import Path
from weft.protocol.push_rules.conditions import (
    BODY,
    ROOM_VERSION_SUPPORTS,
    Compiled,
    OwnTest,
    Recipient,
    SharedTest,
    compile_condition,
    property_equals,
    word_in_body,
)
from weft.protocol.push_rules.default_rules import DEFAULT_RULES, MASTER, Action, DefaultRule, Kind
from weft.protocol.push_rules.rules import CONDITIONAL, KINDS, Actions, PushRule, UserRules, effective

_ABSENT: Final = object()
_EXTENSIBLE_EVENTS: Final = frozenset({"m.extensible_events", "org.matrix.msc3932.extensible_events"})


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomContext:
    """What conditions ask about the room, as it is at the event."""

    #: Joined members.
    member_count: int
    #: Of the event's sender. Creators of privileged rooms: any number above all others.
    sender_power_level: int
    #: `notifications` of the power levels, integers only.
    notification_levels: Mapping[str, int] = field(default_factory=dict)
    #: `RoomVersion.push_features`.
    push_features: frozenset[str] = frozenset()
    #: Take MSC3932 by the letter: in extensible rooms, whatever doesn't ask for a feature is off, mutes included.
    msc3932_strict: bool = False


class FlattenedEvent:
    """An event while its push rules are evaluated; make one per event and ask it for every user.

    `event` is in the client format or the federation format, but must have its `room_id`. `thread` is the root of the
    thread that it is in; None where it is in none, or where the server has no thread subscriptions.
    """

    __slots__ = ("_event", "_folded", "_left", "_strings", "_values", "is_extensible", "room", "sender", "thread")

    def __init__(self, event: dict[str, Any], room: RoomContext, thread: str | None = None) -> None:
        self.thread = thread
        self.room = room
        self.sender = event.get("sender")
        self.is_extensible = not _EXTENSIBLE_EVENTS.isdisjoint(room.push_features)
        self._event = event
        self._values: dict[Path, object] = {}
        self._folded: dict[Path, str | None] = {}
        self._strings: dict[Path, frozenset[str]] = {}
        self._left: dict[Ruleset, Sequence[_Rule]] = {}

    def get(self, path: Path, default: object = None) -> object:
        """The property at a path, or `default`. In extensible rooms `content.body` is the plain text of the event."""
        value = self._values.get(path, self)
        if value is self:
            value = self._values[path] = self._find(path)
        return default if value is _ABSENT else value

    def folded(self, path: Path) -> str | None:
        """The lower-case text at a path; None if there is no string."""
        if path not in self._folded:
            value = self.get(path)
            self._folded[path] = value.lower() if isinstance(value, str) else None
        return self._folded[path]

    def strings(self, path: Path) -> frozenset[str]:
        """The strings of an array at a path."""
        if path not in self._strings:
            value = self.get(path)
            members = value if isinstance(value, list) else ()
            self._strings[path] = frozenset(each for each in members if isinstance(each, str))
        return self._strings[path]

    def rules_left(self, ruleset: Ruleset) -> Sequence[_Rule]:
        """The rules that match if the user is the right one, up to the first that matches for everybody."""
        left = self._left.get(ruleset)
        if left is None:
            left = self._left[ruleset] = self._narrow(ruleset)
        return left

    def _find(self, path: Path) -> object:
        value: object = self._event
        if self.is_extensible and path == BODY:
            content = self._event.get("content")
            text = plain_text(content) if isinstance(content, dict) else None
            return _ABSENT if text is None else text
        for name in path:
            if type(value) is not dict or name not in value:
                return _ABSENT
            value = value[name]
        return value

    def _narrow(self, ruleset: Ruleset) -> list[_Rule]:
        left = []
        for rule in ruleset.for_type(self.folded(("type",)) or ""):
            if self.is_extensible and not rule.is_on_in_extensible(strict=self.room.msc3932_strict):
                continue
            for test in rule.shared:
                if not test(self):
                    break
            else:
                left.append(rule)
                if not rule.own:
                    break
        return left


def evaluate(
    ruleset: Ruleset,
    event: FlattenedEvent,
    user_id: str,
    display_name: str | None = None,
    threads: Container[str] = frozenset(),
) -> Actions | None:
    """What the user is to be notified with; None if not at all, as of events that they sent themselves.

    `threads` are those that they are subscribed to in the event's room, by their roots.
    """
    if event.sender == user_id:
        return None
    for rule in event.rules_left(ruleset):
        if not rule.own:
            return rule.actions
        recipient = Recipient(user_id, display_name, threads)
        if all(test(event, recipient) for test in rule.own):
            return rule.actions
    return None


class _Rule:
    """An enabled rule, compiled."""

    __slots__ = ("actions", "asks_for_feature", "event_types", "is_exempt", "is_legacy", "own", "shared")

    def __init__(self, conditions: Sequence[Compiled], actions: Sequence[Action]) -> None:
        self.shared: tuple[SharedTest, ...] = tuple(each.shared for each in conditions if each.shared is not None)
        self.own: tuple[OwnTest, ...] = tuple(each.own for each in conditions if each.own is not None)
        #: The event types, folded, for which the rule can match; None for any. Two different ones are never met.
        types = {each.event_type for each in conditions if each.event_type is not None}
        self.event_types: frozenset[str] | None = None if not types else frozenset(types if len(types) == 1 else ())
        #: None if the rule silences.
        self.actions: Actions | None = Actions(tuple(actions)) if "notify" in actions else None
        self.is_legacy = False
        self.is_exempt = False
        self.asks_for_feature = False

    def is_on_in_extensible(self, *, strict: bool) -> bool:
        """https://github.com/matrix-org/matrix-spec-proposals/pull/3932"""
        if strict:
            return self.asks_for_feature or self.is_exempt
        return not self.is_legacy


class Ruleset:
    """The rules of a user, compiled; `Ruleset.of` shares one among all who changed nothing."""

    __slots__ = ("_by_type", "_for_any_type")

    def __init__(self, rules: UserRules) -> None:
        compiled = _compiled(rules)
        self._for_any_type = tuple(rule for rule in compiled if rule.event_types is None)
        self._by_type: dict[str, tuple[_Rule, ...]] = {
            event_type: tuple(rule for rule in compiled if rule.event_types is None or event_type in rule.event_types)
            for event_type in frozenset[str]().union(*(rule.event_types or () for rule in compiled))
        }

    @staticmethod
    def of(rules: UserRules) -> Ruleset:
        return DEFAULT_RULESET if rules == UserRules() else Ruleset(rules)

    def for_type(self, event_type: str) -> tuple[_Rule, ...]:
        """The rules that may match events of a type (folded), the most important first."""
        return self._by_type.get(event_type, self._for_any_type)


def _compiled(rules: UserRules) -> list[_Rule]:
    compiled = [_default_rule(MASTER, rules)]
    for kind in KINDS:
        compiled += [_own_rule(rule, kind) for rule in rules.of_kind(kind)]
        compiled += [_default_rule(default, rules) for default in DEFAULT_RULES[kind]]
    return [rule for rule in compiled if rule is not None]


def _own_rule(rule: PushRule, kind: Kind) -> _Rule | None:
    if not rule.enabled:
        return None
    if kind in CONDITIONAL:
        compiled = _Rule([compile_condition(each) for each in rule.conditions], rule.actions)
        compiled.asks_for_feature = any(each.get("kind") in ROOM_VERSION_SUPPORTS for each in rule.conditions)
        return compiled
    if kind == "content":
        return _Rule([word_in_body(rule.pattern or "")], rule.actions)
    return _Rule([property_equals(("room_id",) if kind == "room" else ("sender",), rule.rule_id)], rule.actions)


def _default_rule(default: DefaultRule, rules: UserRules) -> _Rule | None:
    enabled, actions = effective(default, rules)
    if not enabled:
        return None
    compiled = _Rule([compile_condition(each) for each in default.conditions], actions)
    if default.unstable_type is not None and compiled.event_types is not None:
        compiled.event_types |= {default.unstable_type}
    compiled.is_legacy = default.is_legacy
    compiled.is_exempt = default.is_exempt
    compiled.asks_for_feature = any(each["kind"] in ROOM_VERSION_SUPPORTS for each in default.conditions)
    return compiled


#: What holds for users who changed nothing.
DEFAULT_RULESET: Final = Ruleset(UserRules())
