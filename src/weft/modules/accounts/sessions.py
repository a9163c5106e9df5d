"""Sessions: a device and the tokens that speak for it.

https://spec.matrix.org/v1.19/client-server-api/#relationship-between-access-tokens-and-devices
https://spec.matrix.org/v1.19/client-server-api/#refreshing-access-tokens
"""

from __future__ import annotations

from typing import Final, NamedTuple

from weft.http.call import Requester
from weft.modules.accounts import store, token_store
from weft.modules.accounts.store import Account
from weft.modules.accounts.token_store import GRANT_LENGTH, REFRESH_PREFIX, NewTokens, grant_of, hash_of
from weft.modules.devices import DevicesService, check_device_id
from weft.modules.devices import store as device_store
from weft.protocol.errors import Forbidden, MatrixError, UnknownToken
from weft.rooms.engine import Engine
from weft.settings import Sessions as SessionSettings
from weft.storage.database import WriteTransaction

#: What the specification recommends.
LOGIN_TOKEN_MS: Final = 120_000
_DEVICE_ID_LENGTH: Final = 10


class Session(NamedTuple):
    """What a client is told of its session. `expires_in_ms`: None for an access token that lasts."""

    user_id: str
    device_id: str
    access_token: str
    refresh_token: str | None
    expires_in_ms: int | None
    #: The OAuth client whose session it is; None for the legacy API.
    client_id: str | None = None


class Sessions:
    def __init__(self, engine: Engine, settings: SessionSettings, devices: DevicesService) -> None:
        self._database = engine.database
        self._outside = engine.outside
        self._lifetime_ms = int(settings.access_token_lifetime)
        self._devices = devices
        devices.on_deleted.append(token_store.drop_of_devices)

    def plan(
        self, user_id: str, *, device_id: str | None = None, refreshable: bool = False, client_id: str | None = None
    ) -> Session:
        """The tokens of a session that `open` will begin; a new device is named where none is given.

        Sessions of OAuth clients (`client_id`) are always refreshable. Raises `InvalidParam` for what can be no device
        id.
        """
        refreshable = refreshable or client_id is not None
        if device_id is not None:
            check_device_id(device_id)
        return Session(
            user_id,
            device_id or self._new_device_id(),
            f"weft_{self._outside.token(40)}",
            self._new_refresh_token(self._outside.token(GRANT_LENGTH) if client_id else None) if refreshable else None,
            self._lifetime_ms if refreshable else None,
            client_id,
        )

    def _new_refresh_token(self, grant: str | None) -> str:
        secret = self._outside.token(40)
        return f"{REFRESH_PREFIX}_{secret}" if grant is None else f"{REFRESH_PREFIX}_{grant}_{secret}"

    def open(self, tx: WriteTransaction, session: Session, *, display_name: str | None) -> None:
        """Begins a planned session. What spoke for the device before is good no longer."""
        now_ms = self._outside.now_ms()
        made = device_store.ensure(
            tx, session.user_id, session.device_id, display_name=display_name or "", now_ms=now_ms
        )
        if not made:
            token_store.drop_of_devices(tx, session.user_id, [session.device_id])
        token_store.issue(tx, session.user_id, session.device_id, _hashes(session, now_ms), now_ms=now_ms)

    def admit(
        self, tx: WriteTransaction, session: Session, *, display_name: str | None, verified: str | None = None
    ) -> None:
        """`begin`, in a transaction."""
        account = _active(tx, session.user_id)
        if verified is not None and account.password != verified:
            raise Forbidden("The password has just been changed.")
        self.open(tx, session, display_name=display_name)

    async def begin(self, session: Session, *, display_name: str | None, verified: str | None = None) -> Session:
        """`open` for an account that has to be active still.

        `verified`: the password's hash by which somebody logs in; if it was changed meanwhile they are refused.
        """

        def work(tx: WriteTransaction) -> None:
            self.admit(tx, session, display_name=display_name, verified=verified)

        await self._database.write(work)
        return session

    async def refresh(self, refresh_token: str, client_id: str | None = None) -> Session:
        """A new pair of tokens for the same device. Raises `UnknownToken`, `M_USER_LOCKED`, `M_USER_DEACTIVATED`.

        `client_id`: the OAuth client that asks; without one only tokens of the legacy API are good. A token of an
        OAuth session that has been replaced for good ends the session: two have it, and one of them is not its owner.
        """
        planned = self.plan("", client_id=client_id, refreshable=True)
        session = await self._database.write(self._refresh, refresh_token, planned)
        if session is None:
            raise UnknownToken("The refresh token is unknown, or has been used.", extra={"soft_logout": False})
        return session

    def _refresh(self, tx: WriteTransaction, refresh_token: str, planned: Session) -> Session | None:
        used = token_store.hold_refresh(tx, hash_of(refresh_token))
        grant = grant_of(refresh_token)
        if used is None:
            if grant is not None and planned.client_id is not None:
                self.end_grant(tx, hash_of(grant))
            return None
        if used.client_id != planned.client_id:
            return None
        _active(tx, used.user_id)
        if used.parent is not None:
            token_store.settle(tx, used.user_id, used.refresh_id, used.parent)
        now_ms = self._outside.now_ms()
        new = planned._replace(
            user_id=used.user_id, device_id=used.device_id, refresh_token=self._new_refresh_token(grant)
        )
        token_store.issue(tx, new.user_id, new.device_id, _hashes(new, now_ms), now_ms=now_ms, parent=used.refresh_id)
        token_store.drop_unused(tx, used.refresh_id)
        return new

    async def end(self, requester: Requester) -> None:
        """Logs a device out: it and all its tokens go."""
        if requester.device_id is not None:
            await self._devices.delete(requester.user_id, [requester.device_id])
        elif requester.token_id is not None:
            await self._database.write(token_store.drop_one, requester.token_id)

    async def end_by_token(self, token: str) -> None:
        """Logs the device out that an access or refresh token speaks for, whatever it is still good for."""

        def work(tx: WriteTransaction) -> None:
            found = token_store.device_of(tx, hash_of(token))
            if found is not None:
                self._devices.remove(tx, found[0], [found[1]])

        await self._database.write(work)

    def end_grant(self, tx: WriteTransaction, grant: bytes) -> None:
        """Logs the device of an OAuth session out, by the hash of its grant; nothing happens if it has ended."""
        found = token_store.device_of_grant(tx, grant)
        if found is not None:
            self._devices.remove(tx, found[0], [found[1]])

    async def end_all(self, user_id: str) -> None:
        """Logs all of a user's devices out, and ends what the user made to act as others."""

        def work(tx: WriteTransaction) -> None:
            self._devices.remove_all(tx, user_id)
            token_store.drop_made_by(tx, user_id)

        await self._database.write(work)

    async def act_as(self, user_id: str, administrator: str, expires_ms: int | None) -> str:
        """A token by which an administrator acts as a user: on no device, so that the user's list shows nothing of it.

        It is good until a time (milliseconds since 1970; None: for ever), until it is logged out, or until the
        administrator logs out everywhere or is one no longer. Raises what forbids that the user has a session.
        """
        token = f"weft_{self._outside.token(40)}"

        def work(tx: WriteTransaction) -> None:
            _active(tx, user_id)
            token_store.issue_for_administrator(
                tx,
                user_id,
                hash_of(token),
                made_by=administrator,
                now_ms=self._outside.now_ms(),
                expires_ms=expires_ms,
            )

        await self._database.write(work)
        return token

    async def login_token(self, user_id: str) -> str:
        """A token that logs one more device in, once, within `LOGIN_TOKEN_MS`."""
        token = f"wefl_{self._outside.token(40)}"
        expires_ms = self._outside.now_ms() + LOGIN_TOKEN_MS
        await self._database.write(token_store.insert_login_token, hash_of(token), user_id, expires_ms)
        return token

    async def take_login_token(self, token: str) -> str:
        """Whose a login token is; it is used up by that. Raises `Forbidden`."""
        now_ms = self._outside.now_ms()
        user_id = await self._database.write(token_store.take_login_token, hash_of(token), now_ms)
        if user_id is None:
            raise Forbidden("The login token is unknown, was used, or has expired.")
        return user_id

    async def prune(self) -> None:
        """Removes what has expired."""
        await self._database.write(token_store.prune_login_tokens, self._outside.now_ms())
        await self._database.write(token_store.prune_made, self._outside.now_ms())

    def _new_device_id(self) -> str:
        return "".join(chr(ord("A") + byte % 26) for byte in self._outside.random_bytes(_DEVICE_ID_LENGTH))


def _hashes(session: Session, now_ms: int) -> NewTokens:
    grant = grant_of(session.refresh_token) if session.refresh_token is not None else None
    return NewTokens(
        hash_of(session.access_token),
        hash_of(session.refresh_token) if session.refresh_token is not None else None,
        now_ms + session.expires_in_ms if session.expires_in_ms is not None else None,
        session.client_id,
        hash_of(grant) if grant is not None else None,
    )


def _active(tx: WriteTransaction, user_id: str) -> Account:
    """In the transaction that begins a session, so that none begins while an account ends."""
    account = store.find(tx, user_id)
    if account is None or account.is_deactivated:
        raise deactivated()
    if account.locked:
        raise locked()
    return account


def deactivated() -> MatrixError:
    return MatrixError("This account has been deactivated.", errcode="M_USER_DEACTIVATED", status=403)


def locked() -> MatrixError:
    return MatrixError(
        "This account has been locked.", errcode="M_USER_LOCKED", status=401, extra={"soft_logout": True}
    )
