"""Events on their way to clients: which of them somebody may see, and in what form."""

from weft.modules.events.aggregations import Aggregations
from weft.modules.events.expiry import Expiry
from weft.modules.events.forms import EventForms, Viewer
from weft.modules.events.server_sight import ServerSight
from weft.modules.events.sharing import Sharing
from weft.modules.events.sight import Sight
from weft.modules.events.user_rooms import UserRooms
from weft.modules.module import Module

__all__ = ["Aggregations", "EventForms", "Expiry", "ServerSight", "Sharing", "Sight", "UserRooms", "Viewer", "module"]


def module(user_rooms: UserRooms, sharing: Sharing, aggregations: Aggregations) -> Module:
    return Module(name="events", appliers=[user_rooms.apply, sharing.apply, aggregations.apply])
