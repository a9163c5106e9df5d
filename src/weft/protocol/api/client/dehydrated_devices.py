"""Dehydrated devices: one for each user, which takes keys of messages in while the user is logged in nowhere.

https://github.com/matrix-org/matrix-spec-proposals/pull/3814
"""

from __future__ import annotations

from typing import Any

import msgspec

from weft.protocol.api.endpoint import Auth, Empty, Endpoint, Path, Struct
from weft.protocol.api.types import DeviceId, DisplayName, StreamToken

_PATH = "/_matrix/client/unstable/org.matrix.msc3814.v1/dehydrated_device"


class PutDehydratedDeviceRequest(Struct, kw_only=True):
    """`device_data` holds the device's private keys, encrypted; the rest is as in `/keys/upload`."""

    device_id: DeviceId
    device_data: dict[str, Any]
    device_keys: dict[str, Any]
    initial_device_display_name: DisplayName | None = None
    one_time_keys: dict[str, Any] | None = None
    fallback_keys: dict[str, Any] | None = None


class DehydratedDeviceResponse(Struct):
    device_id: str


class GetDehydratedDeviceResponse(Struct):
    device_id: str
    device_data: msgspec.Raw


class DehydratedDeviceEventsRequest(Struct):
    """`next_batch` is that of the answer before."""

    device_id: Path[DeviceId]
    next_batch: StreamToken | None = None


class DehydratedDeviceEventsResponse(Struct, omit_defaults=False):
    """When `events` is empty, there is nothing more."""

    events: list[msgspec.Raw]
    next_batch: str


PUT_DEHYDRATED_DEVICE = Endpoint(
    operation_id="putDehydratedDevice",
    method="PUT",
    paths=(_PATH,),
    request=PutDehydratedDeviceRequest,
    response=DehydratedDeviceResponse,
    auth=Auth.SUSPENDED,
    rate_limit="settings",
)

GET_DEHYDRATED_DEVICE = Endpoint(
    operation_id="getDehydratedDevice",
    method="GET",
    paths=(_PATH,),
    request=Empty,
    response=GetDehydratedDeviceResponse,
    auth=Auth.SUSPENDED,
    rate_limit="lookup",
)

DELETE_DEHYDRATED_DEVICE = Endpoint(
    operation_id="deleteDehydratedDevice",
    method="DELETE",
    paths=(_PATH,),
    request=Empty,
    response=DehydratedDeviceResponse,
    auth=Auth.SUSPENDED,
    rate_limit="settings",
)

DEHYDRATED_DEVICE_EVENTS = Endpoint(
    operation_id="dehydratedDeviceEvents",
    method="POST",
    paths=(f"{_PATH}/{{device_id}}/events",),
    request=DehydratedDeviceEventsRequest,
    response=DehydratedDeviceEventsResponse,
    auth=Auth.SUSPENDED,
    rate_limit="lookup",
)

ENDPOINTS = (
    PUT_DEHYDRATED_DEVICE,
    GET_DEHYDRATED_DEVICE,
    DELETE_DEHYDRATED_DEVICE,
    DEHYDRATED_DEVICE_EVENTS,
)
