"""Registering: who may, and what they are asked for.

The mode decides: nobody, holders of a token, everybody. Documents to be accepted come on top. Tokens are those that
administrators make (`registration_tokens`), and those in the settings' file, which is read each time, so that a new one
is good at once and a removed one is not.

https://spec.matrix.org/v1.19/client-server-api/#account-registration
"""

from __future__ import annotations

import hmac
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import structlog

from weft.modules.accounts.hooks import ProvenAddress
from weft.modules.accounts.registration_tokens import RegistrationTokens
from weft.modules.accounts.service import AccountsService
from weft.modules.accounts.sessions import Session
from weft.modules.ui_auth import UiAuthService
from weft.modules.ui_auth.sealing import name_of
from weft.protocol import ui_auth as protocol_ui_auth
from weft.protocol.errors import Forbidden, InvalidUsername, MatrixError, MissingParam
from weft.protocol.third_party_ids import EMAIL, MSISDN
from weft.protocol.ui_auth import Attempt, Operation, Scheme, StageFailed
from weft.protocol.ui_auth import Session as PassedStages
from weft.rooms.engine import Engine
from weft.settings import Settings, Term
from weft.storage.database import WriteTransaction

log = structlog.get_logger(__name__)

_GUEST_NAME = 12


class Registration:
    def __init__(self, engine: Engine, settings: Settings, accounts: AccountsService, ui_auth: UiAuthService) -> None:
        self._engine = engine
        self._settings = settings.registration
        self._accounts = accounts
        self.tokens = RegistrationTokens(engine)
        self.scheme = _scheme(settings)
        self._asked_for = {EMAIL: settings.registration.email, MSISDN: settings.registration.phone}
        self._terms = [(term.id, term.version) for term in settings.registration.terms]
        ui_auth.checkers[protocol_ui_auth.REGISTRATION_TOKEN] = self._check_stage

    def check_open(self) -> None:
        """Raises `Forbidden` where nobody can register by themselves."""
        if self._settings.mode == "closed":
            raise Forbidden("This server's administrator makes the accounts; registration is closed.")

    def check_medium(self, medium: str) -> None:
        """Raises `Forbidden` where nobody can register, `M_THREEPID_DENIED` where the address is not asked for."""
        self.check_open()
        if self._asked_for[medium] == "off":
            raise MatrixError(
                "Nobody who registers here is asked for such an address.", errcode="M_THREEPID_DENIED", status=403
            )

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
        passed: PassedStages,
    ) -> Session | None:
        """Makes the account of somebody who has passed all stages; their first session, unless they want none."""
        session = self._session(user_id, device_id, log_in=log_in, refreshable=refreshable)
        async with self._using(passed) as take:
            await self._accounts.make(
                user_id,
                password,
                session=session,
                device_name=device_name,
                terms=self._terms,
                also=self._also(user_id, passed, take),
            )
        return session

    @asynccontextmanager
    async def _using(self, passed: PassedStages) -> AsyncIterator[Callable[[WriteTransaction], None] | None]:
        """What uses up the token that was shown, where it is one that is used up; it is given back after a failure."""
        if not isinstance(passed.completed.get(protocol_ui_auth.REGISTRATION_TOKEN), str):
            yield None
            return
        held = name_of(passed.session_id)
        try:
            yield lambda tx: self.tokens.take(tx, held)
        except BaseException:
            await self.tokens.release(held)
            raise

    async def register_of_service(
        self, user_id: str, *, log_in: bool, device_id: str | None, device_name: str | None, refreshable: bool
    ) -> Session | None:
        """Makes the account of a user of an application service; they have no password and never administer."""
        session = self._session(user_id, device_id, log_in=log_in, refreshable=refreshable)
        await self._accounts.make(user_id, None, admin=False, session=session, device_name=device_name)
        return session

    def _also(
        self, user_id: str, passed: PassedStages, take: Callable[[WriteTransaction], None] | None
    ) -> Callable[[WriteTransaction], None]:
        """What belongs to the account that is made; addresses that were shown become its own."""
        shown = [passed.completed.get(stage) for stage in (protocol_ui_auth.EMAIL, protocol_ui_auth.MSISDN)]
        proven = [ProvenAddress(each["medium"], each["address"], each["validated_ms"]) for each in shown if each]

        def also(tx: WriteTransaction) -> None:
            if take is not None:
                take(tx)
            for add in self._accounts.hooks.proven if proven else ():
                add(tx, user_id, proven)

        return also

    async def register_guest(self, device_name: str | None) -> Session:
        """https://spec.matrix.org/v1.19/client-server-api/#guest-access"""
        if not self._settings.guests:
            raise Forbidden("There are no guests on this server.")
        session = self._accounts.sessions.plan(self.new_name())
        await self._accounts.make(session.user_id, None, guest=True, session=session, device_name=device_name)
        return session

    async def promote_guest(
        self,
        token: str,
        user_id: str,
        password: str,
        *,
        log_in: bool,
        device_id: str | None,
        refreshable: bool,
        passed: PassedStages,
    ) -> Session | None:
        """Makes the account of the guest whose token it is a full one, under the name that it has."""
        session = self._session(user_id, device_id, log_in=log_in, refreshable=refreshable)
        async with self._using(passed) as take:
            await self.check_guest(token, user_id)
            await self._accounts.promote_guest(
                user_id, password, session=session, also=self._also(user_id, passed, take)
            )
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

    # -- for pages

    @property
    def is_open(self) -> bool:
        """Whether people can register by filling in all of it at once: not where they have to confirm an address."""
        return self._settings.mode != "closed" and "required" not in self._asked_for.values()

    @property
    def needs_token(self) -> bool:
        return self._settings.mode == "token"

    @property
    def policies(self) -> Mapping[str, Any]:
        """What has to be accepted, as `m.login.terms` has it."""
        return _policies(self._settings.terms)

    async def by_form(self, user_id: str, password: str, token: str) -> None:
        """Makes the account of somebody who has filled in all of it at once, and accepted the documents.

        `token` counts where one is needed. Raises `Forbidden` if it is no good, and as `AccountsService.make`.
        """
        self.check_open()
        if not self.is_open:
            raise Forbidden("Whoever registers here has to confirm an address; this page can't ask for it.")
        passed = PassedStages(self._engine.outside.token(32), Operation("POST", ""), {})
        if self.needs_token:
            try:
                held = await self._hold(token, passed.session_id)
            except StageFailed as failure:
                raise Forbidden(failure.message) from None
            passed = protocol_ui_auth.completed(passed, protocol_ui_auth.REGISTRATION_TOKEN, held)
        await self.register(
            user_id, password, log_in=False, device_id=None, device_name=None, refreshable=False, passed=passed
        )

    # -- registration tokens

    async def is_valid_token(self, token: str) -> bool:
        """Whether somebody may register with it now. Raises `Forbidden` where nobody can register."""
        self.check_open()
        if self._settings.mode != "token":
            return False
        return await self.tokens.is_valid(token) or self._is_in_file(token)

    def _is_in_file(self, token: str) -> bool:
        if self._settings.token_file is None:
            return False
        given = token.encode()
        return any(hmac.compare_digest(given, each.encode()) for each in _tokens(self._settings.token_file))

    async def _check_stage(self, attempt: Attempt) -> str | None:
        """The stage of the token; finds out which one is used up, if it is one of those."""
        return await self._hold(protocol_ui_auth.read_token(attempt.auth), attempt.session.session_id)

    async def _hold(self, token: str, session_id: str) -> str | None:
        """Has a session hold a use of a token; None for one that is not used up. Raises `StageFailed`."""
        self.check_open()
        if self._settings.mode == "token":
            if await self.tokens.hold(token, name_of(session_id)):
                return token
            if self._is_in_file(token):
                return None
        raise StageFailed("This registration token is not known, or was used up.")


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


def _scheme(settings: Settings) -> Scheme:
    registration = settings.registration
    stages = [protocol_ui_auth.REGISTRATION_TOKEN] if registration.mode == "token" else []
    if registration.terms:
        stages.append(protocol_ui_auth.TERMS)
    flows = [stages]
    asked_for = (
        (EMAIL, protocol_ui_auth.EMAIL, registration.email),
        (MSISDN, protocol_ui_auth.MSISDN, registration.phone),
    )
    for medium, stage, asked in asked_for:
        if asked != "off" and medium in settings.messages:
            with_it = [[*flow, stage] for flow in flows]
            flows = with_it if asked == "required" else [*flows, *with_it]
    params: dict[str, Any] = {}
    if registration.terms:
        params[protocol_ui_auth.TERMS] = {"policies": _policies(registration.terms)}
    return Scheme([flow or [protocol_ui_auth.DUMMY] for flow in flows], params, body_may_change=True)


def _policies(terms: tuple[Term, ...]) -> Mapping[str, Any]:
    """https://spec.matrix.org/v1.19/client-server-api/#terms-of-service-at-registration"""
    policies: dict[str, dict[str, Any]] = {}
    for term in terms:
        policy = policies.setdefault(term.id, {"version": term.version})
        policy[term.language] = {"name": term.name, "url": term.url}
    return policies
