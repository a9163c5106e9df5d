"""Accounts: registering, logging in, tokens, passwords, the end of an account.

https://spec.matrix.org/v1.19/client-server-api/#client-authentication
"""

from __future__ import annotations

from weft.modules.accounts.client_api import AccountsApi
from weft.modules.accounts.hooks import Deactivation, Hooks, NewAccount, ProvenAddress
from weft.modules.accounts.registration import Registration
from weft.modules.accounts.registration_api import RegistrationApi
from weft.modules.accounts.registration_tokens import RegistrationTokens
from weft.modules.accounts.service import AccountsService
from weft.modules.module import Module
from weft.modules.ui_auth import UiAuthService
from weft.settings import Settings

__all__ = [
    "AccountsService",
    "Deactivation",
    "Hooks",
    "NewAccount",
    "ProvenAddress",
    "Registration",
    "RegistrationTokens",
    "module",
]


def module(accounts: AccountsService, registration: Registration, ui_auth: UiAuthService, settings: Settings) -> Module:
    return Module(
        name="accounts",
        routes=[
            *AccountsApi(accounts, ui_auth, settings).routes(),
            *RegistrationApi(accounts, registration, ui_auth).routes(),
        ],
        followers=accounts.followers,
        tasks=[*accounts.tasks, *registration.tokens.tasks],
        starts=[accounts.start],
        appliers=[accounts.apply],
    )
