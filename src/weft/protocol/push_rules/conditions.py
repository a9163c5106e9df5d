"""The conditions of push rules, each compiled into a test.

Most conditions ask about the event and the room, and have the same answer for every member: `SharedTest`. A few ask
about the `Recipient`: `OwnTest`. Equal shared conditions compile to the same test, so that an event can remember
answers.

A condition that is unknown or misshapen compiles to `NEVER`.

Rules: https://spec.matrix.org/v1.19/client-server-api/#conditions-1
"""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import orjson

from weft.protocol import globs
from weft.protocol.property_paths import Path, parse_path
from weft.protocol.push_rules.default_rules import OWN_USER_ID, THREAD_SUBSCRIPTION, Condition

if TYPE_CHECKING:
    from weft.protocol.push_rules.evaluation import FlattenedEvent


class Recipient(NamedTuple):
    """Who may be notified of an event. `threads` are the roots of those in the room that they are subscribed to."""

    user_id: str
    display_name: str | None = None
    threads: Container[str] = frozenset()


SharedTest = Callable[["FlattenedEvent"], bool]
OwnTest = Callable[["FlattenedEvent", Recipient], bool]

BODY: Final[Path] = ("content", "body")
_TYPE: Final[Path] = ("type",)
_DEFAULT_NOTIFICATION_LEVEL: Final = 50
_COUNT: Final = re.compile(r"(==|<=|>=|<|>)?([0-9]{1,9})", re.A)
_SCALARS: Final = (str, int, bool, type(None))
ROOM_VERSION_SUPPORTS: Final = frozenset({"room_version_supports", "org.matrix.msc3931.room_version_supports"})


class Compiled(NamedTuple):
    """A condition: it holds if all of its tests do."""

    shared: SharedTest | None = None
    own: OwnTest | None = None
    #: The only type of events, folded, for which it can hold; the shared test is left out if that is all it says.
    event_type: str | None = None


def never(event: FlattenedEvent) -> bool:
    """The test of what can't hold."""
    return False


NEVER: Final = Compiled(shared=never)


def compile_condition(condition: Condition) -> Compiled:
    """`OWN_USER_ID` in a default rule's condition stands for the user."""
    if condition.get("pattern") is OWN_USER_ID:
        path = parse_path(condition["key"])
        return Compiled(own=lambda event, recipient: event.get(path) == recipient.user_id)
    if condition.get("value") is OWN_USER_ID:
        path = parse_path(condition["key"])
        return Compiled(
            shared=lambda event: bool(event.strings(path)),
            own=lambda event, recipient: recipient.user_id in event.strings(path),
        )
    return _compile(orjson.dumps(condition, option=orjson.OPT_SORT_KEYS))


@lru_cache(maxsize=4096)
def _compile(canonical: bytes) -> Compiled:
    condition: Mapping[str, Any] = orjson.loads(canonical)
    kind = condition.get("kind")
    if kind in ROOM_VERSION_SUPPORTS:
        return _room_version_supports(condition)
    compiler = _COMPILERS.get(kind) if isinstance(kind, str) else None
    return NEVER if compiler is None else compiler(condition)


# One function per kind


def _event_match(condition: Mapping[str, Any]) -> Compiled:
    key, pattern = condition.get("key"), condition.get("pattern")
    if not isinstance(key, str) or not isinstance(pattern, str):
        return NEVER
    path, folded = parse_path(key), pattern.lower()
    if path == BODY:
        return word_in_body(pattern)
    if path == _TYPE and not globs.has_wildcards(folded):
        return Compiled(event_type=folded)
    matches = globs.matcher(folded)

    def test(event: FlattenedEvent) -> bool:
        text = event.folded(path)
        return text is not None and matches(text)

    return Compiled(shared=test)


def _event_property_is(condition: Mapping[str, Any]) -> Compiled:
    key, wanted = condition.get("key"), condition.get("value", condition)
    if not isinstance(key, str) or not isinstance(wanted, _SCALARS):
        return NEVER
    path = parse_path(key)

    def test(event: FlattenedEvent) -> bool:
        value = event.get(path, condition)
        return type(value) is type(wanted) and value == wanted

    return Compiled(shared=test)


def _event_property_contains(condition: Mapping[str, Any]) -> Compiled:
    key, wanted = condition.get("key"), condition.get("value", condition)
    if not isinstance(key, str) or not isinstance(wanted, _SCALARS):
        return NEVER
    path = parse_path(key)

    def test(event: FlattenedEvent) -> bool:
        values = event.get(path)
        return isinstance(values, list) and any(type(each) is type(wanted) and each == wanted for each in values)

    return Compiled(shared=test)


def _contains_display_name(condition: Mapping[str, Any]) -> Compiled:
    def has_body(event: FlattenedEvent) -> bool:
        return event.folded(BODY) is not None

    def test(event: FlattenedEvent, recipient: Recipient) -> bool:
        name = recipient.display_name
        return bool(name) and globs.contains_word(event.folded(BODY) or "", (name or "").lower())

    return Compiled(shared=has_body, own=test)


def _room_member_count(condition: Mapping[str, Any]) -> Compiled:
    wanted = condition.get("is")
    match = _COUNT.fullmatch(wanted) if isinstance(wanted, str) else None
    if match is None:
        return NEVER
    count = int(match[2])
    tests: dict[str | None, SharedTest] = {
        "<": lambda event: event.room.member_count < count,
        "<=": lambda event: event.room.member_count <= count,
        ">": lambda event: event.room.member_count > count,
        ">=": lambda event: event.room.member_count >= count,
    }
    return Compiled(shared=tests.get(match[1], lambda event: event.room.member_count == count))


def _sender_notification_permission(condition: Mapping[str, Any]) -> Compiled:
    key = condition.get("key")
    if not isinstance(key, str):
        return NEVER

    def test(event: FlattenedEvent) -> bool:
        needed = event.room.notification_levels.get(key, _DEFAULT_NOTIFICATION_LEVEL)
        return event.room.sender_power_level >= needed

    return Compiled(shared=test)


def _room_version_supports(condition: Mapping[str, Any]) -> Compiled:
    feature = condition.get("feature")
    if not isinstance(feature, str):
        return NEVER
    return Compiled(shared=lambda event: feature in event.room.push_features)


def _thread_subscription(condition: Mapping[str, Any]) -> Compiled:
    wanted = condition.get("subscribed")
    if not isinstance(wanted, bool):
        return NEVER
    return Compiled(
        shared=lambda event: event.thread is not None,
        own=lambda event, recipient: (event.thread in recipient.threads) is wanted,
    )


_COMPILERS: Final[dict[str, Callable[[Mapping[str, Any]], Compiled]]] = {
    "event_match": _event_match,
    "event_property_is": _event_property_is,
    "event_property_contains": _event_property_contains,
    "contains_display_name": _contains_display_name,
    "room_member_count": _room_member_count,
    "sender_notification_permission": _sender_notification_permission,
    "thread_subscription": _thread_subscription,
    THREAD_SUBSCRIPTION: _thread_subscription,
}


# The conditions that rules of the other kinds have by nature


@lru_cache(maxsize=4096)
def word_in_body(pattern: str) -> Compiled:
    matches = globs.word_matcher(pattern.lower())

    def test(event: FlattenedEvent) -> bool:
        text = event.folded(BODY)
        return text is not None and matches(text)

    return Compiled(shared=test)


def property_equals(path: Path, wanted: str) -> Compiled:
    return Compiled(shared=lambda event: event.get(path) == wanted)
