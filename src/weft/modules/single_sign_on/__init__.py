"""Single sign-on: people prove who they are to a provider elsewhere, by OpenID Connect.

https://spec.matrix.org/v1.19/client-server-api/#sso-client-loginauthentication
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from weft.http.addresses import AddressGuard
from weft.http.client import HttpClient
from weft.modules.accounts import AccountsService
from weft.modules.module import Module
from weft.modules.oauth import Browsers
from weft.modules.single_sign_on.client_api import SingleSignOnApi
from weft.modules.single_sign_on.external_ids import ExternalId, ExternalIds
from weft.modules.single_sign_on.provider import Provider
from weft.modules.single_sign_on.service import SingleSignOn
from weft.modules.single_sign_on.stage import Stage
from weft.modules.ui_auth import UiAuthService
from weft.protocol import ui_auth as protocol_ui_auth
from weft.protocol.api.client.single_sign_on import CALLBACK
from weft.rooms.engine import Engine
from weft.settings import Settings

__all__ = ["ExternalId", "ExternalIds", "module"]


def module(
    engine: Engine,
    settings: Settings,
    accounts: AccountsService,
    ui_auth: UiAuthService,
    browsers: Browsers,
    policies: Mapping[str, Any],
    read_secret: Callable[[Path], str],
) -> Module:
    """`read_secret` reads the one line of a secret's file, or says what is wrong with it."""
    # The operator has named the providers, which may well be in their own network.
    http = HttpClient(guard=AddressGuard(deny=()), extra_cas=settings.federation.extra_ca_files)
    public_url = (settings.server.public_url or "").rstrip("/")
    providers = {
        each.id: Provider(
            each,
            read_secret(each.client_secret_file) if each.client_secret_file else "",
            http,
            f"{public_url}{CALLBACK}/{each.id}",
            engine.outside.now_ms,
        )
        for each in settings.single_sign_on.providers
    }
    service = SingleSignOn(engine, accounts, ui_auth, providers)
    ui_auth.pages[protocol_ui_auth.SSO] = Stage(service)
    api = SingleSignOnApi(
        service,
        accounts,
        browsers,
        trusted=settings.single_sign_on.trusted_clients,
        policies=policies,
        public_url=public_url,
    )
    return Module(name="single_sign_on", routes=api.routes(), tasks=service.tasks, stops=[http.close])
