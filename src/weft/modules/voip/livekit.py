"""Tokens with which users join calls that a LiveKit server carries.

A client shows an OpenID token; its own server says whose it is. Users of this server may have the call's room made on
the LiveKit server; others join calls that there are. Names of rooms and participants are hashes, so that the LiveKit
server learns nothing of rooms and people.

https://github.com/matrix-org/matrix-spec-proposals/pull/4195
https://docs.livekit.io/home/get-started/authentication/
"""

from __future__ import annotations

import base64
import hashlib
from typing import Final

import orjson
import structlog
from joserfc import jwt
from joserfc.jwk import OctKey

from weft.federation.asking import Asking
from weft.http.client import HttpClient
from weft.modules.openid import OpenIdService
from weft.protocol.api.client.voip import LiveKitTokenResponse, OpenIdToken
from weft.protocol.api.federation.openid import EXCHANGE_OPEN_ID_TOKEN, ExchangeOpenIdTokenRequest
from weft.protocol.errors import MatrixError, NotFound, NotNow, PeerError, Unreachable
from weft.protocol.identifiers import domain_of
from weft.rooms.engine import Engine
from weft.settings import Voip

log = structlog.get_logger(__name__)

#: For how many seconds a token lets somebody in. Who is in stays.
LIFETIME: Final = 3600
#: For how many seconds a call that nobody has joined, or that everybody has left, stays.
_EMPTY_SECONDS: Final = 300
_DEPARTED_SECONDS: Final = 20
#: The slot of clients from before there were any.
LEGACY_SLOT: Final = "m.call#ROOM"
_TIMEOUT: Final = 10.0


class LiveKit:
    def __init__(
        self, engine: Engine, openid: OpenIdService, asking: Asking, settings: Voip, secret: str, http: HttpClient
    ) -> None:
        self._engine = engine
        self._openid = openid
        self._asking = asking
        self._settings = settings
        self._http = http
        self._secret = secret

    @property
    def is_there(self) -> bool:
        return bool(self._settings.livekit_url and self._settings.livekit_key and self._secret)

    async def user_of(self, token: OpenIdToken, claimed: str | None = None) -> str:
        """Whose an OpenID token is. Raises `M_UNAUTHORIZED` if it is nobody's, or not who is claimed."""
        if token.matrix_server_name in self._engine.server_names:
            user_id = await self._openid.user_of(token.access_token)
        else:
            user_id = await self._user_elsewhere(token)
        if user_id is None or claimed not in (None, user_id):
            raise MatrixError("The token is not that of the user.", errcode="M_UNAUTHORIZED", status=401)
        return user_id

    async def _user_elsewhere(self, token: OpenIdToken) -> str | None:
        """A server speaks for its own users only."""
        request = ExchangeOpenIdTokenRequest(access_token=token.access_token)
        try:
            answer = await self._asking.ask(token.matrix_server_name, EXCHANGE_OPEN_ID_TOKEN, request, missing="")
        except (MatrixError, NotNow, PeerError, Unreachable) as error:
            log.info("an OpenID token was not confirmed", server=token.matrix_server_name, error=str(error))
            return None
        return answer.sub if domain_of(answer.sub) == token.matrix_server_name else None

    async def join(self, user_id: str, identity: str, room_id: str, slot_id: str) -> LiveKitTokenResponse:
        """Lets a user into a room's call. Raises `NotFound` where there is no LiveKit server."""
        if not self.is_there:
            raise NotFound("This server has no LiveKit server for calls.")
        room = hashed(room_id, slot_id)
        if self._engine.is_local(user_id):
            await self._make_room(room)
        grant = {
            "room": room,
            "roomJoin": True,
            "canPublish": True,
            "canSubscribe": True,
            "canUpdateOwnMetadata": True,
        }
        return LiveKitTokenResponse(url=self._settings.livekit_url, jwt=self._token(grant, identity))

    async def _make_room(self, room: str) -> None:
        """Makes the call's room; if it is there it stays as it is."""
        url = self._settings.livekit_url.replace("ws", "http", 1).rstrip("/")
        body = {"name": room, "empty_timeout": _EMPTY_SECONDS, "departure_timeout": _DEPARTED_SECONDS}
        headers = {
            "Authorization": f"Bearer {self._token({'roomCreate': True}, 'weft')}",
            "Content-Type": "application/json",
        }
        try:
            reply = await self._http.request(
                "POST",
                f"{url}/twirp/livekit.RoomService/CreateRoom",
                headers=headers,
                body=orjson.dumps(body),
                timeout=_TIMEOUT,
            )
            reply.check()
        except (NotNow, PeerError, Unreachable) as error:
            log.error("the LiveKit server did not make a room", url=url, error=str(error))
            raise MatrixError("The server for calls does not answer.", errcode="M_UNKNOWN", status=502) from error

    def _token(self, grant: dict[str, object], identity: str) -> str:
        now = self._engine.outside.now_ms() // 1000
        claims = {
            "iss": self._settings.livekit_key,
            "sub": identity,
            "nbf": now,
            "exp": now + LIFETIME,
            "video": grant,
        }
        return jwt.encode({"alg": "HS256", "typ": "JWT"}, claims, OctKey.import_key(self._secret))


def hashed(*parts: str) -> str:
    """A name that says nothing: of a call's room (room id, slot), or of a participant (user, device, member)."""
    digest = hashlib.sha256(orjson.dumps(parts)).digest()
    return base64.b64encode(digest).decode().rstrip("=")
