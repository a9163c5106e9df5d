"""Calls: servers that relay them, and tokens for LiveKit, which carries those of many.

https://spec.matrix.org/v1.19/client-server-api/#voice-over-ip
https://github.com/matrix-org/matrix-spec-proposals/pull/4143
https://github.com/matrix-org/matrix-spec-proposals/pull/4195
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from weft.protocol.api.endpoint import Auth, Empty, Endpoint, Struct, client
from weft.protocol.api.types import DeviceId, RoomId, ServerName, SessionKey, UserId

Name = Annotated[str, Meta(min_length=1, max_length=255)]


class GetTurnServerResponse(Struct, kw_only=True):
    """`ttl`: for how many seconds the password is good."""

    username: str
    password: str
    uris: list[str]
    ttl: int


GET_TURN_SERVER = Endpoint(
    operation_id="getTurnServer",
    method="GET",
    paths=client("/voip/turnServer", unstable=("unstable/voip/turnServer",)),
    request=Empty,
    response=GetTurnServerResponse,
    auth=Auth.GUEST,
    rate_limit="lookup",
)


class RtcTransport(Struct, kw_only=True):
    type: str
    livekit_service_url: str | None = None


class GetRtcTransportsResponse(Struct, omit_defaults=False):
    rtc_transports: list[RtcTransport]


GET_RTC_TRANSPORTS = Endpoint(
    operation_id="getRtcTransports",
    method="GET",
    paths=("/_matrix/client/unstable/org.matrix.msc4143/rtc/transports",),
    request=Empty,
    response=GetRtcTransportsResponse,
    auth=Auth.GUEST,
)


class OpenIdToken(Struct, kw_only=True):
    """What a user's own server gave them, and by which it says who they are."""

    access_token: SessionKey
    matrix_server_name: ServerName


class RtcMember(Struct, kw_only=True):
    id: Name
    claimed_user_id: UserId
    claimed_device_id: DeviceId


class GetLiveKitTokenRequest(Struct, kw_only=True):
    room_id: RoomId
    slot_id: Name
    openid_token: OpenIdToken
    member: RtcMember


class GetLegacyLiveKitTokenRequest(Struct, kw_only=True):
    """As clients asked before there were slots."""

    room: RoomId
    openid_token: OpenIdToken
    device_id: DeviceId


class LiveKitTokenResponse(Struct):
    """`jwt` lets into one room of the LiveKit server at `url`."""

    url: str
    jwt: str


#: Where clients find the two below, from the server's address on.
LIVEKIT_SERVICE = "/_weft/livekit"

GET_LIVEKIT_TOKEN = Endpoint(
    operation_id="getLivekitToken",
    method="POST",
    paths=(f"{LIVEKIT_SERVICE}/get_token",),
    request=GetLiveKitTokenRequest,
    response=LiveKitTokenResponse,
    auth=Auth.NONE,
    rate_limit="lookup",
)
GET_LEGACY_LIVEKIT_TOKEN = Endpoint(
    operation_id="getLegacyLivekitToken",
    method="POST",
    paths=(f"{LIVEKIT_SERVICE}/sfu/get",),
    request=GetLegacyLiveKitTokenRequest,
    response=LiveKitTokenResponse,
    auth=Auth.NONE,
    rate_limit="lookup",
)

ENDPOINTS = (GET_TURN_SERVER, GET_RTC_TRANSPORTS, GET_LIVEKIT_TOKEN, GET_LEGACY_LIVEKIT_TOKEN)
