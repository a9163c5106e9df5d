"""The rows of presence: one for each user who was ever online."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import NamedTuple

from weft.storage.database import Row, Transaction, WriteTransaction
from weft.storage.positions import Vector, beyond

#: The log's kinds: somebody's presence changed; it is time to tell those who were left waiting.
KIND = "presence"
FLUSH = "presence_flush"

ONLINE = "online"
UNAVAILABLE = "unavailable"
OFFLINE = "offline"


class State(NamedTuple):
    """Somebody's presence. Times are milliseconds since the epoch; `position` is of the entry that made it so."""

    user_id: str
    state: str
    status_msg: str | None
    last_active_ms: int
    currently_active: bool
    position: int = 0


_COLUMNS = "user_id, state, status_msg, last_active_ms, currently_active, position"


def find(tx: Transaction, user_ids: Collection[str]) -> list[State]:
    """The presence of some users; those who never had any are left out."""
    rows = tx.all(f"SELECT {_COLUMNS} FROM presence WHERE user_id IN :user_ids", user_ids=list(user_ids))
    return [_state(row) for row in rows]


def here(tx: Transaction) -> list[State]:
    """Everybody who is not offline."""
    return [_state(row) for row in tx.all(f"SELECT {_COLUMNS} FROM presence WHERE state IN :states", states=_HERE)]


def changed_since(tx: Transaction, since: Vector) -> list[State]:
    """Everybody whose presence changed after a vector."""
    return [_state(row) for row in tx.all(f"SELECT {_COLUMNS} FROM presence WHERE {beyond(since)}")]


def put(tx: WriteTransaction, state: State) -> State:
    """Makes this somebody's presence, whatever it was."""
    state = _told(tx, state)
    tx.run(
        f"""INSERT INTO presence ({_COLUMNS})
            VALUES (:user_id, :state, :status_msg, :last_active_ms, :currently_active, :position)
            ON CONFLICT (user_id) DO UPDATE SET
                state = excluded.state, status_msg = excluded.status_msg, last_active_ms = excluded.last_active_ms,
                currently_active = excluded.currently_active, position = excluded.position""",
        **_params(state),
    )
    return state


def move(tx: WriteTransaction, changes: Iterable[State], *, flush: bool) -> None:
    """Makes each the user's presence unless theirs has changed since (its `position` says since when)."""
    for change in changes:
        is_unchanged = tx.value(
            f"SELECT 1 FROM presence WHERE user_id = :user_id AND position = :position {tx.dialect.for_update}",
            user_id=change.user_id,
            position=change.position,
        )
        if is_unchanged:
            put(tx, change)
    if flush:
        tx.append(FLUSH)


def connected_until(tx: Transaction) -> dict[str, int]:
    """Until when those who are not offline are connected, as far as any process has written it down."""
    return dict(tx.all("SELECT user_id, connected_until_ms FROM presence WHERE state IN :states", states=_HERE))


def keep(tx: WriteTransaction, user_id: str, until_ms: int) -> None:
    """Writes down that somebody is connected until then. Nobody has to be told."""
    tx.run(
        """UPDATE presence SET connected_until_ms = :until_ms
           WHERE user_id = :user_id AND connected_until_ms < :until_ms""",
        user_id=user_id,
        until_ms=until_ms,
    )


_HERE = [ONLINE, UNAVAILABLE]


def _told(tx: WriteTransaction, state: State) -> State:
    """Tells everybody; gives the presence with its position."""
    return state._replace(position=tx.append(KIND, user_id=state.user_id, key=state.state))


def _params(state: State) -> dict[str, object]:
    status = state.status_msg.encode() if state.status_msg is not None else None
    return {**state._asdict(), "status_msg": status, "currently_active": int(state.currently_active)}


def _state(row: Row) -> State:
    user_id, state, status, last_active_ms, currently_active, position = row
    status_msg = bytes(status).decode() if status is not None else None
    return State(user_id, state, status_msg, last_active_ms, bool(currently_active), position)
