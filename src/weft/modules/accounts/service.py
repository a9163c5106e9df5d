"""Accounts: who has one, how they prove it, and how it ends.

    accounts = AccountsService(engine, settings, devices=devices, ui_auth=ui_auth)
    await accounts.create("@alice:example.org", "correct horse", admin=None)

`accounts.authenticator` tells the HTTP kit whose a token is; `accounts.sessions` begins and ends logins;
`accounts.hooks` is where other modules join in when an account begins or ends.

https://spec.matrix.org/v1.19/client-server-api/#account-management
https://spec.matrix.org/v1.19/client-server-api/#account-moderation
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from weft.http.limits import Limiter, Rate
from weft.modules.accounts import store, token_store
from weft.modules.accounts.authenticator import TokenAuthenticator
from weft.modules.accounts.hooks import Deactivation, Hooks, NewAccount
from weft.modules.accounts.passwords import Passwords
from weft.modules.accounts.sessions import Session, Sessions, deactivated, locked
from weft.modules.accounts.store import Account
from weft.modules.devices import DevicesService
from weft.modules.module import Task
from weft.modules.ui_auth import UiAuthService
from weft.protocol import ui_auth as protocol_ui_auth
from weft.protocol.application_services import NO_SERVICES, Registration, Registrations
from weft.protocol.errors import (
    Forbidden,
    InvalidParam,
    InvalidUsername,
    LimitExceeded,
    MatrixError,
    NotFound,
    UserInUse,
)
from weft.protocol.identifiers import domain_of, is_valid_localpart_for_registration, localpart_of, parse_user_id
from weft.protocol.ui_auth import Attempt, PhoneIdentifier, StageFailed, ThirdPartyIdentifier, UserIdentifier
from weft.rooms.engine import Engine
from weft.settings import Settings
from weft.storage.database import UniqueViolation, WriteTransaction
from weft.storage.followers import Follower
from weft.storage.positions import Entry

#: The row of the rate limits that tries of a password draw on, for each account besides each address.
_LIMIT: Final = "login"


class AccountsService:
    """`is_reserved` tells which user ids are not for people to register, because they are the server's own."""

    def __init__(
        self,
        engine: Engine,
        settings: Settings,
        *,
        devices: DevicesService,
        ui_auth: UiAuthService,
        services: Registrations = NO_SERVICES,
        is_reserved: Callable[[str], bool] = lambda user_id: False,
    ) -> None:
        self._engine = engine
        self._database = engine.database
        self._now_ms = engine.outside.now_ms
        self._devices = devices
        self._is_reserved = is_reserved
        self._limiter = _tries(settings)
        self.hooks = Hooks()
        #: Who wanted what they wrote to be erased when they left.
        self.erased: set[str] = set()
        self.passwords = Passwords(settings.passwords, engine.outside.random_bytes)
        self.sessions = Sessions(engine, settings.sessions, devices)
        self.authenticator = TokenAuthenticator(engine, devices, services)
        self.services = services
        self.tasks = [Task(name="expired login tokens", every_seconds=600, run=self.sessions.prune)]
        self.followers = [Follower("accounts that ended", {"account"}, self._after)]
        ui_auth.checkers[protocol_ui_auth.PASSWORD] = self._check_stage

    # -- looking

    async def find(self, user_id: str) -> Account | None:
        return await self._database.get(store.find, user_id)

    async def is_guest(self, user_id: str) -> bool:
        account = await self.find(user_id)
        return account is not None and account.is_guest

    async def exists(self, user_id: str) -> bool:
        """Whether there is such an account, and it is not deactivated."""
        account = await self.find(user_id)
        return account is not None and not account.is_deactivated

    async def is_known(self, user_id: str) -> bool:
        """Whether there is such an account, or was."""
        return await self.find(user_id) is not None

    async def active(self, user_id: str) -> Account:
        """A local account that has not ended.

        Raises `InvalidParam` for an id of another server's and `NotFound` for one that isn't here, or not any more.
        """
        parse_user_id(user_id)
        if not self._engine.is_local(user_id):
            raise InvalidParam("The user does not belong to this server.")
        account = await self.find(user_id)
        if account is None or account.is_deactivated:
            raise NotFound("There is no such user.")
        return account

    async def start(self) -> None:
        """Reads who was erased; the log keeps it true from then on."""
        self.erased.update(await self._database.read(store.erased))

    def apply(self, entries: Sequence[Entry]) -> None:
        """Takes in what has changed."""
        self.authenticator.apply(entries)
        for entry in entries:
            if entry.kind != "account" or entry.user_id is None:
                continue
            if entry.key == store.ERASED:
                self.erased.add(entry.user_id)
            elif entry.key == store.REACTIVATED:
                self.erased.discard(entry.user_id)

    # -- making

    def check_name(self, user_id: str, *, by: Registration | None = None) -> None:
        """Whether a new account may have this id. Raises `InvalidUsername`, or `M_EXCLUSIVE`.

        `by`: the application service that makes it, in whose namespaces it has to be.
        """
        if not self._engine.is_local(user_id):
            raise InvalidUsername("That is not a domain of this server.")
        if not is_valid_localpart_for_registration(localpart_of(user_id), domain_of(user_id)):
            raise InvalidUsername("A user name is made of a-z, 0-9 and the characters . _ = - / +, and not too long.")
        if by is not None and not by.has_user(user_id):
            raise MatrixError("The name is not in the application service's namespaces.", errcode="M_EXCLUSIVE")
        if self._is_reserved(user_id) or self.services.user_is_taken(user_id, by=by.id if by else None):
            raise MatrixError("This user name is reserved for an application service.", errcode="M_EXCLUSIVE")

    async def check_free(self, user_id: str, *, by: Registration | None = None) -> None:
        """`check_name`, and that nobody has the name or ever had it. Raises `UserInUse` too."""
        self.check_name(user_id, by=by)
        if await self.find(user_id) is not None:
            raise _taken()

    async def create(
        self,
        user_id: str,
        password: str | None,
        *,
        admin: bool | None = None,
        display_name: str | None = None,
        user_type: str | None = None,
    ) -> str:
        """Makes an account and returns its id. `admin` None: only if it is the first of this server.

        Raises `InvalidUsername`, `UserInUse`, `M_WEAK_PASSWORD`.
        """
        await self.check_free(user_id)
        await self.make(user_id, password, admin=admin, display_name=display_name, user_type=user_type)
        return user_id

    async def make(
        self,
        user_id: str,
        password: str | None,
        *,
        guest: bool = False,
        admin: bool | None = None,
        display_name: str | None = None,
        user_type: str | None = None,
        session: Session | None = None,
        device_name: str | None = None,
        terms: Sequence[tuple[str, str]] = (),
        also: Callable[[WriteTransaction], None] | None = None,
    ) -> None:
        """Makes an account whose name was checked, and with it the planned session. Raises `UserInUse`.

        `terms`: each document that was accepted, and its version. `also`: more for the same transaction.
        """
        hash_ = await self.hashed(password) if password is not None else None
        now_ms = self._now_ms()

        def work(tx: WriteTransaction) -> None:
            store.insert(
                tx, user_id, password=hash_, now_ms=now_ms, is_guest=guest, is_admin=admin, user_type=user_type
            )
            store.accept_terms(tx, user_id, terms, now_ms)
            for created in self.hooks.created:
                created(tx, NewAccount(user_id, guest, now_ms, display_name))
            if session is not None:
                self.sessions.open(tx, session, display_name=device_name)
            if also is not None:
                also(tx)

        try:
            await self._database.write(work)
        except UniqueViolation:
            raise _taken() from None

    async def promote_guest(
        self,
        user_id: str,
        password: str | None,
        *,
        session: Session | None,
        also: Callable[[WriteTransaction], None] | None = None,
    ) -> None:
        """Makes a guest's account a full one; the guest's sessions end. Raises `Forbidden` if it is no guest's."""
        hash_ = await self.hashed(password) if password is not None else None

        def work(tx: WriteTransaction) -> None:
            if not store.promote_guest(tx, user_id, hash_):
                raise Forbidden("This is not a guest's account.")
            self._devices.remove_all(tx, user_id)
            if session is not None:
                self.sessions.open(tx, session, display_name=None)
            if also is not None:
                also(tx)

        await self._database.write(work)

    # -- passwords

    async def hashed(self, password: str) -> str:
        """Raises `M_WEAK_PASSWORD`."""
        self.passwords.judge(password)
        return await self.passwords.hash(password)

    async def set_password(
        self, user_id: str, password: str, *, end_sessions: bool = True, but_device: str | None = None
    ) -> None:
        """Sets a password; ends the account's sessions, except perhaps on one device.

        Raises `NotFound` for an account that isn't, or has ended; `M_WEAK_PASSWORD`.
        """
        hash_ = await self.hashed(password)

        def work(tx: WriteTransaction) -> None:
            if not store.set_password(tx, user_id, hash_):
                raise NotFound("There is no such user.")
            token_store.drop_login_tokens(tx, user_id)
            if end_sessions:
                self._devices.remove_all(tx, user_id, but=but_device)
            for changed in self.hooks.password_changed:
                changed(tx, user_id)

        await self._database.write(work)

    async def reset_password(self, user_id: str, password: str) -> None:
        """For administrators: sets a password and ends every session. Raises as `set_password`."""
        await self.set_password(user_id, password)

    async def by_password(self, name: str, password: str) -> Account:
        """Who a user id or localpart and a password belong to.

        Raises `Forbidden` if they don't, `M_USER_DEACTIVATED`, `M_USER_LOCKED`, and `LimitExceeded` after many tries.
        """
        candidates = self._candidates(name)
        return await self._verified(candidates, candidates[-1], password)

    async def by_identifier(
        self, identifier: UserIdentifier | ThirdPartyIdentifier | PhoneIdentifier, password: str
    ) -> Account:
        """As `by_password`, for whatever somebody gives as their name."""
        if isinstance(identifier, UserIdentifier):
            return await self.by_password(identifier.user, password)
        owner = await self.hooks.owner_of(identifier)
        # An address that nobody has is limited, and takes as long, as one that somebody has.
        return await self._verified([owner] if owner else [], owner or " ".join(identifier), password)

    async def _verified(self, candidates: Sequence[str], limited_as: str, password: str) -> Account:
        self._count_try(limited_as)
        account = await self._database.get(store.find_any, candidates)
        if account is not None and account.is_deactivated:
            raise deactivated()
        hash_ = account.password if account is not None else None
        if not await self.passwords.verify(hash_, password) or account is None or hash_ is None:
            raise Forbidden("The user name or the password is wrong.")
        if account.locked:
            raise locked()
        return account

    async def refresh_hash(self, account: Account, password: str) -> None:
        """Hashes a password anew that was verified just now, if the cost of hashing has been changed."""
        if account.password is not None and self.passwords.is_outdated(account.password):
            new = await self.passwords.hash(password)
            await self._database.write(store.replace_password_hash, account.user_id, account.password, new)

    def user_id_of(self, name: str) -> str:
        """The id that a name at registration means: a localpart of the first domain, or a whole id of any of ours.

        Upper case is folded.
        """
        if name.startswith("@") and ":" in name:
            localpart, _, domain = name[1:].partition(":")
            return f"@{_folded(localpart)}:{domain}"
        return f"@{_folded(name)}:{self.default_domain}"

    @property
    def default_domain(self) -> str:
        """The domain of a user who names none."""
        return next(iter(self._engine.server_names))

    def _candidates(self, name: str) -> list[str]:
        """Whom a name at login may mean: as it is written, then with upper case folded."""
        exact = name if name.startswith("@") and ":" in name else f"@{name}:{self.default_domain}"
        return list(dict.fromkeys([exact, self.user_id_of(name)]))

    def _count_try(self, user_id: str) -> None:
        wait = self._limiter.allow(_LIMIT, user_id, self._now_ms() / 1000)
        if wait is not None:
            raise LimitExceeded(wait, "Too many tries; wait and try again.")

    async def _check_stage(self, attempt: Attempt) -> str:
        """The stage `m.login.password`: finds out who it is."""
        given = protocol_ui_auth.read_password(attempt.auth)
        whose = attempt.session.operation.user_id
        if whose is not None and whose not in await self._meant(given.identifier):
            raise StageFailed("That is another user.")
        try:
            return (await self.by_identifier(given.identifier, given.password)).user_id
        except Forbidden as error:
            raise StageFailed(error.message) from None

    async def _meant(self, identifier: UserIdentifier | ThirdPartyIdentifier | PhoneIdentifier) -> list[str]:
        """Whom somebody may mean by what they give as their name."""
        if isinstance(identifier, UserIdentifier):
            return self._candidates(identifier.user)
        owner = await self.hooks.owner_of(identifier)
        return [owner] if owner else []

    # -- moderation

    async def set_suspended(self, user_id: str, suspended: bool) -> None:
        """https://spec.matrix.org/v1.19/client-server-api/#account-suspension"""
        await self._database.write(store.set_suspended, user_id, suspended)

    async def set_locked(self, user_id: str, locked: bool) -> None:
        """https://spec.matrix.org/v1.19/client-server-api/#account-locking"""
        await self._database.write(store.set_locked, user_id, locked)

    async def set_admin(self, user_id: str, is_admin: bool) -> None:
        """Makes a user an administrator; one who is no longer one has what they made to act as others end, too."""

        def work(tx: WriteTransaction) -> None:
            store.set_admin(tx, user_id, is_admin)
            if not is_admin:
                token_store.drop_made_by(tx, user_id)

        await self._database.write(work)

    async def set_user_type(self, user_id: str, user_type: str | None) -> None:
        """Says what kind of account it is."""
        await self._database.write(store.set_user_type, user_id, user_type)

    # -- the end

    async def deactivate(self, user_id: str, *, erase: bool) -> None:
        """Ends an account: no login, no session, and its name is never given to anybody else."""

        def work(tx: WriteTransaction) -> None:
            store.deactivate(tx, user_id, erase=erase, now_ms=self._now_ms())
            token_store.drop_login_tokens(tx, user_id)
            token_store.drop_made_by(tx, user_id)
            self._devices.remove_all(tx, user_id)
            for ended in self.hooks.deactivated:
                ended(tx, Deactivation(user_id, erase))

        await self._database.write(work)

    async def reactivate(self, user_id: str, password: str | None) -> None:
        """Has an account that has ended begin again, under its name and with nothing else of what it was.

        Raises `NotFound` for one that goes on, or never was; `M_WEAK_PASSWORD`.
        """
        hash_ = await self.hashed(password) if password is not None else None

        def work(tx: WriteTransaction) -> None:
            if not store.reactivate(tx, user_id, hash_):
                raise NotFound("There is no such account that has ended.")
            for begun in self.hooks.reactivated:
                begun(tx, user_id)

        await self._database.write(work)

    async def _after(self, entries: Sequence[Entry]) -> None:
        for entry in entries:
            if entry.key == store.DEACTIVATED and entry.user_id is not None:
                for follow_up in self.hooks.after_deactivation:
                    await follow_up(entry.user_id)


def _tries(settings: Settings) -> Limiter:
    limit = settings.rate_limits.table()[_LIMIT]
    return Limiter({_LIMIT: Rate(limit.per_second, limit.burst)}, enabled=settings.rate_limits.enabled)


def _folded(localpart: str) -> str:
    """ASCII only: what looks like upper case elsewhere is no legal name in any case."""
    return "".join(char.lower() if char.isascii() else char for char in localpart)


def _taken() -> UserInUse:
    return UserInUse("This user name is taken.")
