"""Who is typing. https://spec.matrix.org/v1.19/client-server-api/#typing-notifications"""

from weft.modules.module import Module, Task
from weft.modules.typing import store
from weft.modules.typing.client_api import ClientApi
from weft.modules.typing.federation import EDU, TypingFederation
from weft.modules.typing.overheard import TypingOverheard
from weft.modules.typing.service import Typing
from weft.modules.typing.sync import TypingSync
from weft.rooms.access import RoomAccess
from weft.rooms.engine import Engine

__all__ = ["Typing", "module"]


def module(engine: Engine, typing: Typing, access: RoomAccess) -> Module:
    federation = TypingFederation(engine, typing, access)
    return Module(
        name="typing",
        routes=ClientApi(typing).routes(),
        sync=TypingSync(engine, typing),
        tasks=(Task(name="typing", every_seconds=1.0, run=typing.end_expired),),
        edus={EDU: federation.take},
        outgoing=(federation,),
        overheard=TypingOverheard(engine, typing),
        appliers=(typing.apply,),
        fleeting=(store.KIND,),
    )
