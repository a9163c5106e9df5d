"""https://spec.matrix.org/v1.19/client-server-api/#voice-over-ip, and tokens for calls of many."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from weft.http.call import Call, Route, route
from weft.modules.voip.livekit import LEGACY_SLOT, LiveKit, hashed
from weft.modules.voip.turn import Turn
from weft.protocol.api.client import voip as api
from weft.protocol.api.endpoint import Empty
from weft.protocol.errors import MatrixError


class VoipApi:
    """`service_url` is where clients find the tokens for LiveKit, ours or somebody else's."""

    def __init__(self, turn: Turn, livekit: LiveKit, *, service_url: str | None, guests: bool) -> None:
        self._turn = turn
        self._livekit = livekit
        self._service_url = service_url
        self._guests = guests

    def routes(self) -> Sequence[Route[Any, Any]]:
        return [
            route(api.GET_TURN_SERVER, self.turn_server),
            route(api.GET_RTC_TRANSPORTS, self.transports),
            route(api.GET_LIVEKIT_TOKEN, self.token),
            route(api.GET_LEGACY_LIVEKIT_TOKEN, self.legacy_token),
        ]

    async def turn_server(self, call: Call[Empty]) -> api.GetTurnServerResponse:
        if call.requester.is_guest and not self._guests:
            raise MatrixError("Guests can't use the relays.", errcode="M_GUEST_ACCESS_FORBIDDEN", status=403)
        return self._turn.credentials(call.user_id)

    async def transports(self, call: Call[Empty]) -> api.GetRtcTransportsResponse:
        if self._service_url is None:
            return api.GetRtcTransportsResponse(rtc_transports=[])
        transport = api.RtcTransport(type="livekit", livekit_service_url=self._service_url)
        return api.GetRtcTransportsResponse(rtc_transports=[transport])

    async def token(self, call: Call[api.GetLiveKitTokenRequest]) -> api.LiveKitTokenResponse:
        args = call.args
        user_id = await self._livekit.user_of(args.openid_token, args.member.claimed_user_id)
        identity = hashed(user_id, args.member.claimed_device_id, args.member.id)
        return await self._livekit.join(user_id, identity, args.room_id, args.slot_id)

    async def legacy_token(self, call: Call[api.GetLegacyLiveKitTokenRequest]) -> api.LiveKitTokenResponse:
        args = call.args
        user_id = await self._livekit.user_of(args.openid_token)
        return await self._livekit.join(user_id, f"{user_id}:{args.device_id}", args.room, LEGACY_SLOT)
