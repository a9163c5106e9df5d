"""Reading a room's past. https://spec.matrix.org/v1.19/client-server-api/#getting-events-for-a-room"""

from weft.modules.history.client_api import HistoryApi
from weft.modules.history.service import History
from weft.modules.module import Module

__all__ = ["History", "module"]


def module(history: History) -> Module:
    return Module(name="history", routes=HistoryApi(history).routes())
