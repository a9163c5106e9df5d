"""HTTP pushers: notifications on their way to push gateways, which wake people's devices.

https://spec.matrix.org/v1.19/client-server-api/#push-notifications
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from weft.http.client import HttpClient
from weft.modules.events import Sight
from weft.modules.events.user_rooms import UserRooms
from weft.modules.module import Module
from weft.modules.pushers import store
from weft.modules.pushers.client_api import PushersApi
from weft.modules.pushers.contents import Contents
from weft.modules.pushers.noticing import Noticing
from weft.modules.pushers.sending import Gateways
from weft.modules.pushers.service import Pushers
from weft.modules.unread import Unread
from weft.protocol.invite_permissions import InvitePermissions
from weft.rooms.engine import Engine

__all__ = ["Pushers", "module"]


def module(
    engine: Engine,
    pushers: Pushers,
    unread: Unread,
    web: HttpClient,
    *,
    sight: Sight,
    user_rooms: UserRooms,
    invite_permissions: Callable[[str], Awaitable[InvitePermissions]],
) -> Module:
    """`web` is what gateways are asked with; it is closed with the module."""
    gateways = Gateways(engine, web, Contents(engine, unread, user_rooms))
    noticing = Noticing(engine, unread, sight, gateways, invite_permissions)
    return Module(
        name="pushers",
        routes=PushersApi(pushers).routes(),
        stops=[web.close],
        followers=[noticing.follower],
        fleeting=[store.KIND],
    )
