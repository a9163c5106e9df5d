"""How far users have read. https://spec.matrix.org/v1.19/client-server-api/#receipts"""

from weft.modules.module import Module
from weft.modules.receipts.client_api import ClientApi
from weft.modules.receipts.federation import EDU, ReceiptsFederation
from weft.modules.receipts.overheard import ReceiptsOverheard
from weft.modules.receipts.service import Receipts
from weft.modules.receipts.sync import ReceiptsSync
from weft.rooms.access import RoomAccess
from weft.rooms.engine import Engine

__all__ = ["Receipts", "module"]


def module(engine: Engine, receipts: Receipts, access: RoomAccess) -> Module:
    federation = ReceiptsFederation(engine, receipts, access)
    return Module(
        name="receipts",
        routes=ClientApi(receipts).routes(),
        sync=ReceiptsSync(engine, receipts),
        edus={EDU: federation.take},
        outgoing=(federation,),
        overheard=ReceiptsOverheard(engine),
        appliers=(receipts.apply,),
    )
