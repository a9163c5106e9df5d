"""Registering: who may, and what they are asked for.

The mode decides: nobody, holders of a token, everybody. Documents to be accepted come on top. Tokens are read from
their file each time, so that a new one is good at once and a removed one is not.

https://spec.matrix.org/v1.19/client-server-api/#account-registration
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import structlog

from weft.modules.accounts.service import AccountsService
from weft.modules.accounts.sessions import Session
from weft.modules.ui_auth import UiAuthService
from weft.protocol import ui_auth as protocol_ui_auth
from weft.protocol.errors import Forbidden, InvalidUsername, MatrixError, MissingParam
from weft.protocol.ui_auth import Attempt, Scheme, StageFailed
from weft.rooms.engine import Engine
from weft.settings import Registration as RegistrationSettings
from weft.settings import Term

log = structlog.get_logger(__name__)

_GUEST_NAME = 12


class Registration:
    def __init__(
        self, engine: Engine, settings: RegistrationSettings, accounts: AccountsService, ui_auth: UiAuthService
    ) -> None:
        self._engine = engine
        self._settings = settings
        self._accounts = accounts
        self.scheme = _scheme(settings)
        self._terms = [(term.id, term.version) for term in settings.terms]
        ui_auth.checkers[protocol_ui_auth.REGISTRATION_TOKEN] = self._check_stage

    def check_open(self) -> None:
        """Raises `Forbidden` where nobody can register by themselves."""
        if self._settings.mode == "closed":
            raise Forbidden("This server's administrator makes the accounts; registration is closed.")

    def new_name(self) -> str:
        """The id of an account whose maker chose no name."""
        name = self._engine.outside.token(_GUEST_NAME).lower()
        return self._accounts.user_id_of(name)

    async def register(
        self,
        user_id: str,
        password: str,
        *,
        log_in: bool,
        device_id: str | None,
        device_name: str | None,
        refreshable: bool,
    ) -> Session | None:
        """Makes the account of somebody who has passed all stages; their first session, unless they want none."""
        session = self._session(user_id, device_id, log_in=log_in, refreshable=refreshable)
        await self._accounts.make(user_id, password, session=session, device_name=device_name, terms=self._terms)
        return session

    async def register_guest(self, device_name: str | None) -> Session:
        """https://spec.matrix.org/v1.19/client-server-api/#guest-access"""
        if not self._settings.guests:
            raise Forbidden("There are no guests on this server.")
        session = self._accounts.sessions.plan(self.new_name())
        await self._accounts.make(session.user_id, None, guest=True, session=session, device_name=device_name)
        return session

    async def promote_guest(
        self, token: str, user_id: str, password: str, *, log_in: bool, device_id: str | None, refreshable: bool
    ) -> Session | None:
        """Makes the account of the guest whose token it is a full one, under the name that it has."""
        session = self._session(user_id, device_id, log_in=log_in, refreshable=refreshable)
        await self.check_guest(token, user_id)
        await self._accounts.promote_guest(user_id, password, session=session)
        return session

    async def check_guest(self, token: str, user_id: str) -> None:
        """Raises `Forbidden` unless the token is that guest's, `InvalidUsername` if the guest is called otherwise."""
        authenticator = self._accounts.authenticator
        guest = authenticator.cached(token) or await authenticator.by_token(token)
        if guest is None or not guest.is_guest:
            raise Forbidden("This is not a guest's access token.")
        if guest.user_id != user_id:
            raise InvalidUsername("A guest who gets a full account keeps their name.")

    def _session(self, user_id: str, device_id: str | None, *, log_in: bool, refreshable: bool) -> Session | None:
        if not log_in:
            return None
        return self._accounts.sessions.plan(user_id, device_id=device_id, refreshable=refreshable)

    # -- registration tokens

    def is_valid_token(self, token: str) -> bool:
        """Whether somebody may register with it now. Raises `Forbidden` where nobody can register."""
        self.check_open()
        if self._settings.mode != "token" or self._settings.token_file is None:
            return False
        given = token.encode()
        return any(hmac.compare_digest(given, each.encode()) for each in _tokens(self._settings.token_file))

    async def _check_stage(self, attempt: Attempt) -> None:
        if not self.is_valid_token(protocol_ui_auth.read_token(attempt.auth)):
            raise StageFailed("This registration token is not known.")


def required(password: str | None) -> str:
    """A password has to be there. Raises `MissingParam`."""
    if password is None:
        raise MissingParam("Missing required key `password`.")
    return password


def _tokens(file: Path) -> list[str]:
    """One on each line; empty lines and those that begin with # count for nothing."""
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        log.error("the file of registration tokens can't be read", file=str(file), error=str(error))
        raise MatrixError("Registration is not possible at the moment.", status=503) from None
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


def _scheme(settings: RegistrationSettings) -> Scheme:
    stages = [protocol_ui_auth.REGISTRATION_TOKEN] if settings.mode == "token" else []
    if settings.terms:
        stages.append(protocol_ui_auth.TERMS)
    params: dict[str, Any] = {protocol_ui_auth.TERMS: {"policies": _policies(settings.terms)}} if settings.terms else {}
    return Scheme([stages or [protocol_ui_auth.DUMMY]], params, body_may_change=True)


def _policies(terms: tuple[Term, ...]) -> Mapping[str, Any]:
    """https://spec.matrix.org/v1.19/client-server-api/#terms-of-service-at-registration"""
    policies: dict[str, dict[str, Any]] = {}
    for term in terms:
        policy = policies.setdefault(term.id, {"version": term.version})
        policy[term.language] = {"name": term.name, "url": term.url}
    return policies
