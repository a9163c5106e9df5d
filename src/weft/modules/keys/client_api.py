"""The endpoints by which clients publish keys and ask for those of others.

https://spec.matrix.org/v1.19/client-server-api/#key-management-api
"""

from __future__ import annotations

from typing import Any

from weft.http.call import Call, Route, route
from weft.modules.events.places import parse_cut
from weft.modules.keys.asking import Asking
from weft.modules.keys.device_keys import DeviceKeys
from weft.modules.keys.device_lists import DeviceLists
from weft.modules.keys.one_time_keys import with_zero
from weft.protocol.api.client import keys as api
from weft.rooms.engine import Engine


class ClientApi:
    def __init__(self, engine: Engine, device_keys: DeviceKeys, asking: Asking, device_lists: DeviceLists) -> None:
        self._log = engine.log
        self._device_keys = device_keys
        self._asking = asking
        self._device_lists = device_lists

    def routes(self) -> list[Route[Any, Any]]:
        return [
            route(api.UPLOAD_KEYS, self.upload),
            route(api.QUERY_KEYS, self.query),
            route(api.CLAIM_KEYS, self.claim),
            route(api.GET_KEYS_CHANGES, self.changes),
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

    async def changes(self, call: Call[api.GetKeysChangesRequest]) -> api.GetKeysChangesResponse:
        """What has changed since `from`; what came after `to` is told, too, as it would be the next time."""
        since, upto = parse_cut(call.args.from_), parse_cut(call.args.to)
        await self._log.catch_up(since.joined(upto))
        changes = await self._device_lists.between(call.user_id, since, self._log.since(since))
        return api.GetKeysChangesResponse(changed=sorted(changes.changed), left=sorted(changes.left))
