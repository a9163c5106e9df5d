"""The rows of the keys that sign others, and of the signatures that were uploaded after what they sign."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final, NamedTuple

from weft.storage.database import Transaction, WriteTransaction
from weft.storage.positions import Vector, beyond

MASTER: Final = "master"
SELF_SIGNING: Final = "self_signing"
USER_SIGNING: Final = "user_signing"

#: The kind of log entry: a user has signed another one, whose id is `key`. Nobody else may know.
KIND: Final = "key_signature"


class SigningKey(NamedTuple):
    """A key that signs others; `key` is canonical JSON, `public_key` in base64."""

    user_id: str
    usage: str
    public_key: str
    key: bytes

    @property
    def key_id(self) -> str:
        return f"ed25519:{self.public_key}"


class Signature(NamedTuple):
    """By a user's key (`ed25519:…`), of a device or of a key; `target_key` is the device's id or the public key."""

    target_user_id: str
    target_key: str
    user_id: str
    key_id: str
    signature: str


def of_users(tx: Transaction, users: Collection[str]) -> list[SigningKey]:
    rows = tx.all(
        "SELECT user_id, usage, public_key, key FROM cross_signing_keys WHERE user_id IN :users", users=list(users)
    )
    return [SigningKey(*row) for row in rows]


def of_user(tx: Transaction, user_id: str) -> dict[str, SigningKey]:
    """A user's keys by their usage."""
    return {key.usage: key for key in of_users(tx, [user_id])}


def put(tx: WriteTransaction, key: SigningKey) -> None:
    """Puts a key in the place of the one of the same usage."""
    tx.run(
        """INSERT INTO cross_signing_keys (user_id, usage, public_key, key)
           VALUES (:user_id, :usage, :public_key, :key)
           ON CONFLICT (user_id, usage) DO UPDATE SET public_key = excluded.public_key, key = excluded.key""",
        **key._asdict(),
    )


def drop(tx: WriteTransaction, key: SigningKey) -> None:
    """Removes a key, what it has signed, and what has signed it."""
    tx.run(
        "DELETE FROM cross_signing_keys WHERE user_id = :user_id AND usage = :usage",
        user_id=key.user_id,
        usage=key.usage,
    )
    _drop_signatures(tx, key.user_id, [key.public_key])


def drop_of_devices(tx: WriteTransaction, user_id: str, device_ids: Sequence[str]) -> None:
    """Removes what devices have signed, and what has signed them."""
    _drop_signatures(tx, user_id, device_ids)


def _drop_signatures(tx: WriteTransaction, user_id: str, keys: Sequence[str]) -> None:
    tx.run(
        "DELETE FROM key_signatures WHERE target_user_id = :user_id AND target_key IN :keys",
        user_id=user_id,
        keys=list(keys),
    )
    tx.run(
        "DELETE FROM key_signatures WHERE user_id = :user_id AND key_id IN :key_ids",
        user_id=user_id,
        key_ids=[f"ed25519:{key}" for key in keys],
    )


def put_signature(tx: WriteTransaction, signature: Signature, position: int) -> None:
    tx.run(
        """INSERT INTO key_signatures (target_user_id, target_key, user_id, key_id, signature, position)
           VALUES (:target_user_id, :target_key, :user_id, :key_id, :signature, :position)
           ON CONFLICT (target_user_id, target_key, user_id, key_id)
           DO UPDATE SET signature = excluded.signature, position = excluded.position""",
        **signature._asdict(),
        position=position,
    )


def signatures_of_own(tx: Transaction, users: Collection[str]) -> list[Signature]:
    """What each of some users has signed of their own."""
    return _signatures(
        tx.all(f"{_SELECT} WHERE target_user_id IN :users AND user_id = target_user_id", users=list(users))
    )


def signatures_by(tx: Transaction, user_id: str, users: Collection[str]) -> list[Signature]:
    """What a user has signed of some users."""
    return _signatures(
        tx.all(f"{_SELECT} WHERE target_user_id IN :users AND user_id = :user_id", users=list(users), user_id=user_id)
    )


def signed_since(tx: Transaction, user_id: str, since: Vector) -> set[str]:
    """Whom a user has signed after a vector."""
    rows = tx.all(
        f"SELECT DISTINCT target_user_id FROM key_signatures WHERE user_id = :user_id AND {beyond(since)}",
        user_id=user_id,
    )
    return {target for (target,) in rows}


_SELECT = "SELECT target_user_id, target_key, user_id, key_id, signature FROM key_signatures"


def _signatures(rows: Sequence[tuple[str, str, str, str, str]]) -> list[Signature]:
    return [Signature(*row) for row in rows]
