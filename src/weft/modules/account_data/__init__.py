"""Account data, tags and ignored users. https://spec.matrix.org/v1.19/client-server-api/#client-config"""

from weft.modules.account_data.client_api import ClientApi
from weft.modules.account_data.service import AccountData
from weft.modules.account_data.sync import AccountDataSync
from weft.modules.module import Module
from weft.rooms.engine import Engine

__all__ = ["AccountData", "module"]


def module(engine: Engine, account_data: AccountData) -> Module:
    return Module(
        name="account_data",
        routes=ClientApi(account_data).routes(),
        sync=AccountDataSync(engine, account_data),
        appliers=(account_data.apply,),
    )
