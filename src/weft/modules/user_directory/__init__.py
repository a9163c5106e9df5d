"""Finding people by name. https://spec.matrix.org/v1.19/client-server-api/#user-directory"""

from weft.http.call import route
from weft.modules.module import Module
from weft.modules.user_directory.client_api import ClientApi
from weft.modules.user_directory.members import Members
from weft.modules.user_directory.service import UserDirectory
from weft.protocol.api.client import user_directory as api
from weft.rooms.engine import Engine

__all__ = ["UserDirectory", "module"]


def module(engine: Engine, user_directory: UserDirectory) -> Module:
    return Module(
        name="user_directory",
        routes=[route(api.SEARCH_USER_DIRECTORY, ClientApi(user_directory).search)],
        appliers=(user_directory.apply,),
        followers=(Members(engine).follower,),
    )
