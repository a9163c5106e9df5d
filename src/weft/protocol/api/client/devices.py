"""A user's own devices.

https://spec.matrix.org/v1.19/client-server-api/#device-management
"""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta, field

from weft.protocol.api.endpoint import Auth, Empty, Endpoint, Path, Struct, client
from weft.protocol.api.types import DeviceId, DisplayName


class Device(Struct):
    """`last_seen_ts` is milliseconds since 1970.

    All is sent, as "" and 0 where nothing is known: matrix-nio takes no answer that leaves a key out, and the
    specification's schema takes no null.
    """

    device_id: str
    display_name: str
    last_seen_ip: str
    last_seen_ts: int


class GetDevicesResponse(Struct):
    devices: list[Device]


class GetDeviceRequest(Struct):
    device_id: Path[DeviceId] = field(name="deviceId")


class UpdateDeviceRequest(Struct):
    device_id: Path[DeviceId] = field(name="deviceId")
    display_name: DisplayName | None = None


class DeleteDeviceRequest(Struct):
    """`auth` is the data of user-interactive authentication, whose keys depend on its stage."""

    device_id: Path[DeviceId] = field(name="deviceId")
    auth: dict[str, Any] | None = None


class DeleteDevicesRequest(Struct):
    devices: Annotated[list[DeviceId], Meta(max_length=10_000)]
    auth: dict[str, Any] | None = None


GET_DEVICES = Endpoint(
    operation_id="getDevices",
    method="GET",
    paths=client("/devices"),
    request=Empty,
    response=GetDevicesResponse,
    auth=Auth.GUEST_SUSPENDED,
)

GET_DEVICE = Endpoint(
    operation_id="getDevice",
    method="GET",
    paths=client("/devices/{deviceId}"),
    request=GetDeviceRequest,
    response=Device,
    auth=Auth.GUEST_SUSPENDED,
)

UPDATE_DEVICE = Endpoint(
    operation_id="updateDevice",
    method="PUT",
    paths=client("/devices/{deviceId}"),
    request=UpdateDeviceRequest,
    response=Empty,
    auth=Auth.GUEST_SUSPENDED,
    rate_limit="settings",
)

DELETE_DEVICE = Endpoint(
    operation_id="deleteDevice",
    method="DELETE",
    paths=client("/devices/{deviceId}"),
    request=DeleteDeviceRequest,
    response=Empty,
    auth=Auth.SUSPENDED,
    rate_limit="settings",
)

DELETE_DEVICES = Endpoint(
    operation_id="deleteDevices",
    method="POST",
    paths=client("/delete_devices"),
    request=DeleteDevicesRequest,
    response=Empty,
    auth=Auth.SUSPENDED,
    rate_limit="settings",
)

ENDPOINTS = (GET_DEVICES, GET_DEVICE, UPDATE_DEVICE, DELETE_DEVICE, DELETE_DEVICES)
