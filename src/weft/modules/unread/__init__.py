"""What users have not read. https://spec.matrix.org/v1.19/client-server-api/#receiving-notifications"""

from weft.http.call import route
from weft.modules.module import Module
from weft.modules.unread.notifications import Notifications
from weft.modules.unread.service import Unread
from weft.modules.unread.tally import Counts
from weft.protocol.api.client import push_rules as api
from weft.storage.followers import Follower

__all__ = ["Counts", "Notifications", "Unread", "module"]


def module(unread: Unread, notifications: Notifications) -> Module:
    return Module(
        name="unread",
        routes=[route(api.GET_NOTIFICATIONS, notifications.get)],
        followers=(Follower("unread tallies", {"redacted"}, unread.handle, from_beginning=False),),
        appliers=(unread.apply,),
    )
