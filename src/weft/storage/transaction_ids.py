"""Transaction ids of clients: a repeated request gets the first one's answer.

https://spec.matrix.org/v1.19/client-server-api/#transaction-identifiers
"""

from __future__ import annotations

from typing import NamedTuple

from weft.storage.database import Transaction, WriteTransaction


class TransactionKey(NamedTuple):
    """A transaction id in its scope: one device and one endpoint (its path without the id)."""

    user_id: str
    device_id: str
    endpoint: str
    txn_id: str


class Answered(NamedTuple):
    """What the first request led to."""

    event_id: str | None
    response: bytes | None


def find(tx: Transaction, key: TransactionKey) -> Answered | None:
    """The first request's outcome, if there was one."""
    row = tx.one(
        """SELECT event_id, response FROM transaction_ids
           WHERE user_id = :user_id AND device_id = :device_id AND endpoint = :endpoint AND txn_id = :txn_id""",
        **key._asdict(),
    )
    return Answered(row[0], None if row[1] is None else bytes(row[1])) if row else None


def insert(
    tx: WriteTransaction,
    key: TransactionKey,
    *,
    now_ms: int,
    event_id: str | None = None,
    response: bytes | None = None,
) -> None:
    """Remembers a request's outcome; raises `UniqueViolation` where there is one already."""
    tx.put(
        """INSERT INTO transaction_ids (user_id, device_id, endpoint, txn_id, event_id, response, created_ms)
           VALUES (:user_id, :device_id, :endpoint, :txn_id, :event_id, :response, :now_ms)""",
        **key._asdict(),
        event_id=event_id,
        response=response,
        now_ms=now_ms,
    )


def of_events(tx: Transaction, event_ids: list[str]) -> dict[str, dict[str, str]]:
    """The transaction ids under which some events were sent, by the device."""
    found: dict[str, dict[str, str]] = {}
    for event_id, device_id, txn_id in tx.all(
        "SELECT event_id, device_id, txn_id FROM transaction_ids WHERE event_id IN :event_ids", event_ids=event_ids
    ):
        found.setdefault(event_id, {})[device_id] = txn_id
    return found


def prune(tx: WriteTransaction, before_ms: int) -> int:
    """Forgets what is older; returns how many."""
    return tx.run("DELETE FROM transaction_ids WHERE created_ms < :before", before=before_ms)


def prune_endpoint(tx: WriteTransaction, endpoint: str, before_ms: int) -> int:
    """As `prune`, of one endpoint only."""
    return tx.run(
        "DELETE FROM transaction_ids WHERE created_ms < :before AND endpoint = :endpoint",
        before=before_ms,
        endpoint=endpoint,
    )
