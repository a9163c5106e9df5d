"""Where a user's notifications are sent to.

https://spec.matrix.org/v1.19/client-server-api/#push-notifications
"""

from __future__ import annotations

from typing import Any

from weft.protocol.api.endpoint import Auth, Empty, Endpoint, Struct, client


class GetPushersRequest(Struct):
    pass


class Pusher(Struct, omit_defaults=False, kw_only=True):
    pushkey: str
    kind: str
    app_id: str
    app_display_name: str
    device_display_name: str
    profile_tag: str
    lang: str
    data: dict[str, Any]


class GetPushersResponse(Struct, omit_defaults=False):
    pushers: list[Pusher]


class PostPusherRequest(Struct, kw_only=True):
    """`kind` null deletes the pusher; the other fields are then not looked at."""

    pushkey: str
    kind: str | None
    app_id: str
    app_display_name: str | None = None
    device_display_name: str | None = None
    profile_tag: str | None = None
    lang: str | None = None
    data: dict[str, Any] | None = None
    append: bool = False


GET_PUSHERS = Endpoint(
    operation_id="getPushers",
    method="GET",
    paths=client("/pushers"),
    request=GetPushersRequest,
    response=GetPushersResponse,
    auth=Auth.TOKEN,
)

POST_PUSHER = Endpoint(
    operation_id="postPusher",
    method="POST",
    paths=client("/pushers/set"),
    request=PostPusherRequest,
    response=Empty,
    auth=Auth.TOKEN,
    rate_limit="account",
)

ENDPOINTS = (GET_PUSHERS, POST_PUSHER)
