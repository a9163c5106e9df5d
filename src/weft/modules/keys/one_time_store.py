"""The rows of one-time and fallback keys."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from weft.modules.keys.formats import NamedKey
from weft.protocol.errors import InvalidParam, TooLarge
from weft.storage.database import Transaction, WriteTransaction

#: The kind of log entry: the keys that a device has here have become more or fewer. `key` is the device's id.
KIND: Final = "one_time_keys"

#: Keys of one device that nobody has been given yet.
MOST_LEFT: Final = 1_000
#: How many of the keys that were given away are remembered, of one device.
_REMEMBERED: Final = 2_000
_MOST_FALLBACK: Final = 10


class Wanted(NamedTuple):
    """A key of one algorithm that somebody asks for."""

    user_id: str
    device_id: str
    algorithm: str


class Stock(NamedTuple):
    """What a device has here: how many one-time keys by algorithm, and for which its fallback key is unused."""

    counts: dict[str, int]
    unused_fallback: list[str]


def put(tx: WriteTransaction, user_id: str, device_id: str, keys: Sequence[NamedKey]) -> bool:
    """Adds one-time keys, in their order; whether any of them is new.

    Raises `InvalidParam` where another key had the same id, `TooLarge` where there are too many.
    """
    known = {
        (algorithm, key_id): key
        for algorithm, key_id, key in tx.all(
            """SELECT algorithm, key_id, key FROM one_time_keys
               WHERE user_id = :user_id AND device_id = :device_id AND key_id IN :key_ids""",
            user_id=user_id,
            device_id=device_id,
            key_ids=list({one.key_id for one in keys}),
        )
    }
    for one in keys:
        if known.get((one.algorithm, one.key_id), one.key) != one.key:
            raise InvalidParam(f"There is another one-time key {one.algorithm}:{one.key_id[:64]} already.")
    fresh = [one for one in keys if (one.algorithm, one.key_id) not in known]
    if not fresh:
        return False
    highest, left = tx.all(
        """SELECT COALESCE(MAX(number), 0), COALESCE(SUM(1 - claimed), 0) FROM one_time_keys
           WHERE user_id = :user_id AND device_id = :device_id""",
        user_id=user_id,
        device_id=device_id,
    )[0]
    if left + len(fresh) > MOST_LEFT:
        raise TooLarge(f"A device keeps at most {MOST_LEFT} one-time keys here.")
    tx.many(
        """INSERT INTO one_time_keys (user_id, device_id, algorithm, key_id, number, key)
           VALUES (:user_id, :device_id, :algorithm, :key_id, :number, :key)""",
        [
            {"user_id": user_id, "device_id": device_id, "number": number, **one._asdict()}
            for number, one in enumerate(fresh, start=highest + 1)
        ],
    )
    tx.run(
        """DELETE FROM one_time_keys
           WHERE user_id = :user_id AND device_id = :device_id AND claimed = 1 AND number <= :old""",
        user_id=user_id,
        device_id=device_id,
        old=highest - _REMEMBERED,
    )
    return True


def put_fallback(tx: WriteTransaction, user_id: str, device_id: str, keys: Iterable[NamedKey]) -> bool:
    """Puts fallback keys in the place of those of the same algorithms; whether any of them is new.

    One that is there already stays as used as it is. Raises `TooLarge` where there are too many algorithms.
    """
    is_new = False
    for one in keys:
        is_new |= bool(
            tx.run(
                """INSERT INTO fallback_keys (user_id, device_id, algorithm, key_id, key)
                   VALUES (:user_id, :device_id, :algorithm, :key_id, :key)
                   ON CONFLICT (user_id, device_id, algorithm)
                   DO UPDATE SET key_id = excluded.key_id, key = excluded.key, used = 0
                   WHERE fallback_keys.key_id <> excluded.key_id OR fallback_keys.key <> excluded.key""",
                user_id=user_id,
                device_id=device_id,
                **one._asdict(),
            )
        )
    if is_new:
        count = tx.value(
            "SELECT COUNT(*) FROM fallback_keys WHERE user_id = :user_id AND device_id = :device_id",
            user_id=user_id,
            device_id=device_id,
        )
        if count > _MOST_FALLBACK:
            raise TooLarge(f"A device keeps fallback keys of at most {_MOST_FALLBACK} algorithms here.")
    return is_new


def tell(tx: WriteTransaction, user_id: str, device_id: str) -> None:
    tx.append(KIND, user_id=user_id, key=device_id)


def claim(tx: WriteTransaction, wanted: Sequence[Wanted]) -> list[tuple[Wanted, str, bytes]]:
    """Gives keys away: the oldest one-time key of each that is wanted, or else its fallback key; with its id.

    What nobody has a key for is left out. Each one-time key is given once, whoever asks at the same time: giving it
    changes its row, and rows that another process is about to give are passed over.
    """
    statement = _CLAIM.replace("{skip_locked}", tx.dialect.skip_locked)
    found: list[tuple[Wanted, str, bytes]] = []
    told: dict[tuple[str, str], None] = {}
    for one in wanted:
        given = tx.one(statement, **one._asdict())
        if given is None:
            given = tx.one(_FALLBACK, **one._asdict())
            if given is None:
                continue
            key_id, key, used = given
            if not used:
                tx.run(_USE, key_id=key_id, **one._asdict())
                told[one.user_id, one.device_id] = None
        else:
            key_id, key = given
            told[one.user_id, one.device_id] = None
        found.append((one, key_id, key))
    for user_id, device_id in told:
        tell(tx, user_id, device_id)
    return found


_ONE = "user_id = :user_id AND device_id = :device_id AND algorithm = :algorithm"
_CLAIM = f"""
    UPDATE one_time_keys SET claimed = 1
    WHERE {_ONE} AND claimed = 0 AND key_id = (
        SELECT key_id FROM one_time_keys WHERE {_ONE} AND claimed = 0 ORDER BY number LIMIT 1 {{skip_locked}}
    )
    RETURNING key_id, key
"""
_FALLBACK = f"SELECT key_id, key, used FROM fallback_keys WHERE {_ONE}"
_USE = f"UPDATE fallback_keys SET used = 1 WHERE {_ONE} AND key_id = :key_id"


def stock(tx: Transaction, user_id: str, device_id: str) -> Stock:
    """What a device has here."""
    counts = tx.all(
        """SELECT algorithm, COUNT(*) FROM one_time_keys
           WHERE user_id = :user_id AND device_id = :device_id AND claimed = 0 GROUP BY algorithm""",
        user_id=user_id,
        device_id=device_id,
    )
    unused = tx.all(
        """SELECT algorithm FROM fallback_keys
           WHERE user_id = :user_id AND device_id = :device_id AND used = 0 ORDER BY algorithm""",
        user_id=user_id,
        device_id=device_id,
    )
    return Stock(dict(counts), [algorithm for (algorithm,) in unused])


def drop_of_devices(tx: WriteTransaction, user_id: str, device_ids: Sequence[str]) -> None:
    for table in ("one_time_keys", "fallback_keys"):
        tx.run(
            f"DELETE FROM {table} WHERE user_id = :user_id AND device_id IN :device_ids",
            user_id=user_id,
            device_ids=list(device_ids),
        )


def forget_all(tx: WriteTransaction) -> int:
    """Takes every key for given away, so that devices upload new ones; how many one-time keys that were."""
    devices = tx.all(
        """SELECT user_id, device_id FROM one_time_keys WHERE claimed = 0
           UNION SELECT user_id, device_id FROM fallback_keys WHERE used = 0"""
    )
    forgotten = tx.run("UPDATE one_time_keys SET claimed = 1 WHERE claimed = 0")
    tx.run("UPDATE fallback_keys SET used = 1 WHERE used = 0")
    for user_id, device_id in devices:
        tell(tx, user_id, device_id)
    return forgotten
