"""https://spec.matrix.org/v1.19/client-server-api/#push-notifications"""

from __future__ import annotations

from typing import Any

import orjson

from weft.http.call import Call, Route, route
from weft.modules.pushers.service import Pushers
from weft.modules.pushers.store import Pusher
from weft.protocol.api.client import pushers as api
from weft.protocol.api.endpoint import Empty
from weft.protocol.api.synapse_admin import users as admin_api


class PushersApi:
    def __init__(self, pushers: Pushers) -> None:
        self._pushers = pushers

    def routes(self) -> list[Route[Any, Any]]:
        return [
            route(api.GET_PUSHERS, self.get),
            route(api.POST_PUSHER, self.post),
            route(admin_api.LIST_USER_PUSHERS, self.list_of_user),
        ]

    async def get(self, call: Call[api.GetPushersRequest]) -> api.GetPushersResponse:
        return api.GetPushersResponse(pushers=[_shown(one) for one in await self._pushers.of_user(call.user_id)])

    async def list_of_user(self, call: Call[admin_api.AdministeredUserRequest]) -> admin_api.UserPushersResponse:
        """For administrators."""
        found = await self._pushers.of_account(call.args.user_id)
        return admin_api.UserPushersResponse(pushers=[_shown(one) for one in found], total=len(found))

    async def post(self, call: Call[api.PostPusherRequest]) -> Empty:
        await self._pushers.change(call.requester, call.args)
        return Empty()


def _shown(one: Pusher) -> api.Pusher:
    return api.Pusher(
        pushkey=one.pushkey,
        kind=one.kind,
        app_id=one.app_id,
        app_display_name=one.app_display_name,
        device_display_name=one.device_display_name,
        profile_tag=one.profile_tag,
        lang=one.lang,
        data=orjson.loads(one.data),
    )
