"""The endpoints of registration.

https://spec.matrix.org/v1.19/client-server-api/#account-registration
"""

from __future__ import annotations

from typing import Any

import msgspec

from weft.http.call import Call, Route, route
from weft.modules.accounts.registration import Registration, required
from weft.modules.accounts.service import AccountsService
from weft.modules.accounts.sessions import Session
from weft.modules.ui_auth import UiAuthService
from weft.protocol.api.client import registration as api
from weft.protocol.errors import MissingParam
from weft.protocol.identifiers import domain_of
from weft.protocol.ui_auth import Session as PassedStages


class RegistrationApi:
    def __init__(self, accounts: AccountsService, registration: Registration, ui_auth: UiAuthService) -> None:
        self._accounts = accounts
        self._registration = registration
        self._ui_auth = ui_auth

    def routes(self) -> list[Route[Any, Any]]:
        return [
            route(api.REGISTER, self.register),
            route(api.CHECK_USERNAME_AVAILABILITY, self.check_username),
            route(api.REGISTRATION_TOKEN_VALIDITY, self.check_token),
        ]

    async def register(self, call: Call[api.RegisterRequest]) -> api.RegisterResponse:
        args = call.args
        if args.kind == "guest":
            session = await self._registration.register_guest(args.initial_device_display_name)
            return _registered(session.user_id, session)
        if args.type == "m.login.application_service":
            return await self._of_service(call)
        self._registration.check_open()
        await self._check(args)
        done = await self._ui_auth.authorise(call, self._registration.scheme, user_id=None)
        remembered = {key: value for key, value in done.body.items() if key != "kind"}
        return await self._make(msgspec.convert(remembered, api.RegisterRequest), done.session)

    async def _of_service(self, call: Call[api.RegisterRequest]) -> api.RegisterResponse:
        """A user of an application service: no stages, no password.

        https://spec.matrix.org/v1.19/application-service-api/#server-admin-style-permissions
        """
        args, service = call.args, self._accounts.authenticator.service(call)
        if args.username is None:
            raise MissingParam("Missing required key `username`.")
        user_id = self._accounts.user_id_of(args.username)
        await self._accounts.check_free(user_id, by=service)
        session = await self._registration.register_of_service(
            user_id,
            log_in=not args.inhibit_login,
            device_id=args.device_id,
            device_name=args.initial_device_display_name,
            refreshable=args.refresh_token,
        )
        return _registered(user_id, session)

    async def _check(self, args: api.RegisterRequest) -> None:
        """What can be refused before anybody goes through the stages."""
        if args.password is not None:
            self._accounts.passwords.judge(args.password)
        if args.guest_access_token is not None:
            await self._registration.check_guest(args.guest_access_token, self._name(args))
        elif args.username is not None:
            await self._accounts.check_free(self._accounts.user_id_of(args.username))

    async def _make(self, args: api.RegisterRequest, passed: PassedStages) -> api.RegisterResponse:
        password = required(args.password)
        if args.guest_access_token is not None:
            user_id = self._name(args)
            session = await self._registration.promote_guest(
                args.guest_access_token,
                user_id,
                password,
                log_in=not args.inhibit_login,
                device_id=args.device_id,
                refreshable=args.refresh_token,
                passed=passed,
            )
            return _registered(user_id, session)
        user_id = self._accounts.user_id_of(args.username) if args.username else self._registration.new_name()
        self._accounts.check_name(user_id)
        session = await self._registration.register(
            user_id,
            password,
            log_in=not args.inhibit_login,
            device_id=args.device_id,
            device_name=args.initial_device_display_name,
            refreshable=args.refresh_token,
            passed=passed,
        )
        return _registered(user_id, session)

    def _name(self, args: api.RegisterRequest) -> str:
        """The name of a guest who wants a full account."""
        if args.username is None:
            raise MissingParam("Missing required key `username`: the name that the guest has.")
        return self._accounts.user_id_of(args.username)

    async def check_username(
        self, call: Call[api.CheckUsernameAvailabilityRequest]
    ) -> api.CheckUsernameAvailabilityResponse:
        self._registration.check_open()
        await self._accounts.check_free(self._accounts.user_id_of(call.args.username))
        return api.CheckUsernameAvailabilityResponse(available=True)

    async def check_token(
        self, call: Call[api.RegistrationTokenValidityRequest]
    ) -> api.RegistrationTokenValidityResponse:
        return api.RegistrationTokenValidityResponse(valid=await self._registration.is_valid_token(call.args.token))


def _registered(user_id: str, session: Session | None) -> api.RegisterResponse:
    if session is None:
        return api.RegisterResponse(user_id=user_id, home_server=domain_of(user_id))
    return api.RegisterResponse(
        user_id=user_id,
        access_token=session.access_token,
        device_id=session.device_id,
        refresh_token=session.refresh_token,
        expires_in_ms=session.expires_in_ms,
        home_server=domain_of(user_id),
    )
