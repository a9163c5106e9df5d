"""Reading a room's past. https://spec.matrix.org/v1.19/client-server-api/#getting-events-for-a-room"""

from weft.modules.history.client_api import HistoryApi
from weft.modules.history.federation_api import FederationApi
from weft.modules.history.service import History
from weft.modules.history.serving import Serving
from weft.modules.module import Module
from weft.rooms.engine import Engine

__all__ = ["History", "Serving", "module"]


def module(engine: Engine, history: History, serving: Serving) -> Module:
    server_name = next(iter(engine.server_names))
    others = FederationApi(serving, server_name, engine.outside.now_ms)
    return Module(name="history", routes=[*HistoryApi(history).routes(), *others.routes()])
