"""The OAuth 2.0 API: clients log people in by the browser, on pages of this server.

https://spec.matrix.org/v1.19/client-server-api/#oauth-20-api
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from weft.modules.accounts import AccountsService, Registration
from weft.modules.devices import DevicesService
from weft.modules.module import Module
from weft.modules.oauth.account import RESET, AccountPages, Names, address
from weft.modules.oauth.authorize import AuthorizePages
from weft.modules.oauth.browsers import Browsers
from weft.modules.oauth.client_api import ClientApi
from weft.modules.oauth.device_grants import DeviceGrants
from weft.modules.oauth.id_tokens import IdTokens
from weft.modules.oauth.link import LinkPages
from weft.modules.oauth.metadata import issuer_of, metadata
from weft.modules.oauth.service import OAuthService
from weft.modules.oauth.signing_in import SigningIn
from weft.modules.ui_auth import UiAuthService
from weft.protocol.api.client import oauth as api
from weft.protocol.signatures import SigningKey
from weft.rooms.engine import Engine

__all__ = ["Browsers", "Names", "People", "module"]


class People(NamedTuple):
    """Who has accounts here, on which devices, and how they prove it."""

    accounts: AccountsService
    registration: Registration
    devices: DevicesService
    ui_auth: UiAuthService


def module(
    engine: Engine,
    people: People,
    names: Names,
    *,
    base: str | None,
    server_key: SigningKey,
    limit: Callable[[str, str], None],
    browsers: Browsers,
    providers: Sequence[tuple[str, str]],
) -> Module:
    """`providers`: with whose accounts people can sign in, by id and name.

    `base`: the server's address without a slash at its end; None where the OAuth 2.0 API is not offered.
    """
    accounts, registration, devices, ui_auth = people
    id_tokens = IdTokens(issuer_of(base or ""), server_key)
    service = OAuthService(engine, accounts, id_tokens)
    signing_in = SigningIn(browsers, accounts, registration, limit, providers)
    grants = DeviceGrants(engine, accounts, service)
    told = metadata(base, can_register=registration.is_open) if base is not None else None
    authorize = AuthorizePages(service, browsers, signing_in, devices, told.issuer if told else None)
    if base is not None:
        ui_auth.consent_page = lambda session_id: base + api.ACCOUNT + address(RESET, session=session_id)
    return Module(
        name="oauth",
        routes=[
            *ClientApi(service, grants, told, f"{base}{api.LINK}", id_tokens.public).routes(),
            *authorize.routes(),
            *LinkPages(grants, browsers, signing_in, authorize, limit, offered=base is not None).routes(),
            *AccountPages(browsers, signing_in, accounts, devices, ui_auth, names, offered=base is not None).routes(),
        ],
        tasks=[*service.tasks, *browsers.tasks, *grants.tasks],
    )
