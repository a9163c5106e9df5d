"""The endpoints of device management.

https://spec.matrix.org/v1.19/client-server-api/#device-management
"""

from __future__ import annotations

from typing import Any

from weft.http.call import Call, Route, route
from weft.modules.devices.service import DevicesService
from weft.modules.devices.store import DeviceRow
from weft.modules.ui_auth import PASSWORD_ONLY, UiAuthService
from weft.protocol.api.client import devices as api
from weft.protocol.api.endpoint import Empty, Raw


class DevicesApi:
    def __init__(self, devices: DevicesService, ui_auth: UiAuthService) -> None:
        self._devices = devices
        self._ui_auth = ui_auth

    def routes(self) -> list[Route[Any, Any]]:
        return [
            route(api.GET_DEVICES, self.list_all),
            route(api.GET_DEVICE, self.get),
            route(api.UPDATE_DEVICE, self.rename),
            route(api.DELETE_DEVICE, self.delete),
            route(api.DELETE_DEVICES, self.delete_many),
        ]

    async def list_all(self, call: Call[Empty]) -> api.GetDevicesResponse:
        return api.GetDevicesResponse(devices=[_shown(row) for row in await self._devices.of_user(call.user_id)])

    async def get(self, call: Call[api.GetDeviceRequest]) -> api.Device:
        return _shown(await self._devices.one(call.user_id, call.args.device_id))

    async def rename(self, call: Call[api.UpdateDeviceRequest]) -> Empty | Raw:
        name = call.args.display_name
        if call.requester.appservice_id is not None and await self._devices.make(
            call.user_id, call.args.device_id, name or ""
        ):
            return Raw(status=201, body=b"{}")
        if name is None:
            await self._devices.one(call.user_id, call.args.device_id)
        else:
            await self._devices.rename(call.user_id, call.args.device_id, name)
        return Empty()

    async def delete(self, call: Call[api.DeleteDeviceRequest]) -> Empty:
        await self._consent(call)
        await self._devices.delete(call.user_id, [call.args.device_id])
        return Empty()

    async def delete_many(self, call: Call[api.DeleteDevicesRequest]) -> Empty:
        await self._consent(call)
        await self._devices.delete(call.user_id, call.args.devices)
        return Empty()

    async def _consent(self, call: Call[Any]) -> None:
        """A stolen token must not lock its owner out. Application services answer for themselves."""
        if call.requester.appservice_id is None:
            await self._ui_auth.authorise(call, PASSWORD_ONLY, user_id=call.user_id)


def _shown(row: DeviceRow) -> api.Device:
    return api.Device(
        device_id=row.device_id,
        display_name=row.display_name,
        last_seen_ip=row.last_seen_ip,
        last_seen_ts=row.last_seen_ms,
    )
