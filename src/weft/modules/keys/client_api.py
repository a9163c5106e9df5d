"""The endpoints by which clients publish keys and ask for those of others.

https://spec.matrix.org/v1.19/client-server-api/#key-management-api
"""

from __future__ import annotations

from typing import Any

from weft.http.call import Call, Route, route
from weft.modules.keys.asking import Asking
from weft.modules.keys.device_keys import DeviceKeys
from weft.modules.keys.one_time_keys import with_zero
from weft.protocol.api.client import keys as api


class ClientApi:
    def __init__(self, device_keys: DeviceKeys, asking: Asking) -> None:
        self._device_keys = device_keys
        self._asking = asking

    def routes(self) -> list[Route[Any, Any]]:
        return [
            route(api.UPLOAD_KEYS, self.upload),
            route(api.QUERY_KEYS, self.query),
            route(api.CLAIM_KEYS, self.claim),
        ]

    async def upload(self, call: Call[api.UploadKeysRequest]) -> api.UploadKeysResponse:
        args = call.args
        stock = await self._device_keys.upload(
            call.requester,
            device_keys=args.device_keys,
            one_time_keys=args.one_time_keys,
            fallback_keys=args.fallback_keys,
        )
        return api.UploadKeysResponse(one_time_key_counts=with_zero(stock.counts))

    async def query(self, call: Call[api.QueryKeysRequest]) -> api.QueryKeysResponse:
        found, failures = await self._asking.query(call.user_id, call.args.device_keys, call.args.timeout)
        return api.QueryKeysResponse(
            device_keys=found.device_keys,
            failures=failures,
            master_keys=found.master_keys,
            self_signing_keys=found.self_signing_keys,
            user_signing_keys=found.user_signing_keys,
        )

    async def claim(self, call: Call[api.ClaimKeysRequest]) -> api.ClaimKeysResponse:
        given, failures = await self._asking.claim(call.user_id, call.args.one_time_keys, call.args.timeout)
        return api.ClaimKeysResponse(one_time_keys=given, failures=failures)
