"""The endpoint of the user directory."""

from __future__ import annotations

from weft.http.call import Call
from weft.modules.user_directory.service import UserDirectory
from weft.protocol.api.client import user_directory as api

_MAX_LIMIT = 50


class ClientApi:
    def __init__(self, user_directory: UserDirectory) -> None:
        self._user_directory = user_directory

    async def search(self, call: Call[api.SearchUserDirectoryRequest]) -> api.SearchUserDirectoryResponse:
        limit = min(call.args.limit, _MAX_LIMIT)
        found, limited = await self._user_directory.search(call.user_id, call.args.search_term, limit)
        results = [
            api.User(user_id=one.user_id, display_name=one.display_name, avatar_url=one.avatar_url) for one in found
        ]
        return api.SearchUserDirectoryResponse(results=results, limited=limited)
