"""The endpoints by which administrators look after users' devices.

https://element-hq.github.io/synapse/latest/admin_api/user_admin_api.html#user-devices
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from weft.http.call import Call, Route, route
from weft.modules.accounts import AccountsService
from weft.modules.admin.users import Users
from weft.modules.devices import DevicesService, check_device_id
from weft.modules.devices.store import DeviceRow
from weft.protocol.api.endpoint import Empty
from weft.protocol.api.synapse_admin import devices as api
from weft.protocol.api.synapse_admin.users import AdministeredUserRequest

#: The id of the user's device that nobody is logged in on, if there is one.
DehydratedOf = Callable[[str], Awaitable[str | None]]


class UserDevicesApi:
    def __init__(
        self, users: Users, accounts: AccountsService, devices: DevicesService, dehydrated_of: DehydratedOf
    ) -> None:
        self._users = users
        self._accounts = accounts
        self._devices = devices
        self._dehydrated_of = dehydrated_of

    def routes(self) -> list[Route[Any, Any]]:
        return [
            route(api.LIST_USER_DEVICES, self.list_all),
            route(api.CREATE_USER_DEVICE, self.create),
            route(api.GET_USER_DEVICE, self.get),
            route(api.UPDATE_USER_DEVICE, self.update),
            route(api.DELETE_USER_DEVICE, self.delete),
            route(api.DELETE_USER_DEVICES, self.delete_many),
        ]

    async def list_all(self, call: Call[AdministeredUserRequest]) -> api.ListUserDevicesResponse:
        user_id = (await self._users.account(call.args.user_id)).user_id
        dehydrated = await self._dehydrated_of(user_id)
        shown = [_shown(user_id, row, dehydrated) for row in await self._devices.of_user(user_id)]
        return api.ListUserDevicesResponse(devices=shown, total=len(shown))

    async def create(self, call: Call[api.CreateUserDeviceRequest]) -> Empty:
        check_device_id(call.args.device_id)
        account = await self._accounts.active(call.args.user_id)
        await self._devices.make(account.user_id, call.args.device_id)
        return Empty()

    async def get(self, call: Call[api.UserDeviceRequest]) -> api.UserDevice:
        user_id = (await self._users.account(call.args.user_id)).user_id
        row = await self._devices.one(user_id, call.args.device_id)
        return _shown(user_id, row, await self._dehydrated_of(user_id))

    async def update(self, call: Call[api.UpdateUserDeviceRequest]) -> Empty:
        args = call.args
        user_id = (await self._users.account(args.user_id)).user_id
        if args.display_name is None:
            await self._devices.one(user_id, args.device_id)
        else:
            await self._devices.rename(user_id, args.device_id, args.display_name)
        return Empty()

    async def delete(self, call: Call[api.UserDeviceRequest]) -> Empty:
        user_id = (await self._users.account(call.args.user_id)).user_id
        await self._devices.delete(user_id, [call.args.device_id])
        return Empty()

    async def delete_many(self, call: Call[api.DeleteUserDevicesRequest]) -> Empty:
        user_id = (await self._users.account(call.args.user_id)).user_id
        await self._devices.delete(user_id, call.args.devices)
        return Empty()


def _shown(user_id: str, row: DeviceRow, dehydrated: str | None) -> api.UserDevice:
    return api.UserDevice(
        device_id=row.device_id,
        display_name=row.display_name or None,
        last_seen_ip=row.last_seen_ip or None,
        last_seen_user_agent=row.last_seen_user_agent or None,
        last_seen_ts=row.last_seen_ms or None,
        user_id=user_id,
        dehydrated=row.device_id == dehydrated,
    )
