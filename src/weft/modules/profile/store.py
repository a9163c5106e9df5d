"""The rows of profiles. Fields are a JSON object, as bytes."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from weft.storage.database import Transaction, WriteTransaction

#: The log's kind of a change; `user_id` says whose.
KIND = "profile"


class Change(NamedTuple):
    """A change that has yet to reach the user's rooms."""

    user_id: str
    change: int


def find(tx: Transaction, user_id: str) -> bytes | None:
    """A profile's fields; None for a user who isn't."""
    fields = tx.value("SELECT fields FROM profiles WHERE user_id = :user_id", user_id=user_id)
    return None if fields is None else bytes(fields)


def all_fields(tx: Transaction) -> list[bytes]:
    """The fields of every profile."""
    return [bytes(fields) for (fields,) in tx.all("SELECT fields FROM profiles")]


def create(tx: WriteTransaction, user_id: str, fields: bytes) -> None:
    """Makes a new user's profile."""
    tx.run(
        """INSERT INTO profiles (user_id, fields) VALUES (:user_id, :fields)
           ON CONFLICT (user_id) DO UPDATE SET fields = excluded.fields""",
        user_id=user_id,
        fields=fields,
    )
    tx.append(KIND, user_id=user_id)


def change(tx: WriteTransaction, user_id: str, edit: Callable[[bytes], bytes]) -> bytes | None:
    """Replaces the fields by what `edit` makes of them, nobody else coming between; returns them if they changed."""
    tx.run(
        """INSERT INTO profiles (user_id, fields) VALUES (:user_id, :fields)
           ON CONFLICT (user_id) DO UPDATE SET user_id = excluded.user_id""",
        user_id=user_id,
        fields=b"{}",
    )
    before = find(tx, user_id) or b"{}"
    after = edit(before)
    if after == before:
        return None
    tx.run("UPDATE profiles SET fields = :fields WHERE user_id = :user_id", fields=after, user_id=user_id)
    tx.append(KIND, user_id=user_id)
    return after


def to_propagate(tx: WriteTransaction, user_id: str, now_ms: int) -> None:
    """Writes down that the change just made has to reach the user's rooms."""
    tx.run(
        """INSERT INTO profile_changes (user_id, change, changed_ms) VALUES (:user_id, :change, :now_ms)
           ON CONFLICT (user_id) DO UPDATE SET change = excluded.change, changed_ms = excluded.changed_ms""",
        user_id=user_id,
        change=tx.entries[-1].position,
        now_ms=now_ms,
    )


def propagating(tx: Transaction, user_id: str) -> Change | None:
    """The user's change that is on its way."""
    row = tx.one("SELECT user_id, change FROM profile_changes WHERE user_id = :user_id", user_id=user_id)
    return Change(*row) if row else None


def left_over(tx: Transaction, before_ms: int) -> list[Change]:
    """Changes from before a time that have not arrived."""
    rows = tx.all("SELECT user_id, change FROM profile_changes WHERE changed_ms < :before", before=before_ms)
    return [Change(*row) for row in rows]


def propagated(tx: WriteTransaction, change: Change) -> None:
    """A change has reached all rooms; a later one has not."""
    tx.run("DELETE FROM profile_changes WHERE user_id = :user_id AND change = :change", **change._asdict())
