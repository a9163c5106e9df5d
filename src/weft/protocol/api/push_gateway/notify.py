"""https://spec.matrix.org/v1.19/push-gateway-api/#post_matrixpushv1notify"""

from __future__ import annotations

from typing import Any, Literal

from msgspec import field

from weft.protocol.api.endpoint import Api, Auth, Endpoint, Struct


class Device(Struct, kw_only=True):
    """`pushkey_ts` is seconds; `data` is the pusher's without its `url`."""

    app_id: str
    pushkey: str
    pushkey_ts: int | None = None
    data: dict[str, Any] = field(default_factory=dict)
    tweaks: dict[str, Any] = field(default_factory=dict)


class Counts(Struct):
    """Those that are zero are not sent."""

    unread: int = 0
    missed_calls: int = 0


class Notification(Struct, kw_only=True):
    """About an event, or without one about the counts alone."""

    event_id: str | None = None
    room_id: str | None = None
    type: str | None = None
    sender: str | None = None
    sender_display_name: str | None = None
    room_name: str | None = None
    room_alias: str | None = None
    user_is_target: bool | None = None
    prio: Literal["high", "low"] | None = None
    content: dict[str, Any] | None = None
    counts: Counts | None = None
    devices: list[Device]


class NotifyRequest(Struct):
    notification: Notification


class NotifyResponse(Struct, omit_defaults=False):
    """`rejected`: the pushkeys that are good no longer. There are gateways that leave it out."""

    rejected: list[str] = field(default_factory=list)


NOTIFY = Endpoint(
    operation_id="notify",
    method="POST",
    paths=("/_matrix/push/v1/notify",),
    request=NotifyRequest,
    response=NotifyResponse,
    auth=Auth.NONE,
    api=Api.PUSH_GATEWAY,
)

ENDPOINTS = (NOTIFY,)
