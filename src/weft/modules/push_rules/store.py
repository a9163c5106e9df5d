"""The rows of push rules: one for each user who changed something."""

from __future__ import annotations

from collections.abc import Callable

from weft.protocol.push_rules import UserRules, dump, load
from weft.storage.database import Transaction, WriteTransaction
from weft.storage.positions import Vector

#: The log's kind of a change; `user_id` says whose.
KIND = "push_rules"


def of_user(tx: Transaction, user_id: str) -> UserRules:
    rules = tx.value("SELECT rules FROM push_rules WHERE user_id = :user_id", user_id=user_id)
    return UserRules() if rules is None else load(bytes(rules))


def changed_since(tx: Transaction, user_id: str, since: Vector) -> bool:
    """Whether the rules were changed after a vector."""
    position = tx.value("SELECT position FROM push_rules WHERE user_id = :user_id", user_id=user_id)
    return position is not None and position not in since


def change(tx: WriteTransaction, user_id: str, edit: Callable[[UserRules], UserRules]) -> None:
    """Replaces the rules by what `edit` makes of them, nobody else coming between. What it raises goes on."""
    # Taking the row first has whoever else changes these rules wait.
    tx.run(
        """INSERT INTO push_rules (user_id, rules, position) VALUES (:user_id, :rules, 0)
           ON CONFLICT (user_id) DO UPDATE SET user_id = excluded.user_id""",
        user_id=user_id,
        rules=dump(UserRules()),
    )
    before = of_user(tx, user_id)
    after = edit(before)
    if after == before:
        return
    tx.run(
        "UPDATE push_rules SET rules = :rules, position = :position WHERE user_id = :user_id",
        user_id=user_id,
        rules=dump(after),
        position=tx.append(KIND, user_id=user_id),
    )


def remove(tx: WriteTransaction, user_id: str) -> None:
    """Forgets a user's rules."""
    if tx.run("DELETE FROM push_rules WHERE user_id = :user_id", user_id=user_id):
        tx.append(KIND, user_id=user_id)
