"""The newest transaction of each application service."""

from __future__ import annotations

from typing import NamedTuple

from weft.storage.database import Transaction, WriteTransaction
from weft.storage.positions import Vector


class Sent(NamedTuple):
    """`upto`: the service is told of all of that with this transaction. `body`: None once it has taken it."""

    txn_id: str
    upto: Vector
    body: bytes | None


def find(tx: Transaction, service_id: str) -> Sent | None:
    row = tx.one(
        "SELECT txn_id, upto, body FROM application_service_transactions WHERE service_id = :service_id",
        service_id=service_id,
    )
    return Sent(row[0], Vector.parse(row[1]), bytes(row[2]) if row[2] is not None else None) if row else None


def put(tx: WriteTransaction, service_id: str, sent: Sent) -> None:
    tx.run(
        """INSERT INTO application_service_transactions (service_id, txn_id, upto, body)
           VALUES (:service_id, :txn_id, :upto, :body)
           ON CONFLICT (service_id) DO UPDATE SET
               txn_id = excluded.txn_id, upto = excluded.upto, body = excluded.body""",
        service_id=service_id,
        txn_id=sent.txn_id,
        upto=sent.upto.spell(),
        body=sent.body,
    )


def taken(tx: WriteTransaction, service_id: str) -> None:
    """Says that the service has taken its newest transaction."""
    tx.run(
        "UPDATE application_service_transactions SET body = NULL WHERE service_id = :service_id",
        service_id=service_id,
    )
