"""Logging in and out, and the account itself.

https://spec.matrix.org/v1.19/client-server-api/#login
https://spec.matrix.org/v1.19/client-server-api/#account-management
"""

from __future__ import annotations

from typing import Any

from weft.http.call import Call, Route, route
from weft.modules.accounts.service import AccountsService
from weft.modules.accounts.sessions import LOGIN_TOKEN_MS, Session
from weft.modules.ui_auth import PASSWORD_ONLY, UiAuthService
from weft.protocol.api.client import account as account_api
from weft.protocol.api.client import login as api
from weft.protocol.api.client.well_known import Homeserver, IdentityServer, WellKnown
from weft.protocol.api.endpoint import Empty
from weft.protocol.errors import Forbidden, MatrixError, MissingParam, Unrecognized
from weft.protocol.identifiers import domain_of
from weft.protocol.ui_auth import PASSWORD, Scheme, UserIdentifier, read_identifier
from weft.settings import Settings


class AccountsApi:
    def __init__(self, accounts: AccountsService, ui_auth: UiAuthService, settings: Settings) -> None:
        self._accounts = accounts
        self._ui_auth = ui_auth
        self._login_tokens = settings.sessions.login_tokens
        self._providers = [
            api.IdentityProvider(id=each.id, name=each.name, icon=each.icon, brand=each.brand)
            for each in settings.single_sign_on.providers
        ]
        self._well_known = _well_known(settings)

    def routes(self) -> list[Route[Any, Any]]:
        return [
            route(api.GET_LOGIN_FLOWS, self.login_flows),
            route(api.LOGIN, self.login),
            route(api.GENERATE_LOGIN_TOKEN, self.generate_login_token),
            route(api.REFRESH, self.refresh),
            route(api.LOGOUT, self.logout),
            route(api.LOGOUT_ALL, self.logout_all),
            route(account_api.GET_TOKEN_OWNER, self.whoami),
            route(account_api.CHANGE_PASSWORD, self.change_password),
            route(account_api.DEACTIVATE_ACCOUNT, self.deactivate),
        ]

    # -- sessions

    async def login_flows(self, call: Call[Empty]) -> api.GetLoginFlowsResponse:
        flows = [api.LoginFlow(type=PASSWORD)]
        if self._providers:
            flows.append(api.LoginFlow(type="m.login.sso", identity_providers=self._providers))
        if self._login_tokens or self._providers:
            flows.append(api.LoginFlow(type="m.login.token", get_login_token=self._login_tokens))
        if self._accounts.services:
            flows.append(api.LoginFlow(type="m.login.application_service"))
        return api.GetLoginFlowsResponse(flows=flows)

    async def login(self, call: Call[api.LoginRequest]) -> api.LoginResponse:
        match call.args.type:
            case "m.login.password":
                return self._logged_in(await self._by_password(call))
            case "m.login.token" if self._login_tokens or self._providers:
                return self._logged_in(await self._by_token(call.args))
            case "m.login.application_service":
                return self._logged_in(await self._by_service(call))
        raise MatrixError("This type of login is not known here.")

    async def _by_password(self, call: Call[api.LoginRequest]) -> Session:
        args = call.args
        identifier = read_identifier(call.raw_json)
        if args.password is None:
            raise MissingParam("Missing required key `password`.")
        account = await self._accounts.by_identifier(identifier, args.password)
        session = await self._begin(account.user_id, args, verified=account.password)
        await self._accounts.refresh_hash(account, args.password)
        return session

    async def _by_service(self, call: Call[api.LoginRequest]) -> Session:
        """https://spec.matrix.org/v1.19/application-service-api/#server-admin-style-permissions"""
        service = self._accounts.authenticator.service(call)
        identifier = read_identifier(call.raw_json)
        if not isinstance(identifier, UserIdentifier):
            raise Forbidden("An application service names the user that it logs in.")
        user_id = self._accounts.user_id_of(identifier.user)
        if not service.has_user(user_id):
            raise MatrixError("The user is not in the application service's namespaces.", errcode="M_EXCLUSIVE")
        if await self._accounts.find(user_id) is None:
            raise Forbidden("There is no such user: register it first.")
        return await self._begin(user_id, call.args)

    async def _by_token(self, args: api.LoginRequest) -> Session:
        if args.token is None:
            raise MissingParam("Missing required key `token`.")
        return await self._begin(await self._accounts.sessions.take_login_token(args.token), args)

    async def _begin(self, user_id: str, args: api.LoginRequest, *, verified: str | None = None) -> Session:
        sessions = self._accounts.sessions
        planned = sessions.plan(user_id, device_id=args.device_id, refreshable=args.refresh_token)
        return await sessions.begin(planned, display_name=args.initial_device_display_name, verified=verified)

    def _logged_in(self, session: Session) -> api.LoginResponse:
        return api.LoginResponse(
            user_id=session.user_id,
            access_token=session.access_token,
            device_id=session.device_id,
            refresh_token=session.refresh_token,
            expires_in_ms=session.expires_in_ms,
            home_server=domain_of(session.user_id),
            well_known=self._well_known,
        )

    async def generate_login_token(self, call: Call[api.GenerateLoginTokenRequest]) -> api.GenerateLoginTokenResponse:
        if not self._login_tokens:
            raise Unrecognized("This server gives no login tokens.")
        await self._ui_auth.authorise(call, PASSWORD_ONLY, user_id=call.user_id)
        token = await self._accounts.sessions.login_token(call.user_id)
        return api.GenerateLoginTokenResponse(login_token=token, expires_in_ms=LOGIN_TOKEN_MS)

    async def refresh(self, call: Call[api.RefreshRequest]) -> api.RefreshResponse:
        session = await self._accounts.sessions.refresh(call.args.refresh_token)
        return api.RefreshResponse(
            access_token=session.access_token,
            refresh_token=session.refresh_token,
            expires_in_ms=session.expires_in_ms,
        )

    async def logout(self, call: Call[Empty]) -> Empty:
        await self._accounts.sessions.end(call.requester)
        return Empty()

    async def logout_all(self, call: Call[Empty]) -> Empty:
        await self._accounts.sessions.end_all(call.user_id)
        return Empty()

    # -- the account

    async def whoami(self, call: Call[Empty]) -> account_api.GetTokenOwnerResponse:
        who = call.requester
        return account_api.GetTokenOwnerResponse(user_id=who.user_id, device_id=who.device_id, is_guest=who.is_guest)

    async def change_password(self, call: Call[account_api.ChangePasswordRequest]) -> Empty:
        self._accounts.passwords.judge(call.args.new_password)
        user_id = await self._consenting(call, self._recovery())
        requester = call.maybe_requester
        await self._accounts.set_password(
            user_id,
            call.args.new_password,
            end_sessions=call.args.logout_devices,
            but_device=requester.device_id if requester else None,
        )
        return Empty()

    async def deactivate(
        self, call: Call[account_api.DeactivateAccountRequest]
    ) -> account_api.DeactivateAccountResponse:
        user_id = await self._consenting(call, PASSWORD_ONLY)
        # First, because a homeserver has to speak for the user.
        is_unbound = await self._accounts.hooks.unbind(user_id, call.args.id_server)
        await self._accounts.deactivate(user_id, erase=call.args.erase)
        return account_api.DeactivateAccountResponse(id_server_unbind_result="success" if is_unbound else "no-support")

    def _recovery(self) -> Scheme:
        """Who has no session because the password is lost shows an address that is theirs."""
        return Scheme([[PASSWORD], *([stage] for stage in self._accounts.hooks.recovery)])

    async def _consenting(self, call: Call[Any], without_token: Scheme) -> str:
        """Whose account it is about: the token's, or without one who has shown who they are."""
        whose = call.maybe_requester.user_id if call.maybe_requester else None
        scheme = PASSWORD_ONLY if whose else without_token
        done = await self._ui_auth.authorise(call, scheme, user_id=whose)
        if whose is not None:
            return whose
        shown = next(iter(done.session.completed.values()))
        return str(shown["user_id"] if isinstance(shown, dict) else shown)


def _well_known(settings: Settings) -> WellKnown | None:
    if settings.server.public_url is None:
        return None
    identity = settings.well_known.identity_server
    return WellKnown(
        homeserver=Homeserver(base_url=settings.server.public_url),
        identity_server=IdentityServer(base_url=identity) if identity else None,
    )
