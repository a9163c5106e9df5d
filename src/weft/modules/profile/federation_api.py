"""The endpoint by which other servers ask for our users' profiles.

https://spec.matrix.org/v1.19/server-server-api/#querying-for-information
"""

from __future__ import annotations

from typing import Any

import orjson

from weft.http.call import Call, Route, route
from weft.modules.profile.service import Profiles
from weft.protocol.api.endpoint import Raw
from weft.protocol.api.federation import queries as api
from weft.protocol.errors import Forbidden


class FederationApi:
    """`shows_profiles` says whether other servers are told anything."""

    def __init__(self, profiles: Profiles, *, shows_profiles: bool) -> None:
        self._profiles = profiles
        self._shows_profiles = shows_profiles

    def routes(self) -> list[Route[Any, Any]]:
        return [route(api.QUERY_PROFILE, self.query_profile)]

    async def query_profile(self, call: Call[api.QueryProfileRequest]) -> Raw:
        if not self._shows_profiles:
            raise Forbidden("This server does not tell other servers of its users.")
        user_id, key = call.args.user_id, call.args.field
        if key is None:
            return Raw(body=await self._profiles.json(user_id))
        return Raw(body=b"{%s:%s}" % (orjson.dumps(key), await self._profiles.field(user_id, key)))
