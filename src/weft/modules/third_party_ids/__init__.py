"""Third-party identifiers: the e-mail addresses and phone numbers of accounts.

https://spec.matrix.org/v1.19/client-server-api/#adding-account-administrative-contact-information
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from weft.federation.own_keys import OwnKeys
from weft.http.addresses import AddressGuard
from weft.http.client import HttpClient
from weft.modules.accounts import AccountsService, Registration
from weft.modules.module import Module
from weft.modules.third_party_ids.binding import Binding
from weft.modules.third_party_ids.client_api import ThirdPartyIdsApi
from weft.modules.third_party_ids.identity import IdentityServers
from weft.modules.third_party_ids.inviting import AddressInvites, Invite
from weft.modules.third_party_ids.mail import Mailer
from weft.modules.third_party_ids.messages import Messages
from weft.modules.third_party_ids.pages_api import ConfirmationPages
from weft.modules.third_party_ids.service import ThirdPartyIds
from weft.modules.third_party_ids.sms import Texter
from weft.modules.third_party_ids.stages import AddressStage
from weft.modules.third_party_ids.store import Owned
from weft.modules.third_party_ids.validation import Validation
from weft.modules.ui_auth import UiAuthService
from weft.protocol import ui_auth as protocol_ui_auth
from weft.protocol.third_party_ids import EMAIL, MSISDN
from weft.rooms.engine import Engine
from weft.settings import Settings

__all__ = ["AddressInvites", "Addresses", "Owned", "ThirdPartyIds"]

_STAGES = {EMAIL: protocol_ui_auth.EMAIL, MSISDN: protocol_ui_auth.MSISDN}


class Addresses:
    """All of the module, put together.

    `web` is the pool of connections to public addresses; `read_secret` reads the one line of a secret's file, or says
    what is wrong with it. What accounts have to do with addresses is joined to `accounts.hooks` here.
    """

    def __init__(
        self,
        engine: Engine,
        settings: Settings,
        accounts: AccountsService,
        ui_auth: UiAuthService,
        own_keys: OwnKeys,
        *,
        web: HttpClient,
        invite: Invite,
        read_secret: Callable[[Path], str],
    ) -> None:
        # Who runs the server has named the gateway and the identity servers that are written as addresses.
        anywhere = HttpClient(guard=AddressGuard(deny=()), extra_cas=settings.federation.extra_ca_files)
        self._clients = (web, anywhere)
        self._settings = settings
        self._ui_auth = ui_auth
        messages = _messages(engine, settings, anywhere, read_secret)
        self._validation = Validation(engine, settings, messages)
        self.ids = ThirdPartyIds(engine, settings, accounts, self._validation, messages)
        identity = IdentityServers(settings, own_keys, web=web, anywhere=anywhere)
        self._binding = Binding(engine, accounts, identity)
        self.invites = AddressInvites(engine, identity, invite)
        for medium, stage in _STAGES.items():
            if medium in settings.messages:
                AddressStage(stage, medium, self.ids, self._validation, ui_auth, engine.outside)
                accounts.hooks.recovery.append(stage)

    def module(self, registration: Registration) -> Module:
        api = ThirdPartyIdsApi(
            self.ids,
            self._validation,
            self._binding,
            self._ui_auth,
            may_register=registration.check_medium,
            public_url=self._settings.server.public_url or "",
        )
        return Module(
            name="third_party_ids",
            routes=[*api.routes(), *ConfirmationPages(self._validation).routes()],
            tasks=self._validation.tasks,
            stops=[client.close for client in self._clients],
        )


def _messages(engine: Engine, settings: Settings, http: HttpClient, read_secret: Callable[[Path], str]) -> Messages:
    server_name = settings.server.names[0]
    mailer = None
    if settings.email.host:
        mailer = Mailer(settings.email, engine.outside, server_name=server_name, read_secret=read_secret)
    return Messages(
        mailer,
        Texter(settings.sms, http, read_secret) if settings.sms.url else None,
        public_url=settings.server.public_url or "",
        server_name=server_name,
        lifetime_ms=settings.email.link_lifetime,
    )
