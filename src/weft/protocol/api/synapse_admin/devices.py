"""The devices of users, as administrators see and change them."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, field

from weft.protocol.api.endpoint import Empty, Path, Struct
from weft.protocol.api.synapse_admin.declaring import admin
from weft.protocol.api.synapse_admin.users import AdministeredUserRequest
from weft.protocol.api.types import DeviceId, DisplayName, UserId


class UserDeviceRequest(Struct):
    user_id: Path[UserId] = field(name="userId")
    device_id: Path[DeviceId] = field(name="deviceId")


class UserDevice(Struct, omit_defaults=False):
    """`last_seen_ts` is milliseconds since 1970; null for a device that was never seen."""

    device_id: str
    display_name: str | None
    last_seen_ip: str | None
    last_seen_user_agent: str | None
    last_seen_ts: int | None
    user_id: str
    dehydrated: bool


class ListUserDevicesResponse(Struct):
    devices: list[UserDevice]
    total: int


class CreateUserDeviceRequest(Struct):
    user_id: Path[UserId] = field(name="userId")
    device_id: DeviceId


class UpdateUserDeviceRequest(Struct):
    user_id: Path[UserId] = field(name="userId")
    device_id: Path[DeviceId] = field(name="deviceId")
    display_name: DisplayName | None = None


class DeleteUserDevicesRequest(Struct):
    user_id: Path[UserId] = field(name="userId")
    devices: Annotated[list[DeviceId], Meta(max_length=1_000)]


_ALL = "v2/users/{userId}/devices"
_ONE = "v2/users/{userId}/devices/{deviceId}"

LIST_USER_DEVICES = admin(
    "listUserDevices", "GET", _ALL, request=AdministeredUserRequest, response=ListUserDevicesResponse
)
CREATE_USER_DEVICE = admin("createUserDevice", "POST", _ALL, request=CreateUserDeviceRequest, response=Empty)
GET_USER_DEVICE = admin("getUserDevice", "GET", _ONE, request=UserDeviceRequest, response=UserDevice)
UPDATE_USER_DEVICE = admin("updateUserDevice", "PUT", _ONE, request=UpdateUserDeviceRequest, response=Empty)
DELETE_USER_DEVICE = admin("deleteUserDevice", "DELETE", _ONE, request=UserDeviceRequest, response=Empty)
DELETE_USER_DEVICES = admin(
    "deleteUserDevices", "POST", "v2/users/{userId}/delete_devices", request=DeleteUserDevicesRequest, response=Empty
)

ENDPOINTS = (
    LIST_USER_DEVICES,
    CREATE_USER_DEVICE,
    GET_USER_DEVICE,
    UPDATE_USER_DEVICE,
    DELETE_USER_DEVICE,
    DELETE_USER_DEVICES,
)
