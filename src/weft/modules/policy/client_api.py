"""https://spec.matrix.org/v1.19/client-server-api/#policy-servers"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from weft.http.call import Call, Route, route
from weft.modules.policy.service import Policy
from weft.protocol.api.client import well_known as api
from weft.protocol.api.endpoint import Empty


class ClientApi:
    def __init__(self, policy: Policy) -> None:
        self._policy = policy

    def routes(self) -> Sequence[Route[Any, Any]]:
        return [route(api.GET_WELLKNOWN_POLICY, self.well_known_policy)]

    async def well_known_policy(self, call: Call[Empty]) -> api.GetWellknownPolicyResponse:
        return api.GetWellknownPolicyResponse(public_keys={"ed25519": self._policy.public_key})
