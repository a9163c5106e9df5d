"""The endpoints of push rules."""

from __future__ import annotations

from functools import partial
from typing import Any

import msgspec
import orjson

from weft.http.call import Call, Route, route
from weft.modules.push_rules.service import PushRules
from weft.protocol.api.client import push_rules as api
from weft.protocol.api.endpoint import Empty, Raw
from weft.protocol.errors import InvalidParam
from weft.protocol.push_rules import Kind, add_rule, delete_rule, rule_to_json, set_actions, set_enabled


class ClientApi:
    def __init__(self, push_rules: PushRules) -> None:
        self._push_rules = push_rules

    def routes(self) -> list[Route[Any, Any]]:
        return [
            route(api.GET_PUSH_RULES, self.get_all),
            route(api.GET_PUSH_RULES_GLOBAL, self.get_global),
            route(api.GET_PUSH_RULE, self.get),
            route(api.SET_PUSH_RULE, self.set),
            route(api.DELETE_PUSH_RULE, self.delete),
            route(api.IS_PUSH_RULE_ENABLED, self.is_enabled),
            route(api.SET_PUSH_RULE_ENABLED, self.set_enabled),
            route(api.GET_PUSH_RULE_ACTIONS, self.get_actions),
            route(api.SET_PUSH_RULE_ACTIONS, self.set_actions),
        ]

    async def get_all(self, call: Call[Empty]) -> Raw:
        return Raw(body=await self._push_rules.json(call.user_id))

    async def get_global(self, call: Call[Empty]) -> Raw:
        everything = msgspec.json.decode(await self._push_rules.json(call.user_id), type=dict[str, msgspec.Raw])
        return Raw(body=bytes(everything["global"]))

    async def get(self, call: Call[api.PushRuleRequest]) -> Raw:
        return Raw(body=orjson.dumps(await self._rule(call)))

    async def set(self, call: Call[api.SetPushRuleRequest]) -> Empty:
        args = call.args
        edit = partial(
            add_rule,
            kind=self._kind(args.kind),
            rule_id=args.rule_id,
            actions=args.actions,
            conditions=args.conditions,
            pattern=args.pattern,
            before=args.before,
            after=args.after,
        )
        await self._push_rules.change(call.user_id, edit)
        return Empty()

    async def delete(self, call: Call[api.PushRuleRequest]) -> Empty:
        edit = partial(delete_rule, kind=self._kind(call.args.kind), rule_id=call.args.rule_id)
        await self._push_rules.change(call.user_id, edit)
        return Empty()

    async def is_enabled(self, call: Call[api.PushRuleRequest]) -> api.IsPushRuleEnabledResponse:
        return api.IsPushRuleEnabledResponse(enabled=(await self._rule(call))["enabled"])

    async def set_enabled(self, call: Call[api.SetPushRuleEnabledRequest]) -> Empty:
        args = call.args
        edit = partial(set_enabled, kind=self._kind(args.kind), rule_id=args.rule_id, enabled=args.enabled)
        await self._push_rules.change(call.user_id, edit)
        return Empty()

    async def get_actions(self, call: Call[api.PushRuleRequest]) -> api.GetPushRuleActionsResponse:
        return api.GetPushRuleActionsResponse(actions=(await self._rule(call))["actions"])

    async def set_actions(self, call: Call[api.SetPushRuleActionsRequest]) -> Empty:
        args = call.args
        edit = partial(set_actions, kind=self._kind(args.kind), rule_id=args.rule_id, actions=args.actions)
        await self._push_rules.change(call.user_id, edit)
        return Empty()

    async def _rule(self, call: Call[api.PushRuleRequest]) -> dict[str, Any]:
        rules = await self._push_rules.rules_of(call.user_id)
        return rule_to_json(rules, call.user_id, self._kind(call.args.kind), call.args.rule_id)

    def _kind(self, kind: Kind) -> Kind:
        """Raises `InvalidParam` for one that only servers with other settings have."""
        if kind not in self._push_rules.kinds:
            raise InvalidParam(f"This server has no push rules of the kind {kind}.")
        return kind
