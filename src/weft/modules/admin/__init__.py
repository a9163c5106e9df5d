"""What administrators do: look, suspend, lock, make accounts.

https://spec.matrix.org/v1.19/client-server-api/#server-administration
"""

from __future__ import annotations

from weft.modules.accounts import AccountsService
from weft.modules.admin.client_api import AdminApi
from weft.modules.admin.shared_secret import SharedSecretRegistration
from weft.modules.devices import DevicesService
from weft.modules.module import Module

__all__ = ["SharedSecretRegistration", "module"]


def module(accounts: AccountsService, devices: DevicesService, shared_secret: SharedSecretRegistration) -> Module:
    return Module(name="admin", routes=AdminApi(accounts, devices, shared_secret).routes(), tasks=shared_secret.tasks)
