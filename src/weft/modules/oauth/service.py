"""The authorisation server: clients, and the grants by which they get tokens.

The tokens are the ordinary ones of a device (`weft.modules.accounts`), bound to the client. A code is used up by the
first try to redeem it, whatever comes of that; a second one ends the session that began by the first.

https://spec.matrix.org/v1.19/client-server-api/#grant-types
https://www.rfc-editor.org/rfc/rfc9700
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final, NamedTuple

import msgspec

from weft.modules.accounts import AccountsService
from weft.modules.accounts.sessions import Session
from weft.modules.accounts.token_store import clients_in_use, grant_of, hash_of
from weft.modules.module import Task
from weft.modules.oauth import store
from weft.modules.oauth.id_tokens import IdTokens
from weft.modules.oauth.store import CodeRow
from weft.protocol.errors import LimitExceeded, MatrixError
from weft.protocol.oauth import AuthorizationRequest, ClientMetadata, OAuthError, pkce, scopes
from weft.protocol.oauth.errors import invalid_grant, invalid_request
from weft.protocol.oauth.scopes import Scope
from weft.protocol.signatures import encode_base64_url_safe
from weft.rooms.engine import Engine
from weft.storage.database import WriteTransaction

#: What RFC 6749 allows at most is ten minutes; a client has nothing to wait for.
CODE_MS: Final = 60_000
#: How long a code is remembered that has expired, so that a second try is seen.
_REMEMBERED_MS: Final = 60 * 60 * 1000
_CLIENT_MS: Final = 30 * 24 * 60 * 60 * 1000
_AT_ONCE: Final = 500
_CODE_LENGTH: Final = 40


class Granted(NamedTuple):
    """`scope` None: what was granted before."""

    session: Session
    scope: str | None = None
    id_token: str | None = None


class OAuthService:
    def __init__(self, engine: Engine, accounts: AccountsService, id_tokens: IdTokens) -> None:
        self._database = engine.database
        self._outside = engine.outside
        self._accounts = accounts
        self._sessions = accounts.sessions
        self._id_tokens = id_tokens
        self.tasks = [
            Task(name="expired authorisation codes", every_seconds=600, run=self.prune),
            Task(name="OAuth clients that nobody uses", every_seconds=3600, run=self.prune_clients),
        ]

    # -- clients

    async def register(self, metadata: ClientMetadata) -> str:
        """The id of a client that says this of itself; the same for all copies of it."""
        encoded = msgspec.json.encode(metadata)
        client_id = encode_base64_url_safe(hashlib.sha256(encoded).digest()[:18])
        await self._database.write(store.put_client, client_id, encoded, self._outside.now_ms())
        return client_id

    async def client(self, client_id: str) -> ClientMetadata | None:
        encoded = await self._database.get(store.client, client_id)
        return msgspec.json.decode(encoded, type=ClientMetadata) if encoded is not None else None

    async def known_client(self, client_id: str | None) -> tuple[str, ClientMetadata]:
        """A client by the id in its request. Raises `OAuthError` (`invalid_client`) for one that is not registered."""
        client = await self.client(client_id) if client_id is not None else None
        if client_id is None or client is None:
            raise OAuthError("invalid_client", "The client is not registered, or not any more.", status=401)
        return client_id, client

    # -- codes

    async def give_code(self, request: AuthorizationRequest, user_id: str) -> str:
        """A code for the client of a request that the user has consented to."""
        code = self._outside.token(_CODE_LENGTH)
        now_ms = self._outside.now_ms()
        row = CodeRow(
            request.client_id,
            user_id,
            request.answering.redirect_uri,
            request.challenge,
            request.scope.granted,
            request.nonce,
            now_ms + CODE_MS,
        )

        def work(tx: WriteTransaction) -> None:
            store.insert_code(tx, hash_of(code), row)
            store.touch_clients(tx, [request.client_id], now_ms)

        await self._database.write(work)
        return code

    async def redeem(self, form: Mapping[str, str]) -> Granted:
        """The session for a code. Raises `OAuthError`."""
        client_id, client = await self.known_client(form.get("client_id"))
        code = needed(form, "code")
        given = needed(form, "redirect_uri"), needed(form, "code_verifier")
        planned = self._sessions.plan("", client_id=client_id)

        def work(tx: WriteTransaction) -> tuple[Session, CodeRow] | None:
            row = store.hold_code(tx, hash_of(code))
            if row is None:
                return None
            if row.used:
                if row.grant is not None:
                    self._sessions.end_grant(tx, row.grant)
                return None
            if not self._is_good(row, client_id, *given):
                store.use_code(tx, hash_of(code), None)
                return None
            session = planned._replace(user_id=row.user_id, device_id=scopes.read(row.scope).device_id)
            store.use_code(tx, hash_of(code), hash_of(grant_of(session.refresh_token or "") or ""))
            self._sessions.admit(tx, session, display_name=client.name)
            return session, row

        with as_grant_errors():
            done = await self._database.write(work)
        if done is None:
            raise invalid_grant("The code is unknown, was used or has expired, or is not for this client.")
        return self.granted(done[0], scopes.read(done[1].scope), done[1].nonce)

    def _is_good(self, row: CodeRow, client_id: str, redirect_uri: str, verifier: str) -> bool:
        return (
            row.client_id == client_id
            and row.redirect_uri == redirect_uri
            and row.expires_ms > self._outside.now_ms()
            and pkce.is_proof(verifier, row.challenge)
        )

    def granted(self, session: Session, scope: Scope, nonce: str | None) -> Granted:
        """What a client is told when its session begins."""
        id_token = None
        if scope.wants_id_token:
            client_id = session.client_id or ""
            id_token = self._id_tokens.make(session.user_id, client_id, nonce, self._outside.now_ms())
        return Granted(session, scope.granted, id_token)

    # -- tokens

    async def refresh(self, form: Mapping[str, str]) -> Granted:
        """The next tokens of a session. Raises `OAuthError`."""
        client_id = needed(form, "client_id")
        with as_grant_errors():
            return Granted(await self._sessions.refresh(needed(form, "refresh_token"), client_id))

    async def revoke(self, form: Mapping[str, str]) -> None:
        """Ends the session of a token, whoever shows it: who has it could do worse. Raises `OAuthError`."""
        await self._sessions.end_by_token(needed(form, "token"))

    # -- keeping

    async def prune(self) -> None:
        """Removes codes that nobody can redeem any more."""
        await self._database.write(store.prune_codes, self._outside.now_ms() - _REMEMBERED_MS)

    async def prune_clients(self) -> None:
        """Removes clients that were not used for a month and have no session."""
        await self._database.write(self._prune_clients, self._outside.now_ms())

    def _prune_clients(self, tx: WriteTransaction, now_ms: int) -> None:
        unused = store.unused_clients(tx, now_ms - _CLIENT_MS, _AT_ONCE)
        if unused:
            kept = clients_in_use(tx, unused)
            store.drop_clients(tx, [client_id for client_id in unused if client_id not in kept])
            store.touch_clients(tx, kept, now_ms)


@contextmanager
def as_grant_errors() -> Iterator[None]:
    """Tells a client in OAuth's form why an account gets no tokens: it is locked, or has ended."""
    try:
        yield
    except (OAuthError, LimitExceeded):
        raise
    except MatrixError as error:
        raise invalid_grant(error.message) from None


def needed(form: Mapping[str, str], name: str) -> str:
    """Raises `OAuthError` if a parameter is missing."""
    value = form.get(name)
    if not value:
        raise invalid_request(f"`{name}` is missing.")
    return value
