"""Push rules: which events a user hears about, and how.

`UserRules` is what a user set: a value that is stored, changed by pure functions and shown as JSON together
with the defaults. `Ruleset` is what it means: compiled, and asked about events. All users who changed nothing
share `DEFAULT_RULESET`, and what the users of a room have in common about an event is worked out once, in its
`FlattenedEvent`.

Rules: https://spec.matrix.org/v1.19/client-server-api/#push-rules
Beyond the specification: rules for polls (MSC3930), for threads that one subscribed to (MSC4306), and in rooms of
extensible events (MSC1767) the condition `room_version_supports` (MSC3931) with the rules that need it (MSC3933).
"""

from weft.protocol.push_rules.changes import (
    add_rule,
    delete_rule,
    set_actions,
    set_enabled,
)
from weft.protocol.push_rules.default_rules import DEFAULT_RULES, Action, Condition, Kind
from weft.protocol.push_rules.evaluation import (
    DEFAULT_RULESET,
    FlattenedEvent,
    RoomContext,
    Ruleset,
    evaluate,
)
from weft.protocol.push_rules.rules import (
    KINDS,
    KINDS_WITHOUT_THREADS,
    Actions,
    PushRule,
    UserRules,
    dump,
    load,
    parse_kind,
    rule_to_json,
    to_json,
)

__all__ = [
    "DEFAULT_RULES",
    "DEFAULT_RULESET",
    "KINDS",
    "KINDS_WITHOUT_THREADS",
    "Action",
    "Actions",
    "Condition",
    "FlattenedEvent",
    "Kind",
    "PushRule",
    "RoomContext",
    "Ruleset",
    "UserRules",
    "add_rule",
    "delete_rule",
    "dump",
    "evaluate",
    "load",
    "parse_kind",
    "rule_to_json",
    "set_actions",
    "set_enabled",
    "to_json",
]
