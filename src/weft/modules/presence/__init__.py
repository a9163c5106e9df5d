"""Who is there. https://spec.matrix.org/v1.19/client-server-api/#presence"""

from weft.modules.module import Module, Task
from weft.modules.presence import store
from weft.modules.presence.client_api import ClientApi
from weft.modules.presence.federation import EDU, PresenceFederation
from weft.modules.presence.overheard import PresenceOverheard
from weft.modules.presence.service import Presence
from weft.modules.presence.sync import PresenceSync
from weft.rooms.engine import Engine

__all__ = ["Presence", "module"]


def module(engine: Engine, presence: Presence) -> Module:
    federation = PresenceFederation(engine, presence)
    return Module(
        name="presence",
        routes=ClientApi(engine, presence).routes(),
        sync=PresenceSync(engine, presence),
        tasks=(Task(name="presence", every_seconds=2.0, run=presence.tick),) if presence.enabled else (),
        edus={EDU: federation.take} if presence.enabled else {},
        outgoing=(federation,) if presence.enabled else (),
        overheard=PresenceOverheard(engine, presence) if presence.enabled else None,
        appliers=(presence.apply,),
        fleeting=(store.KIND, store.FLUSH),
    )
