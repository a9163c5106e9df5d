"""The OAuth 2.0 API: clients log people in by the browser, on pages of this server.

https://spec.matrix.org/v1.19/client-server-api/#oauth-20-api
"""

from __future__ import annotations

from collections.abc import Callable

from weft.modules.accounts import AccountsService, Registration
from weft.modules.devices import DevicesService
from weft.modules.module import Module
from weft.modules.oauth.authorize import AuthorizePages
from weft.modules.oauth.browsers import Browsers
from weft.modules.oauth.client_api import ClientApi
from weft.modules.oauth.id_tokens import IdTokens
from weft.modules.oauth.metadata import issuer_of, metadata
from weft.modules.oauth.service import OAuthService
from weft.modules.oauth.signing_in import SigningIn
from weft.protocol.signatures import SigningKey
from weft.rooms.engine import Engine

__all__ = ["module"]


def module(
    engine: Engine,
    accounts: AccountsService,
    registration: Registration,
    devices: DevicesService,
    *,
    base: str | None,
    server_key: SigningKey,
    limit: Callable[[str, str], None],
) -> Module:
    """`base`: the server's address without a slash at its end; None where the OAuth 2.0 API is not offered."""
    id_tokens = IdTokens(issuer_of(base or ""), server_key)
    service = OAuthService(engine, accounts, id_tokens)
    browsers = Browsers(engine, accounts, secure=(base or "").startswith("https:"))
    signing_in = SigningIn(browsers, accounts, registration, limit)
    told = metadata(base, can_register=registration.is_open) if base is not None else None
    return Module(
        name="oauth",
        routes=[
            *ClientApi(service, told, id_tokens.public).routes(),
            *AuthorizePages(service, browsers, signing_in, devices, told.issuer if told else None).routes(),
        ],
        tasks=[*service.tasks, *browsers.tasks],
    )
