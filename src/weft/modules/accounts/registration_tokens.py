"""Registration tokens that administrators make on the running server.

Who shows a token holds one use of it until they have registered, or their session of authentication is over. The use is
taken in the transaction in which the account is made, so that of two who come for the last one only one gets in.

https://spec.matrix.org/v1.19/client-server-api/#token-authenticated-registration
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from msgspec import UNSET, UnsetType

from weft.modules.module import Task
from weft.modules.ui_auth.service import SESSION_MS
from weft.protocol.errors import Forbidden, InvalidParam, NotFound
from weft.rooms.engine import Engine
from weft.storage.database import Database, Transaction, UniqueViolation, WriteTransaction

#: https://spec.matrix.org/v1.19/appendices/#opaque-identifiers
_TOKEN: Final = re.compile(r"[A-Za-z0-9._~-]{1,64}")


class Token(NamedTuple):
    """`uses_allowed` and `expires_ms` (milliseconds since 1970): None for no limit."""

    token: str
    uses_allowed: int | None
    pending: int
    completed: int
    expires_ms: int | None

    def is_valid(self, now_ms: int) -> bool:
        """Whether one more may register with it."""
        is_left = self.uses_allowed is None or self.completed + self.pending < self.uses_allowed
        return is_left and (self.expires_ms is None or self.expires_ms > now_ms)


class RegistrationTokens:
    def __init__(self, engine: Engine) -> None:
        self._database: Database = engine.database
        self._outside = engine.outside
        self.tasks = [Task(name="registrations that were given up", every_seconds=600, run=self.prune)]

    # -- for administrators

    async def all(self, valid: bool | None = None) -> list[Token]:
        """All tokens by name, or those that are valid or not."""
        now_ms = self._outside.now_ms()
        found = await self._database.read(_all, now_ms)
        return [one for one in found if valid is None or one.is_valid(now_ms) == valid]

    async def one(self, token: str) -> Token:
        """Raises `NotFound`."""
        found = await self._database.get(_one, token, self._outside.now_ms())
        if found is None:
            raise _unknown(token)
        return found

    async def make(self, token: str | None, *, length: int, uses_allowed: int | None, expires_ms: int | None) -> Token:
        """Makes a token of that name, or of that length. Raises `InvalidParam`."""
        self._check_expiry(expires_ms)
        if token is None:
            token = self._outside.token(length)
        elif not _TOKEN.fullmatch(token):
            raise InvalidParam("A token has up to 64 characters of A-Z, a-z, 0-9, `.`, `_`, `~` and `-`.")
        made = Token(token, uses_allowed, 0, 0, expires_ms)
        try:
            await self._database.write(_insert, made)
        except UniqueViolation:
            raise InvalidParam(f"Token already exists: {token}") from None
        return made

    async def change(
        self, token: str, *, uses_allowed: int | UnsetType | None, expires_ms: int | UnsetType | None
    ) -> Token:
        """Changes what is given. Raises `NotFound`, `InvalidParam`."""
        if expires_ms is not UNSET:
            self._check_expiry(expires_ms)
        if not await self._database.write(_update, token, uses_allowed, expires_ms):
            raise _unknown(token)
        return await self.one(token)

    async def delete(self, token: str) -> None:
        """Raises `NotFound`."""
        if not await self._database.write(_delete, token):
            raise _unknown(token)

    def _check_expiry(self, expires_ms: int | None) -> None:
        if expires_ms is not None and expires_ms < self._outside.now_ms():
            raise InvalidParam("expiry_time must not be in the past.")

    # -- for who registers

    async def is_valid(self, token: str) -> bool:
        """Whether somebody may register with it now."""
        now_ms = self._outside.now_ms()
        found = await self._database.get(_one, token, now_ms)
        return found is not None and found.is_valid(now_ms)

    async def hold(self, token: str, session: bytes) -> bool:
        """Holds one use of a token for a session; False where there is none left, or no such token."""
        now_ms = self._outside.now_ms()
        return await self._database.write(_hold, token, session, now_ms, now_ms + SESSION_MS)

    async def release(self, session: bytes) -> None:
        """Gives back what a session holds, because nothing came of it."""
        await self._database.write(_release, session)

    def take(self, tx: WriteTransaction, session: bytes) -> None:
        """Uses up what a session holds, in the transaction in which the account is made. Raises `Forbidden`."""
        row = tx.one(
            "DELETE FROM registration_token_uses WHERE session = :session RETURNING token, expires_ms", session=session
        )
        is_there = row is not None and row[1] > self._outside.now_ms()
        if not is_there or row is None or not tx.run(_COMPLETED, token=row[0]):
            raise Forbidden("The registration token is no longer good; begin anew.")

    async def prune(self) -> None:
        """Removes what has expired."""
        await self._database.write(_prune, self._outside.now_ms())


def _unknown(token: str) -> NotFound:
    return NotFound(f"No such registration token: {token}")


_COMPLETED: Final = "UPDATE registration_tokens SET completed = completed + 1 WHERE token = :token"
_SELECT: Final = """
    SELECT t.token, t.uses_allowed,
           (SELECT COUNT(*) FROM registration_token_uses u WHERE u.token = t.token AND u.expires_ms > :now),
           t.completed, t.expires_ms
    FROM registration_tokens t"""


def _all(tx: Transaction, now_ms: int) -> list[Token]:
    return [Token(*row) for row in tx.all(f"{_SELECT} ORDER BY t.token", now=now_ms)]


def _one(tx: Transaction, token: str, now_ms: int) -> Token | None:
    row = tx.one(f"{_SELECT} WHERE t.token = :token", token=token, now=now_ms)
    return Token(*row) if row else None


def _insert(tx: WriteTransaction, token: Token) -> None:
    tx.run(
        """INSERT INTO registration_tokens (token, uses_allowed, completed, expires_ms)
           VALUES (:token, :uses_allowed, 0, :expires_ms)""",
        token=token.token,
        uses_allowed=token.uses_allowed,
        expires_ms=token.expires_ms,
    )


def _update(
    tx: WriteTransaction, token: str, uses_allowed: int | UnsetType | None, expires_ms: int | UnsetType | None
) -> bool:
    given = {"uses_allowed": uses_allowed, "expires_ms": expires_ms}
    changed = {column: value for column, value in given.items() if value is not UNSET}
    if not changed:
        return tx.one("SELECT 1 FROM registration_tokens WHERE token = :token", token=token) is not None
    columns = ", ".join(f"{column} = :{column}" for column in changed)
    return bool(tx.run(f"UPDATE registration_tokens SET {columns} WHERE token = :token", token=token, **changed))


def _delete(tx: WriteTransaction, token: str) -> bool:
    """With it go the uses that are under way."""
    tx.run("DELETE FROM registration_token_uses WHERE token = :token", token=token)
    return bool(tx.run("DELETE FROM registration_tokens WHERE token = :token", token=token))


def _hold(tx: WriteTransaction, token: str, session: bytes, now_ms: int, until_ms: int) -> bool:
    # Whoever else wants a use of it waits until this is decided.
    held = tx.one(f"SELECT 1 FROM registration_tokens WHERE token = :token {tx.dialect.for_update}", token=token)
    _release(tx, session)
    found = _one(tx, token, now_ms) if held is not None else None
    if found is None or not found.is_valid(now_ms):
        return False
    tx.run(
        """INSERT INTO registration_token_uses (session, token, expires_ms)
           VALUES (:session, :token, :expires_ms)""",
        session=session,
        token=token,
        expires_ms=until_ms,
    )
    return True


def _release(tx: WriteTransaction, session: bytes) -> None:
    tx.run("DELETE FROM registration_token_uses WHERE session = :session", session=session)


def _prune(tx: WriteTransaction, now_ms: int) -> None:
    tx.run("DELETE FROM registration_token_uses WHERE expires_ms <= :now", now=now_ms)
