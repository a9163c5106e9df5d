"""https://spec.matrix.org/v1.19/server-server-api/#post_matrixpolicyv1sign"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from weft.http.call import Call, Route, route
from weft.modules.policy.service import Policy
from weft.protocol.api.federation import policy as api


class FederationApi:
    def __init__(self, policy: Policy) -> None:
        self._policy = policy

    def routes(self) -> Sequence[Route[Any, Any]]:
        return [route(api.ASK_POLICY_SERVER_TO_SIGN, self.ask_policy_server_to_sign)]

    async def ask_policy_server_to_sign(
        self, call: Call[api.AskPolicyServerToSignRequest]
    ) -> dict[str, dict[str, str]]:
        return await self._policy.sign(call.origin, call.args.event)
