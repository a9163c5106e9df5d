"""The rows of other servers' signing keys."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from weft.protocol.signatures import VerifyKey
from weft.storage.database import Transaction, WriteTransaction

#: Keys of one server that are kept; of more, those that ended first go.
MAX_KEPT: Final = 300


class KnownKey(NamedTuple):
    """`expired_ms`: when a former key ended. A current one counts until `valid_until_ms`."""

    key: VerifyKey
    valid_until_ms: int
    expired_ms: int | None = None

    def counts_at(self, at_ms: int | None) -> bool:
        """Whether what was signed then is signed well; None: whenever."""
        if at_ms is None:
            return True
        return at_ms <= (self.valid_until_ms if self.expired_ms is None else self.expired_ms)


class Document(NamedTuple):
    """A server's document of keys, as it came."""

    data: bytes
    valid_until_ms: int
    fetched_ms: int


def keys_of(tx: Transaction, server_name: str) -> dict[str, KnownKey]:
    """A server's keys by key id."""
    rows = tx.all(
        "SELECT key_id, data, valid_until_ms, expired_ms FROM server_keys WHERE server_name = :server_name",
        server_name=server_name,
    )
    return {key_id: KnownKey(VerifyKey(key_id, bytes(data)), until, expired) for key_id, data, until, expired in rows}


def document_of(tx: Transaction, server_name: str) -> Document | None:
    row = tx.one(
        "SELECT document, valid_until_ms, fetched_ms FROM server_key_documents WHERE server_name = :server_name",
        server_name=server_name,
    )
    return None if row is None else Document(bytes(row[0]), row[1], row[2])


def put(tx: WriteTransaction, server_name: str, keys: Sequence[KnownKey], document: Document) -> None:
    """Keeps what a document says, and what earlier ones said of other keys."""
    tx.many(
        """INSERT INTO server_keys (server_name, key_id, data, valid_until_ms, expired_ms)
           VALUES (:server_name, :key_id, :data, :valid_until_ms, :expired_ms)
           ON CONFLICT (server_name, key_id) DO UPDATE SET data = excluded.data,
               valid_until_ms = excluded.valid_until_ms, expired_ms = excluded.expired_ms""",
        [
            {
                "server_name": server_name,
                "key_id": known.key.key_id,
                "data": known.key.data,
                "valid_until_ms": known.valid_until_ms,
                "expired_ms": known.expired_ms,
            }
            for known in keys
        ],
    )
    tx.run(
        """DELETE FROM server_keys WHERE server_name = :server_name AND key_id NOT IN (
               SELECT key_id FROM server_keys WHERE server_name = :server_name
               ORDER BY COALESCE(expired_ms, valid_until_ms) DESC, key_id LIMIT :most)""",
        server_name=server_name,
        most=MAX_KEPT,
    )
    tx.run(
        """INSERT INTO server_key_documents (server_name, document, valid_until_ms, fetched_ms)
           VALUES (:server_name, :data, :valid_until_ms, :fetched_ms)
           ON CONFLICT (server_name) DO UPDATE SET document = excluded.document,
               valid_until_ms = excluded.valid_until_ms, fetched_ms = excluded.fetched_ms""",
        server_name=server_name,
        **document._asdict(),
    )
