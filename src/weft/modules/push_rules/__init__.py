"""Which events users are notified of. https://spec.matrix.org/v1.19/client-server-api/#push-rules"""

from weft.modules.module import Module
from weft.modules.push_rules.client_api import ClientApi
from weft.modules.push_rules.service import PushRules
from weft.modules.push_rules.sync import PushRulesSync
from weft.rooms.engine import Engine

__all__ = ["PushRules", "module"]


def module(engine: Engine, push_rules: PushRules) -> Module:
    return Module(
        name="push_rules",
        routes=ClientApi(push_rules).routes(),
        sync=PushRulesSync(engine, push_rules),
        appliers=(push_rules.apply,),
    )
