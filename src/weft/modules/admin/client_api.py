"""The endpoints of administrators.

https://spec.matrix.org/v1.19/client-server-api/#server-administration
"""

from __future__ import annotations

from typing import Any

from weft.http.call import Call, Requester, Route, route
from weft.modules.accounts import AccountsService
from weft.modules.accounts.store import Account
from weft.modules.admin.shared_secret import SharedSecretRegistration
from weft.modules.devices import DevicesService
from weft.modules.devices.store import DeviceRow
from weft.protocol.api.client import admin as api
from weft.protocol.api.endpoint import Empty
from weft.protocol.api.synapse_admin import registration as accounts_api
from weft.protocol.errors import Forbidden
from weft.protocol.identifiers import domain_of


class AdminApi:
    def __init__(
        self, accounts: AccountsService, devices: DevicesService, shared_secret: SharedSecretRegistration
    ) -> None:
        self._accounts = accounts
        self._devices = devices
        self._shared_secret = shared_secret

    def routes(self) -> list[Route[Any, Any]]:
        return [
            route(api.GET_WHO_IS, self.whois),
            route(api.GET_ADMIN_SUSPEND_USER, self.get_suspended),
            route(api.SET_ADMIN_SUSPEND_USER, self.set_suspended),
            route(api.GET_ADMIN_LOCK_USER, self.get_locked),
            route(api.SET_ADMIN_LOCK_USER, self.set_locked),
            route(accounts_api.GET_REGISTRATION_NONCE, self.nonce),
            route(accounts_api.SHARED_SECRET_REGISTER, self.register),
        ]

    async def whois(self, call: Call[api.UserRequest]) -> api.GetWhoIsResponse:
        """Users may ask about themselves, administrators about everybody."""
        user_id = call.args.user_id
        if user_id != call.user_id:
            if not call.requester.is_admin:
                raise Forbidden("Only administrators of this server may ask about others.")
            await self._accounts.active(user_id)
        devices = await self._devices.of_user(user_id)
        return api.GetWhoIsResponse(user_id=user_id, devices={row.device_id: _sessions(row) for row in devices})

    # -- suspension and locking

    async def get_suspended(self, call: Call[api.UserRequest]) -> api.AdminSuspendUserResponse:
        account = await self._looked_at(call.requester, call.args.user_id)
        return api.AdminSuspendUserResponse(suspended=account.suspended)

    async def set_suspended(self, call: Call[api.SetAdminSuspendUserRequest]) -> api.AdminSuspendUserResponse:
        account = await self._moderated(call.args.user_id)
        await self._accounts.set_suspended(account.user_id, call.args.suspended)
        return api.AdminSuspendUserResponse(suspended=call.args.suspended)

    async def get_locked(self, call: Call[api.UserRequest]) -> api.AdminLockUserResponse:
        account = await self._looked_at(call.requester, call.args.user_id)
        return api.AdminLockUserResponse(locked=account.locked)

    async def set_locked(self, call: Call[api.SetAdminLockUserRequest]) -> api.AdminLockUserResponse:
        account = await self._moderated(call.args.user_id)
        await self._accounts.set_locked(account.user_id, call.args.locked)
        return api.AdminLockUserResponse(locked=call.args.locked)

    async def _looked_at(self, requester: Requester, user_id: str) -> Account:
        account = await self._accounts.active(user_id)
        if account.is_admin and user_id != requester.user_id:
            raise Forbidden("This is another administrator.")
        return account

    async def _moderated(self, user_id: str) -> Account:
        """An administrator acts on no administrator: that is what the command line is for."""
        account = await self._accounts.active(user_id)
        if account.is_admin:
            raise Forbidden("This is an administrator.")
        return account

    # -- making accounts

    async def nonce(self, call: Call[Empty]) -> accounts_api.GetRegistrationNonceResponse:
        return accounts_api.GetRegistrationNonceResponse(nonce=await self._shared_secret.nonce())

    async def register(
        self, call: Call[accounts_api.SharedSecretRegisterRequest]
    ) -> accounts_api.SharedSecretRegisterResponse:
        user_id = await self._shared_secret.register(call.args)
        response = accounts_api.SharedSecretRegisterResponse(user_id=user_id, home_server=domain_of(user_id))
        if not call.args.inhibit_login:
            sessions = self._accounts.sessions
            session = await sessions.begin(sessions.plan(user_id), display_name=None)
            response.access_token, response.device_id = session.access_token, session.device_id
        return response


def _sessions(row: DeviceRow) -> api.WhoIsDevice:
    connection = api.Connection(
        ip=row.last_seen_ip or None,
        last_seen=row.last_seen_ms or None,
        user_agent=row.last_seen_user_agent or None,
    )
    return api.WhoIsDevice(sessions=[api.Session(connections=[connection] if row.last_seen_ms else [])])
