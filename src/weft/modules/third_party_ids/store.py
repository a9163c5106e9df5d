"""The rows of addresses: whose each is, and which identity servers were told.

Addresses come in canonically spelled (`weft.protocol.third_party_ids`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from weft.protocol.errors import MatrixError
from weft.protocol.third_party_ids import ThirdPartyId
from weft.storage.database import Transaction, WriteTransaction


class Owned(NamedTuple):
    """An address of somebody's; times are milliseconds since 1970."""

    medium: str
    address: str
    validated_ms: int
    added_ms: int


def of_user(tx: Transaction, user_id: str) -> list[Owned]:
    """Every address of an account, the oldest first."""
    rows = tx.all(
        """SELECT medium, address, validated_ms, added_ms FROM third_party_ids WHERE user_id = :user_id
           ORDER BY added_ms, medium, address""",
        user_id=user_id,
    )
    return [Owned(*row) for row in rows]


def owner_of(tx: Transaction, medium: str, address: str) -> str | None:
    """Whose an address is."""
    found: str | None = tx.value(
        "SELECT user_id FROM third_party_ids WHERE medium = :medium AND address = :address",
        medium=medium,
        address=address,
    )
    return found


def add(tx: WriteTransaction, user_id: str, owned: ThirdPartyId, *, validated_ms: int, now_ms: int) -> None:
    """Gives an account an address; if it has it already, the address counts as validated anew.

    Raises `M_THREEPID_IN_USE` if it is another account's.
    """
    added = tx.run(
        """INSERT INTO third_party_ids (medium, address, user_id, validated_ms, added_ms)
           VALUES (:medium, :address, :user_id, :validated, :now)
           ON CONFLICT (medium, address) DO UPDATE SET validated_ms = excluded.validated_ms
           WHERE third_party_ids.user_id = excluded.user_id""",
        medium=owned.medium,
        address=owned.address,
        user_id=user_id,
        validated=validated_ms,
        now=now_ms,
    )
    if not added:
        raise in_use()


def remove(tx: WriteTransaction, user_id: str, owned: ThirdPartyId) -> bool:
    """False if it was not the user's."""
    return bool(
        tx.run(
            "DELETE FROM third_party_ids WHERE medium = :medium AND address = :address AND user_id = :user_id",
            medium=owned.medium,
            address=owned.address,
            user_id=user_id,
        )
    )


def set_for(tx: WriteTransaction, user_id: str, ids: Sequence[ThirdPartyId], now_ms: int) -> None:
    """What an administrator says the addresses of an account are: these and no others.

    `ids` are made by `weft.protocol.third_party_ids.canonical(medium, address)`, which refuses what is no address;
    `now_ms` is the time of the change, milliseconds since 1970. Those that the account has keep the time at which they
    were validated; new ones count as validated now. Raises `M_THREEPID_IN_USE` if one is another account's: then
    nothing has changed once the transaction is given up. Whether there is such an account is for the caller to see to.
    """
    wanted = dict.fromkeys(ids)
    there = {ThirdPartyId(owned.medium, owned.address) for owned in of_user(tx, user_id)}
    for gone in there - wanted.keys():
        remove(tx, user_id, gone)
    for new in wanted:
        if new not in there:
            add(tx, user_id, new, validated_ms=now_ms, now_ms=now_ms)


def remove_all(tx: WriteTransaction, user_id: str) -> None:
    tx.run("DELETE FROM third_party_ids WHERE user_id = :user_id", user_id=user_id)


def in_use() -> MatrixError:
    return MatrixError("The address is in use already.", errcode="M_THREEPID_IN_USE")


# -- identity servers


def bound(tx: WriteTransaction, user_id: str, owned: ThirdPartyId, id_server: str) -> None:
    """Notes that an identity server was told whose an address is."""
    tx.run(
        """INSERT INTO third_party_bindings (user_id, medium, address, id_server)
           VALUES (:user_id, :medium, :address, :id_server) ON CONFLICT DO NOTHING""",
        user_id=user_id,
        medium=owned.medium,
        address=owned.address,
        id_server=id_server,
    )


def unbound(tx: WriteTransaction, user_id: str, owned: ThirdPartyId, id_server: str) -> None:
    """Forgets it again."""
    tx.run(
        """DELETE FROM third_party_bindings WHERE user_id = :user_id AND medium = :medium AND address = :address
           AND id_server = :id_server""",
        user_id=user_id,
        medium=owned.medium,
        address=owned.address,
        id_server=id_server,
    )


def bindings(tx: Transaction, user_id: str) -> list[tuple[ThirdPartyId, str]]:
    """Each address of a user that was bound, and the identity server."""
    rows = tx.all(
        """SELECT medium, address, id_server FROM third_party_bindings WHERE user_id = :user_id
           ORDER BY medium, address, id_server""",
        user_id=user_id,
    )
    return [(ThirdPartyId(row[0], row[1]), row[2]) for row in rows]


def servers_of(tx: Transaction, user_id: str, owned: ThirdPartyId) -> list[str]:
    """The identity servers that were told of one address."""
    return [id_server for third_party_id, id_server in bindings(tx, user_id) if third_party_id == owned]
