"""What administrators do: look, suspend, lock, make accounts; and all that Synapse's tools ask for.

https://spec.matrix.org/v1.19/client-server-api/#server-administration
"""

from __future__ import annotations

from weft.modules.accounts import AccountsService, RegistrationTokens
from weft.modules.admin.client_api import AdminApi
from weft.modules.admin.devices_api import DehydratedOf, UserDevicesApi
from weft.modules.admin.rate_limits import RateLimits
from weft.modules.admin.registration_tokens_api import RegistrationTokensApi
from weft.modules.admin.server_api import ServerApi
from weft.modules.admin.shared_secret import SharedSecretRegistration
from weft.modules.admin.users import AroundAccounts, Users
from weft.modules.admin.users_api import AccountDataOf, UsersApi
from weft.modules.devices import DevicesService
from weft.modules.module import Module

__all__ = ["AroundAccounts", "RateLimits", "SharedSecretRegistration", "Users", "module"]


def module(
    accounts: AccountsService,
    devices: DevicesService,
    shared_secret: SharedSecretRegistration,
    *,
    tokens: RegistrationTokens,
    users: Users,
    rate_limits: RateLimits,
    account_data_of: AccountDataOf,
    dehydrated_of: DehydratedOf,
) -> Module:
    return Module(
        name="admin",
        routes=[
            *AdminApi(accounts, devices, shared_secret).routes(),
            *UsersApi(users, accounts, rate_limits, account_data_of).routes(),
            *UserDevicesApi(users, accounts, devices, dehydrated_of).routes(),
            *RegistrationTokensApi(tokens).routes(),
            *ServerApi().routes(),
        ],
        tasks=shared_secret.tasks,
        starts=[rate_limits.start],
        appliers=[rate_limits.apply],
    )
