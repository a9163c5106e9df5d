"""Validation sessions: whether somebody who asks has the address that they name.

A token goes to the address; whoever brings it back has it. A session belongs to a client's secret, an address and a
purpose. It is written down with hashes only, so any process goes on with it.

https://spec.matrix.org/v1.19/client-server-api/#adding-account-administrative-contact-information
https://spec.matrix.org/v1.19/identity-service-api/#establishing-associations
"""

from __future__ import annotations

import re
from enum import Enum
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from weft.http.limits import Limiter, Rate
from weft.modules.module import Task
from weft.modules.third_party_ids import session_store
from weft.modules.third_party_ids.messages import Messages
from weft.modules.third_party_ids.session_store import SessionRow, hash_of
from weft.protocol.errors import InvalidParam, LimitExceeded, MatrixError
from weft.protocol.identifiers import is_valid_client_secret
from weft.protocol.third_party_ids import MSISDN, ThirdPartyId
from weft.rooms.engine import Engine
from weft.settings import Settings
from weft.storage.database import Transaction, WriteTransaction

#: How long a validated session can be used.
VALIDATED_MS: Final = 24 * 60 * 60 * 1000
#: Wrong tokens that a session bears. With six digits, one in 200,000 guessers is lucky.
_TRIES: Final = 5
_LIMIT: Final = "validation"


#: What is said of a next_link in headers holds nothing that could end its part of them.
_HOST: Final = re.compile(r"[A-Za-z0-9.-]+(:[0-9]{1,5})?|\[[0-9A-Fa-f:.]+\](:[0-9]{1,5})?")
_URL: Final = re.compile(r"[!#-\[\]^_`a-~]+")


class Outcome(Enum):
    """What became of a token."""

    VALIDATED = "validated"
    WRONG = "wrong"
    GONE = "no such session, or not any more"


class Begun(NamedTuple):
    """A session, and the token that is to be sent; None where this attempt's was sent already."""

    sid: str
    token: str | None


class Validation:
    def __init__(self, engine: Engine, settings: Settings, messages: Messages) -> None:
        self._database = engine.database
        self._outside = engine.outside
        self._messages = messages
        self._lifetime_ms = settings.email.link_lifetime
        limit = settings.rate_limits.table()[_LIMIT]
        self._limiter = Limiter({_LIMIT: Rate(limit.per_second, limit.burst)}, enabled=settings.rate_limits.enabled)
        self.tasks = [Task(name="expired validations of addresses", every_seconds=600, run=self.prune)]

    async def request(
        self,
        purpose: str,
        third_party_id: ThirdPartyId,
        *,
        client_secret: str,
        send_attempt: int,
        next_link: str | None,
        instead: str | None = None,
    ) -> str:
        """Sends a token to an address, unless this attempt's was sent already; returns the session's id.

        `instead` is the kind of message to send where there is nothing to confirm: it looks the same to who asked.
        Raises `InvalidParam`, `LimitExceeded` after many for one address, and what `Messages.send` raises.
        """
        check_client_secret(client_secret)
        if next_link is not None:
            _check_link(next_link)
        begun = await self._database.write(
            self._begin, purpose, third_party_id, hash_of(client_secret), send_attempt, next_link
        )
        if begun.token is None:
            return begun.sid
        try:
            self._count(third_party_id)
            if instead is not None:
                await self._messages.send(third_party_id, instead)
            else:
                await self._database.write(session_store.add_token, begun.sid, begun.token)
                await self._messages.send(third_party_id, purpose, sid=begun.sid, token=begun.token)
        except MatrixError:
            await self._database.write(session_store.not_sent, begun.sid, send_attempt)
            raise
        return begun.sid

    def _begin(
        self,
        tx: WriteTransaction,
        purpose: str,
        third_party_id: ThirdPartyId,
        secret: bytes,
        send_attempt: int,
        next_link: str | None,
    ) -> Begun:
        now_ms = self._outside.now_ms()
        expires_ms = now_ms + self._lifetime_ms
        found = session_store.find_open(tx, purpose, third_party_id, secret, now_ms)
        if found is not None and found.send_attempt >= send_attempt:
            return Begun(found.sid, None)
        if found is not None:
            session_store.attempted(tx, found.sid, send_attempt, next_link, expires_ms)
            return Begun(found.sid, self._token(third_party_id))
        row = SessionRow(
            sid=self._outside.token(),
            purpose=purpose,
            medium=third_party_id.medium,
            address=third_party_id.address,
            secret=secret,
            send_attempt=send_attempt,
            next_link=next_link,
            tries=0,
            validated_ms=None,
            used_by=None,
            expires_ms=expires_ms,
        )
        session_store.insert(tx, row)
        return Begun(row.sid, self._token(third_party_id))

    def _token(self, third_party_id: ThirdPartyId) -> str:
        """For a link; short enough to type where it is a code."""
        if third_party_id.medium == MSISDN:
            return f"{int.from_bytes(self._outside.random_bytes(8)) % 1_000_000:06}"
        return self._outside.token()

    def _count(self, third_party_id: ThirdPartyId) -> None:
        """Nobody's mailbox is flooded, however many addresses the requests come from."""
        wait = self._limiter.allow(_LIMIT, " ".join(third_party_id), self._outside.now_ms() / 1000)
        if wait is not None:
            raise LimitExceeded(wait, "Too many messages to this address; wait and try again.")

    # -- the token comes back

    async def look(self, sid: str, token: str) -> SessionRow | None:
        """The session that a link is of; None for a link that is no good (any more)."""

        def work(tx: Transaction) -> SessionRow | None:
            row = session_store.find(tx, sid, self._outside.now_ms())
            good = row is not None and row.tries < _TRIES and session_store.has_token(tx, sid, token)
            return row if good else None

        return await self._database.get(work)

    async def submit(self, sid: str, token: str, client_secret: str | None = None) -> Outcome:
        """Validates the session if the token is one that was sent. `client_secret` None: the link itself is secret."""
        secret = None if client_secret is None else hash_of(client_secret)

        def work(tx: WriteTransaction) -> Outcome:
            now_ms = self._outside.now_ms()
            row = session_store.find(tx, sid, now_ms)
            if row is None or row.tries >= _TRIES or secret not in (None, row.secret):
                return Outcome.GONE
            if not session_store.has_token(tx, sid, token):
                session_store.failed(tx, sid)
                return Outcome.WRONG
            session_store.validated(tx, sid, now_ms, now_ms + VALIDATED_MS)
            return Outcome.VALIDATED

        return await self._database.write(work)

    # -- what it is good for

    async def validated(self, sid: str, client_secret: str) -> SessionRow | None:
        """A session of the client's whose address is proven; None where it is not, or is not the client's."""
        row = await self._database.get(session_store.find, sid, self._outside.now_ms())
        if row is None or row.validated_ms is None or row.secret != hash_of(client_secret):
            return None
        return row

    async def use(self, sid: str, by: str) -> bool:
        """Uses a validated session up; the same user of it may come again. False if another has used it."""
        return await self._database.write(session_store.use, sid, hash_of(by))

    async def prune(self) -> None:
        """Removes what has expired."""
        await self._database.write(session_store.prune, self._outside.now_ms())


def check_client_secret(client_secret: str) -> None:
    """Raises `InvalidParam`."""
    if not is_valid_client_secret(client_secret):
        raise InvalidParam("A client secret is made of 0-9, a-z, A-Z and the characters . = _ -, at most 255.")


def _check_link(link: str) -> None:
    """Raises `InvalidParam` for what a browser must not be sent to."""
    try:
        parts = urlsplit(link)
        good = parts.scheme in ("http", "https") and _HOST.fullmatch(parts.netloc) is not None
    except ValueError:
        good = False
    if not good or not _URL.fullmatch(link):
        raise InvalidParam("next_link must begin with https:// or http://.")
