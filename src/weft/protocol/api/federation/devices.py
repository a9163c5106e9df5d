"""The devices of another server's users.

https://spec.matrix.org/v1.19/server-server-api/#device-management
"""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta, field

from weft.protocol.api.endpoint import Api, Auth, Endpoint, Path, Struct, federation
from weft.protocol.api.types import UserId
from weft.protocol.canonical_json import MAX_INTEGER


class GetUserDevicesRequest(Struct):
    user_id: Path[UserId] = field(name="userId")


class UserDevice(Struct):
    """`keys` is the device's signed identity, as its client uploaded it."""

    device_id: str
    keys: dict[str, Any]
    device_display_name: str | None = None


class GetUserDevicesResponse(Struct):
    """`stream_id` is the place in the stream of `m.device_list_update` from which this is."""

    user_id: str
    stream_id: Annotated[int, Meta(ge=0, le=MAX_INTEGER)]
    devices: list[UserDevice]
    master_key: dict[str, Any] | None = None
    self_signing_key: dict[str, Any] | None = None


GET_USER_DEVICES = Endpoint(
    operation_id="getUserDevices",
    method="GET",
    paths=federation("/user/devices/{userId}"),
    request=GetUserDevicesRequest,
    response=GetUserDevicesResponse,
    auth=Auth.SERVER,
    rate_limit="federation",
    api=Api.FEDERATION,
    max_answer=8 << 20,
)

ENDPOINTS = (GET_USER_DEVICES,)
