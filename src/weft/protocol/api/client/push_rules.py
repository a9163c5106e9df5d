"""The rules by which a user is notified, and what they were notified of.

https://spec.matrix.org/v1.19/client-server-api/#push-rules
https://spec.matrix.org/v1.19/client-server-api/#listing-notifications
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

from msgspec import Meta, field

from weft.protocol.api.endpoint import Auth, Empty, Endpoint, Path, Query, Struct, client
from weft.protocol.api.events import EventJson
from weft.protocol.api.types import Limit, StreamToken

#: `postcontent` (MSC4306) has rules of the server only, where it has thread subscriptions.
Kind = Literal["override", "underride", "sender", "room", "content", "postcontent"]
RuleId = Annotated[str, Meta(min_length=1, max_length=512)]
#: `"notify"`, or `{"set_tweak": …}`. What a server doesn't know it keeps and ignores, so this stays free-form.
Action: TypeAlias = str | dict[str, Any]
Actions = Annotated[list[Action], Meta(max_length=100)]
#: `{"kind": …}` and what that kind needs. Kinds that a server doesn't know are kept and never match.
Condition: TypeAlias = dict[str, Any]
Conditions = Annotated[list[Condition], Meta(max_length=100)]


class PushRule(Struct):
    """`conditions` is for the kinds override and underride, `pattern` (a glob) for content."""

    rule_id: str
    default: bool
    enabled: bool
    actions: list[Action]
    conditions: list[Condition] | None = None
    pattern: str | None = None


class PushRuleset(Struct, kw_only=True):
    """Most important kind first; inside a kind most important rule first."""

    override: list[PushRule]
    content: list[PushRule]
    postcontent: list[PushRule] | None = None
    room: list[PushRule]
    sender: list[PushRule]
    underride: list[PushRule]


class GetPushRulesResponse(Struct):
    global_: PushRuleset = field(name="global")


class PushRuleRequest(Struct):
    kind: Path[Kind]
    rule_id: Path[RuleId] = field(name="ruleId")


class SetPushRuleRequest(Struct, kw_only=True):
    """The rule goes next to the one named in `before` or `after`, else before all that the user made."""

    kind: Path[Kind]
    rule_id: Path[RuleId] = field(name="ruleId")
    before: Query[RuleId | None] = None
    after: Query[RuleId | None] = None
    actions: Actions
    conditions: Conditions | None = None
    pattern: Annotated[str, Meta(max_length=1024)] | None = None


class IsPushRuleEnabledResponse(Struct):
    enabled: bool


class SetPushRuleEnabledRequest(Struct):
    kind: Path[Kind]
    rule_id: Path[RuleId] = field(name="ruleId")
    enabled: bool


class GetPushRuleActionsResponse(Struct):
    actions: list[Action]


class SetPushRuleActionsRequest(Struct):
    kind: Path[Kind]
    rule_id: Path[RuleId] = field(name="ruleId")
    actions: Actions


class GetNotificationsRequest(Struct):
    """`only` is `highlight` for just those."""

    from_: Query[StreamToken | None] = field(default=None, name="from")
    limit: Query[Limit | None] = None
    only: Query[str | None] = None


class Notification(Struct):
    """`ts` is when it was sent, in milliseconds since 1970."""

    room_id: str
    event: EventJson
    actions: list[Action]
    read: bool
    ts: int
    profile_tag: str | None = None


class GetNotificationsResponse(Struct):
    notifications: list[Notification]
    next_token: str | None = None


RULE = "/pushrules/global/{kind}/{ruleId}"

GET_PUSH_RULES = Endpoint(
    operation_id="getPushRules",
    method="GET",
    paths=(*client("/pushrules/"), *client("/pushrules")),
    request=Empty,
    response=GetPushRulesResponse,
    auth=Auth.SUSPENDED,
)

GET_PUSH_RULES_GLOBAL = Endpoint(
    operation_id="getPushRulesGlobal",
    method="GET",
    paths=(*client("/pushrules/global/"), *client("/pushrules/global")),
    request=Empty,
    response=PushRuleset,
    auth=Auth.SUSPENDED,
)

GET_PUSH_RULE = Endpoint(
    operation_id="getPushRule",
    method="GET",
    paths=client(RULE),
    request=PushRuleRequest,
    response=PushRule,
    auth=Auth.SUSPENDED,
)

SET_PUSH_RULE = Endpoint(
    operation_id="setPushRule",
    method="PUT",
    paths=client(RULE),
    request=SetPushRuleRequest,
    response=Empty,
    auth=Auth.SUSPENDED,
    rate_limit="settings",
)

DELETE_PUSH_RULE = Endpoint(
    operation_id="deletePushRule",
    method="DELETE",
    paths=client(RULE),
    request=PushRuleRequest,
    response=Empty,
    auth=Auth.SUSPENDED,
    rate_limit="settings",
)

IS_PUSH_RULE_ENABLED = Endpoint(
    operation_id="isPushRuleEnabled",
    method="GET",
    paths=client(f"{RULE}/enabled"),
    request=PushRuleRequest,
    response=IsPushRuleEnabledResponse,
    auth=Auth.SUSPENDED,
)

SET_PUSH_RULE_ENABLED = Endpoint(
    operation_id="setPushRuleEnabled",
    method="PUT",
    paths=client(f"{RULE}/enabled"),
    request=SetPushRuleEnabledRequest,
    response=Empty,
    auth=Auth.SUSPENDED,
    rate_limit="settings",
)

GET_PUSH_RULE_ACTIONS = Endpoint(
    operation_id="getPushRuleActions",
    method="GET",
    paths=client(f"{RULE}/actions"),
    request=PushRuleRequest,
    response=GetPushRuleActionsResponse,
    auth=Auth.SUSPENDED,
)

SET_PUSH_RULE_ACTIONS = Endpoint(
    operation_id="setPushRuleActions",
    method="PUT",
    paths=client(f"{RULE}/actions"),
    request=SetPushRuleActionsRequest,
    response=Empty,
    auth=Auth.SUSPENDED,
    rate_limit="settings",
)

GET_NOTIFICATIONS = Endpoint(
    operation_id="getNotifications",
    method="GET",
    paths=client("/notifications"),
    request=GetNotificationsRequest,
    response=GetNotificationsResponse,
    auth=Auth.SUSPENDED,
)

ENDPOINTS = (
    GET_PUSH_RULES,
    GET_PUSH_RULES_GLOBAL,
    GET_PUSH_RULE,
    SET_PUSH_RULE,
    DELETE_PUSH_RULE,
    IS_PUSH_RULE_ENABLED,
    SET_PUSH_RULE_ENABLED,
    GET_PUSH_RULE_ACTIONS,
    SET_PUSH_RULE_ACTIONS,
    GET_NOTIFICATIONS,
)
