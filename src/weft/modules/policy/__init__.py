"""Being a room's policy server. https://spec.matrix.org/v1.19/server-server-api/#policy-servers"""

from weft.modules.module import Module
from weft.modules.policy.client_api import ClientApi
from weft.modules.policy.federation_api import FederationApi
from weft.modules.policy.service import Policy

__all__ = ["Policy", "module"]


def module(policy: Policy) -> Module:
    return Module(name="policy", routes=[*ClientApi(policy).routes(), *FederationApi(policy).routes()])
