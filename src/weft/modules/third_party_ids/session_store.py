"""The rows of validation sessions, and of the tokens that were sent.

Of client secrets and tokens only hashes are kept: nobody who reads the tables can use a session.
"""

from __future__ import annotations

import hashlib
from typing import NamedTuple

from weft.protocol.third_party_ids import ThirdPartyId
from weft.storage.database import Row, Transaction, WriteTransaction


class SessionRow(NamedTuple):
    sid: str
    purpose: str
    medium: str
    address: str
    secret: bytes
    send_attempt: int
    next_link: str | None
    tries: int
    validated_ms: int | None
    used_by: bytes | None
    expires_ms: int

    @property
    def third_party_id(self) -> ThirdPartyId:
        return ThirdPartyId(self.medium, self.address)


_COLUMNS = ", ".join(SessionRow._fields)


def hash_of(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def find(tx: Transaction, sid: str, now_ms: int) -> SessionRow | None:
    """A session that has not expired."""
    row = tx.one(
        f"SELECT {_COLUMNS} FROM third_party_sessions WHERE sid = :sid AND expires_ms > :now", sid=sid, now=now_ms
    )
    return _read(row) if row else None


def find_open(
    tx: Transaction, purpose: str, third_party_id: ThirdPartyId, secret: bytes, now_ms: int
) -> SessionRow | None:
    """The session of a client and an address that still waits for its token."""
    row = tx.one(
        f"""SELECT {_COLUMNS} FROM third_party_sessions
            WHERE secret = :secret AND address = :address AND medium = :medium AND purpose = :purpose
            AND validated_ms IS NULL AND expires_ms > :now ORDER BY expires_ms DESC LIMIT 1""",
        secret=secret,
        address=third_party_id.address,
        medium=third_party_id.medium,
        purpose=purpose,
        now=now_ms,
    )
    return _read(row) if row else None


def insert(tx: WriteTransaction, row: SessionRow) -> None:
    tx.run(
        f"""INSERT INTO third_party_sessions ({_COLUMNS}) VALUES (:sid, :purpose, :medium, :address, :secret,
            :send_attempt, :next_link, :tries, :validated_ms, :used_by, :expires_ms)""",
        **row._asdict(),
    )


def attempted(tx: WriteTransaction, sid: str, send_attempt: int, next_link: str | None, expires_ms: int) -> None:
    """Another message was asked for: the time begins anew. The tries do not, or codes could be guessed without end."""
    tx.run(
        """UPDATE third_party_sessions SET send_attempt = :attempt, next_link = :next_link, expires_ms = :expires
           WHERE sid = :sid""",
        sid=sid,
        attempt=send_attempt,
        next_link=next_link,
        expires=expires_ms,
    )


def not_sent(tx: WriteTransaction, sid: str, send_attempt: int) -> None:
    """The message of this attempt was not sent: the same attempt may be made again."""
    tx.run(
        """UPDATE third_party_sessions SET send_attempt = :before WHERE sid = :sid AND send_attempt = :attempt""",
        sid=sid,
        before=send_attempt - 1,
        attempt=send_attempt,
    )


def add_token(tx: WriteTransaction, sid: str, token: str) -> None:
    tx.run("INSERT INTO third_party_tokens (sid, hash) VALUES (:sid, :hash)", sid=sid, hash=hash_of(token))


def has_token(tx: Transaction, sid: str, token: str) -> bool:
    found = tx.value("SELECT 1 FROM third_party_tokens WHERE sid = :sid AND hash = :hash", sid=sid, hash=hash_of(token))
    return found is not None


def failed(tx: WriteTransaction, sid: str) -> None:
    """A wrong token was given."""
    tx.run("UPDATE third_party_sessions SET tries = tries + 1 WHERE sid = :sid", sid=sid)


def validated(tx: WriteTransaction, sid: str, now_ms: int, expires_ms: int) -> None:
    tx.run(
        """UPDATE third_party_sessions SET validated_ms = :now, expires_ms = :expires
           WHERE sid = :sid AND validated_ms IS NULL""",
        sid=sid,
        now=now_ms,
        expires=expires_ms,
    )


def use(tx: WriteTransaction, sid: str, by: bytes) -> bool:
    """Uses a validated session up. False if something else has used it already."""
    return bool(
        tx.run(
            """UPDATE third_party_sessions SET used_by = :by
               WHERE sid = :sid AND validated_ms IS NOT NULL AND (used_by IS NULL OR used_by = :by)""",
            sid=sid,
            by=by,
        )
    )


def prune(tx: WriteTransaction, now_ms: int) -> int:
    """Removes what has expired; returns how many."""
    tx.run(
        """DELETE FROM third_party_tokens WHERE sid IN
           (SELECT sid FROM third_party_sessions WHERE expires_ms <= :now)""",
        now=now_ms,
    )
    return tx.run("DELETE FROM third_party_sessions WHERE expires_ms <= :now", now=now_ms)


def _read(row: Row) -> SessionRow:
    read = SessionRow(*row)
    used_by = bytes(read.used_by) if read.used_by is not None else None
    return read._replace(secret=bytes(read.secret), used_by=used_by)
