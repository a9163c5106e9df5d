"""The server-default rules, as data.

Order within a kind is order of importance. `.m.rule.master` stands above the users' own rules, all others below.
The rules of our own, where no proposal has one, are named `.weft.rule.…`.

Rules: https://spec.matrix.org/v1.19/client-server-api/#predefined-rules
"""

from __future__ import annotations

from typing import Any, Final, Literal

import msgspec

Kind = Literal["override", "content", "postcontent", "room", "sender", "underride"]
Condition = dict[str, Any]
Action = str | dict[str, Any]

#: Stands for the id of the user whose rules they are.
OWN_USER_ID: Final = "[the user's Matrix ID]"


class DefaultRule(msgspec.Struct, frozen=True, kw_only=True):
    rule_id: str
    conditions: tuple[Condition, ...]
    actions: tuple[Action, ...]
    enabled: bool = True
    #: Another name of the event type that the rule is for; clients that still send it get the same notifications.
    unstable_type: str | None = None
    #: Names a type that extensible rooms have replaced, so that the rule is off in them.
    is_legacy: bool = False
    #: Stays on in extensible rooms when MSC3932 is taken by the letter.
    is_exempt: bool = False


_SOUND: Final[Action] = {"set_tweak": "sound", "value": "default"}
_RING: Final[Action] = {"set_tweak": "sound", "value": "ring"}
_HIGHLIGHT: Final[Action] = {"set_tweak": "highlight"}
_NOTIFY: Final[tuple[Action, ...]] = ("notify",)
_NOTIFY_WITH_SOUND: Final[tuple[Action, ...]] = ("notify", _SOUND)

_TWO_MEMBERS: Final[Condition] = {"kind": "room_member_count", "is": "2"}
_ANY_STATE_KEY_BUT_EMPTY: Final[Condition] = {"kind": "event_match", "key": "state_key", "pattern": ""}
#: Clients know the condition by its unstable name until MSC3931 is merged.
_EXTENSIBLE: Final[Condition] = {
    "kind": "org.matrix.msc3931.room_version_supports",
    "feature": "org.matrix.msc3932.extensible_events",
}


#: By whether the user is subscribed to the thread that an event is in; so called until MSC4306 is merged.
THREAD_SUBSCRIPTION: Final = "io.element.msc4306.thread_subscription"


def _match(key: str, pattern: str) -> Condition:
    return {"kind": "event_match", "key": key, "pattern": pattern}


def _is(key: str, value: str | bool) -> Condition:
    return {"kind": "event_property_is", "key": key, "value": value}


def _extensible(name: str, event_type: str, unstable_type: str, *, one_to_one: bool, prefix: str = ".m") -> DefaultRule:
    """One of the rules of MSC3933, or of ours in its pattern."""
    if one_to_one:
        suffix = "_room_one_to_one" if name == "encrypted" else ".room_one_to_one"
        return DefaultRule(
            rule_id=f"{prefix}.rule.extensible.{name}{suffix}",
            conditions=(_TWO_MEMBERS, _match("type", event_type), _EXTENSIBLE),
            actions=_NOTIFY_WITH_SOUND,
            unstable_type=unstable_type,
        )
    return DefaultRule(
        rule_id=f"{prefix}.rule.extensible.{name}",
        conditions=(_match("type", event_type), _EXTENSIBLE),
        actions=_NOTIFY,
        unstable_type=unstable_type,
    )


def _extensible_rules(*, one_to_one: bool) -> tuple[DefaultRule, ...]:
    proposed = ("encrypted", "message", "file", "image", "video", "audio")
    return (
        *(_extensible(name, f"m.{name}", f"org.matrix.msc1767.{name}", one_to_one=one_to_one) for name in proposed),
        _extensible("emote", "m.emote", "org.matrix.msc1767.emote", one_to_one=one_to_one, prefix=".weft"),
        _extensible("voice", "m.voice", "org.matrix.msc3245.voice.v2", one_to_one=one_to_one, prefix=".weft"),
    )


def _poll(moment: str, *, one_to_one: bool) -> DefaultRule:
    """One of the underride rules of MSC3930."""
    of_type = _match("type", f"m.poll.{moment}")
    return DefaultRule(
        rule_id=f".m.rule.poll_{moment}_one_to_one" if one_to_one else f".m.rule.poll_{moment}",
        conditions=(_TWO_MEMBERS, of_type) if one_to_one else (of_type,),
        actions=_NOTIFY_WITH_SOUND if one_to_one else _NOTIFY,
        unstable_type=f"org.matrix.msc3381.poll.{moment}",
        is_exempt=True,
    )


MASTER: Final = DefaultRule(rule_id=".m.rule.master", conditions=(), actions=(), enabled=False, is_exempt=True)

_OVERRIDE: Final = (
    DefaultRule(
        rule_id=".m.rule.suppress_notices",
        conditions=(_match("content.msgtype", "m.notice"),),
        actions=(),
        is_legacy=True,
    ),
    DefaultRule(
        rule_id=".weft.rule.suppress_automated",
        conditions=(_is(r"content.m\.automated", True), _EXTENSIBLE),
        actions=(),
    ),
    DefaultRule(
        rule_id=".m.rule.invite_for_me",
        conditions=(
            _match("type", "m.room.member"),
            _match("content.membership", "invite"),
            _match("state_key", OWN_USER_ID),
        ),
        actions=_NOTIFY_WITH_SOUND,
    ),
    DefaultRule(rule_id=".m.rule.member_event", conditions=(_match("type", "m.room.member"),), actions=()),
    DefaultRule(
        rule_id=".m.rule.is_user_mention",
        conditions=({"kind": "event_property_contains", "key": r"content.m\.mentions.user_ids", "value": OWN_USER_ID},),
        actions=("notify", _SOUND, _HIGHLIGHT),
    ),
    DefaultRule(
        rule_id=".m.rule.is_room_mention",
        conditions=(
            _is(r"content.m\.mentions.room", True),
            {"kind": "sender_notification_permission", "key": "room"},
        ),
        actions=("notify", _HIGHLIGHT),
    ),
    DefaultRule(
        rule_id=".m.rule.tombstone",
        conditions=(_match("type", "m.room.tombstone"), _ANY_STATE_KEY_BUT_EMPTY),
        actions=("notify", _HIGHLIGHT),
    ),
    DefaultRule(rule_id=".m.rule.reaction", conditions=(_match("type", "m.reaction"),), actions=()),
    DefaultRule(
        rule_id=".m.rule.room.server_acl",
        conditions=(_match("type", "m.room.server_acl"), _ANY_STATE_KEY_BUT_EMPTY),
        actions=(),
    ),
    DefaultRule(
        rule_id=".m.rule.poll_response",
        conditions=(_match("type", "m.poll.response"),),
        actions=(),
        unstable_type="org.matrix.msc3381.poll.response",
        is_exempt=True,
    ),
    DefaultRule(
        rule_id=".m.rule.suppress_edits",
        conditions=(_is(r"content.m\.relates_to.rel_type", "m.replace"),),
        actions=(),
    ),
)

_UNDERRIDE: Final = (
    DefaultRule(rule_id=".m.rule.call", conditions=(_match("type", "m.call.invite"),), actions=("notify", _RING)),
    DefaultRule(
        rule_id=".m.rule.encrypted_room_one_to_one",
        conditions=(_TWO_MEMBERS, _match("type", "m.room.encrypted")),
        actions=_NOTIFY_WITH_SOUND,
    ),
    DefaultRule(
        rule_id=".m.rule.room_one_to_one",
        conditions=(_TWO_MEMBERS, _match("type", "m.room.message")),
        actions=_NOTIFY_WITH_SOUND,
        is_legacy=True,
    ),
    *_extensible_rules(one_to_one=True),
    DefaultRule(
        rule_id=".m.rule.message",
        conditions=(_match("type", "m.room.message"),),
        actions=_NOTIFY,
        is_legacy=True,
    ),
    DefaultRule(rule_id=".m.rule.encrypted", conditions=(_match("type", "m.room.encrypted"),), actions=_NOTIFY),
    *(_poll(moment, one_to_one=one_to_one) for moment in ("start", "end") for one_to_one in (True, False)),
    *_extensible_rules(one_to_one=False),
)

#: The rules of MSC4306: a thread is heard of by those who subscribed to it, or were mentioned.
_POSTCONTENT: Final = (
    DefaultRule(
        rule_id=".io.element.msc4306.rule.unsubscribed_thread",
        conditions=({"kind": THREAD_SUBSCRIPTION, "subscribed": False},),
        actions=(),
        is_exempt=True,
    ),
    DefaultRule(
        rule_id=".io.element.msc4306.rule.subscribed_thread",
        conditions=({"kind": THREAD_SUBSCRIPTION, "subscribed": True},),
        actions=_NOTIFY_WITH_SOUND,
        is_exempt=True,
    ),
)

#: All but the master rule, which is apart.
DEFAULT_RULES: Final[dict[Kind, tuple[DefaultRule, ...]]] = {
    "override": _OVERRIDE,
    "content": (),
    "postcontent": _POSTCONTENT,
    "room": (),
    "sender": (),
    "underride": _UNDERRIDE,
}
