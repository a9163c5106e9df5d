"""The endpoints of dehydrated devices."""

from __future__ import annotations

from typing import Any

import msgspec

from weft.http.call import Call, Route, route
from weft.modules.dehydrated_devices.service import DehydratedDevices
from weft.protocol.api.client import dehydrated_devices as api
from weft.protocol.api.endpoint import Empty


class DehydratedDevicesApi:
    def __init__(self, dehydrated: DehydratedDevices) -> None:
        self._dehydrated = dehydrated

    def routes(self) -> list[Route[Any, Any]]:
        return [
            route(api.PUT_DEHYDRATED_DEVICE, self.put),
            route(api.GET_DEHYDRATED_DEVICE, self.get),
            route(api.DELETE_DEHYDRATED_DEVICE, self.delete),
            route(api.DEHYDRATED_DEVICE_EVENTS, self.events),
        ]

    async def put(self, call: Call[api.PutDehydratedDeviceRequest]) -> api.DehydratedDeviceResponse:
        await self._dehydrated.put(call.user_id, call.args)
        return api.DehydratedDeviceResponse(device_id=call.args.device_id)

    async def get(self, call: Call[Empty]) -> api.GetDehydratedDeviceResponse:
        found = await self._dehydrated.get(call.user_id)
        return api.GetDehydratedDeviceResponse(device_id=found.device_id, device_data=msgspec.Raw(found.device_data))

    async def delete(self, call: Call[Empty]) -> api.DehydratedDeviceResponse:
        return api.DehydratedDeviceResponse(device_id=await self._dehydrated.delete(call.user_id))

    async def events(self, call: Call[api.DehydratedDeviceEventsRequest]) -> api.DehydratedDeviceEventsResponse:
        events, upto = await self._dehydrated.events(call.user_id, call.args.device_id, call.args.next_batch)
        return api.DehydratedDeviceEventsResponse(events=[msgspec.Raw(one) for one in events], next_batch=upto)
