"""What clients call: discovery, registration, tokens.

https://spec.matrix.org/v1.19/client-server-api/#oauth-20-api
"""

from __future__ import annotations

from typing import Any, Final
from urllib.parse import parse_qs

import msgspec

from weft.http.call import Call, Route, route
from weft.modules.oauth.device_grants import INTERVAL_MS, LIFETIME_MS, DeviceGrants
from weft.modules.oauth.service import Granted, OAuthService
from weft.protocol.api.client import oauth as api
from weft.protocol.api.endpoint import Empty, Raw
from weft.protocol.errors import Unrecognized
from weft.protocol.oauth import OAuthError, clients, user_codes
from weft.protocol.oauth.errors import invalid_request

_TOKEN_TYPE: Final = "Bearer"
_NO_STORE: Final = {"Cache-Control": "no-store", "Pragma": "no-cache"}


class ClientApi:
    """`metadata` None: the OAuth 2.0 API is not offered. `link` is where people type codes in."""

    def __init__(
        self,
        service: OAuthService,
        grants: DeviceGrants,
        metadata: api.GetAuthMetadataResponse | None,
        link: str,
        public_key: dict[str, Any],
    ) -> None:
        self._service = service
        self._grants = grants
        self._link = link
        self._metadata = metadata
        self._public_key = public_key

    def routes(self) -> list[Route[Any, Any]]:
        return [
            route(api.GET_AUTH_METADATA, self.metadata),
            route(api.GET_OPENID_CONFIGURATION, self.metadata),
            route(api.GET_AUTH_ISSUER, self.issuer),
            route(api.GET_OAUTH_KEYS, self.keys),
            route(api.REGISTER_OAUTH_CLIENT, self.register),
            route(api.GET_OAUTH_TOKEN, self.token),
            route(api.REVOKE_OAUTH_TOKEN, self.revoke),
            route(api.AUTHORIZE_DEVICE, self.authorize_device),
        ]

    def _offered(self) -> api.GetAuthMetadataResponse:
        if self._metadata is None:
            raise Unrecognized("This server does not offer the OAuth 2.0 API.")
        return self._metadata

    async def metadata(self, call: Call[Empty]) -> api.GetAuthMetadataResponse:
        return self._offered()

    async def issuer(self, call: Call[Empty]) -> api.GetAuthIssuerResponse:
        return api.GetAuthIssuerResponse(issuer=self._offered().issuer)

    async def keys(self, call: Call[Empty]) -> api.GetOauthKeysResponse:
        self._offered()
        return api.GetOauthKeysResponse(keys=[self._public_key])

    async def register(self, call: Call[api.RegisterOauthClientRequest]) -> Raw:
        self._offered()
        metadata = clients.read(_object(call.args.metadata))
        client_id = await self._service.register(metadata)
        return _answer({"client_id": client_id, **msgspec.to_builtins(metadata)}, status=201)

    async def token(self, call: Call[api.FormRequest]) -> Raw:
        self._offered()
        form = read_parameters(call.args.form)
        match form.get("grant_type"):
            case clients.CODE_GRANT:
                return _granted(await self._service.redeem(form))
            case clients.DEVICE_GRANT:
                return _granted(await self._grants.redeem(form))
            case clients.REFRESH_GRANT:
                return _granted(await self._service.refresh(form))
            case None:
                raise invalid_request("`grant_type` is missing.")
        raise OAuthError("unsupported_grant_type", "This grant is not known here.")

    async def authorize_device(self, call: Call[api.FormRequest]) -> Raw:
        self._offered()
        asked = await self._grants.begin(read_parameters(call.args.form))
        code = user_codes.shown(asked.user_code)
        return _answer(
            api.AuthorizeDeviceResponse(
                device_code=asked.device_code,
                user_code=code,
                verification_uri=self._link,
                verification_uri_complete=f"{self._link}?user_code={code}",
                expires_in=LIFETIME_MS // 1000,
                interval=INTERVAL_MS // 1000,
            )
        )

    async def revoke(self, call: Call[api.FormRequest]) -> Raw:
        self._offered()
        await self._service.revoke(read_parameters(call.args.form))
        return _answer({})


def read_parameters(body: bytes) -> dict[str, str]:
    """The parameters of a request by a client. Raises `OAuthError` for what is no form, or says one of them twice.

    https://www.rfc-editor.org/rfc/rfc6749#section-3.2
    """
    try:
        fields = parse_qs(body.decode(), errors="strict", max_num_fields=50)
    except ValueError:
        raise invalid_request("The form can't be read.") from None
    repeated = [name for name, values in fields.items() if len(values) > 1]
    if repeated:
        raise invalid_request(f"`{repeated[0][:50]}` is there more than once.")
    return {name: values[0] for name, values in fields.items()}


def _granted(granted: Granted) -> Raw:
    session = granted.session
    return _answer(
        api.OauthTokenResponse(
            access_token=session.access_token,
            token_type=_TOKEN_TYPE,
            expires_in=(session.expires_in_ms or 0) // 1000,
            refresh_token=session.refresh_token or "",
            scope=granted.scope,
            id_token=granted.id_token,
        )
    )


def _answer(value: object, *, status: int = 200) -> Raw:
    return Raw(body=msgspec.json.encode(value), status=status, headers=_NO_STORE)


def _object(body: bytes) -> dict[str, Any]:
    """The JSON object in a body. Raises `OAuthError`."""
    try:
        value = msgspec.json.decode(body)
    except (ValueError, RecursionError):
        raise OAuthError("invalid_client_metadata", "The body is not JSON.") from None
    if not isinstance(value, dict):
        raise OAuthError("invalid_client_metadata", "The body must be a JSON object.")
    return value
