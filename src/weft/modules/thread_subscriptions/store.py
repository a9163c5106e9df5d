"""The rows of thread subscriptions: one for each thread that a user follows, or once did."""

from __future__ import annotations

from typing import Final, NamedTuple

from weft.protocol.errors import MatrixError, TooLarge
from weft.storage.database import Transaction, WriteTransaction
from weft.storage.positions import END, Moment, Vector, beyond, within

#: The log's kind of a change; `user_id` says whose, `key` is the room's id.
KIND: Final = "thread_subscription"
#: Of one account, those that were given up included. The bound is ours.
MAX_SUBSCRIPTIONS: Final = 20_000


class Thread(NamedTuple):
    """A thread as one user has it. `room_id` is that of the room with the number `room`."""

    user_id: str
    room: int
    room_id: str
    root: str


LAST: Final = Moment(END, END)


class Change(NamedTuple):
    """What a subscription was last changed to."""

    room_id: str
    root: str
    is_subscribed: bool
    is_automatic: bool
    stamp: int
    moment: Moment


def is_automatic(tx: Transaction, thread: Thread) -> bool | None:
    """Whether a subscription was made by the client itself; None where there is none."""
    row = tx.one(
        """SELECT is_automatic FROM thread_subscriptions
           WHERE user_id = :user_id AND room = :room AND root = :root AND is_subscribed = 1""",
        user_id=thread.user_id,
        room=thread.room,
        root=thread.root,
    )
    return bool(row[0]) if row else None


def of_user(tx: Transaction, user_id: str) -> dict[int, frozenset[str]]:
    """The roots of the threads that a user is subscribed to, by the room's number."""
    found: dict[int, set[str]] = {}
    rows = tx.all(
        "SELECT room, root FROM thread_subscriptions WHERE user_id = :user_id AND is_subscribed = 1", user_id=user_id
    )
    for room, root in rows:
        found.setdefault(room, set()).add(root)
    return {room: frozenset(roots) for room, roots in found.items()}


def changes(
    tx: Transaction, user_id: str, *, since: Vector, upto: Vector, before: Moment, limit: int
) -> tuple[list[Change], bool]:
    """The latest changes of a user between two vectors and before a moment, the last first; and whether that is all."""
    rows = tx.all(
        f"""SELECT r.room_id, t.root, t.is_subscribed, t.is_automatic, t.stamp, t.changed_ms, t.position
            FROM thread_subscriptions t JOIN rooms r ON r.room = t.room
            WHERE t.user_id = :user_id AND {beyond(since, "t.position")} AND {within(upto, "t.position")}
              AND (t.changed_ms, t.position) < (:changed_ms, :position)
            ORDER BY t.changed_ms DESC, t.position DESC LIMIT :limit""",
        user_id=user_id,
        changed_ms=before.ms,
        position=before.position,
        limit=limit + 1,
    )
    found = [
        Change(room_id, root, bool(is_subscribed), bool(automatic), stamp, Moment(changed_ms, position))
        for room_id, root, is_subscribed, automatic, stamp, changed_ms, position in rows
    ]
    return found[:limit], len(found) <= limit


def subscribe(tx: WriteTransaction, thread: Thread, cause: int | None, now_ms: int) -> None:
    """Subscribes a user to a thread; `cause` is the position of the event that had a client do it by itself.

    One that the user asked for stays so. Raises `M_CONFLICTING_UNSUBSCRIPTION` where the user gave the thread up when
    the cause was there already.
    """
    before = _take(tx, thread)
    if cause is not None and before.seen and cause in Vector.parse(before.seen):
        raise MatrixError(
            "You have unsubscribed from the thread since.",
            errcode="IO.ELEMENT.MSC4306.M_CONFLICTING_UNSUBSCRIPTION",
            status=409,
        )
    if before.is_subscribed and (cause is not None or not before.is_automatic):
        return
    if not before.stamp:
        _check_room_for(tx, thread.user_id)
    _put(tx, thread, before.stamp + 1, now_ms, is_subscribed=True, is_automatic=cause is not None, seen="")


def unsubscribe(tx: WriteTransaction, thread: Thread, seen: Vector, now_ms: int) -> None:
    """Ends a subscription, where there is one. What is in `seen` then subscribes the user no more."""
    if is_automatic(tx, thread) is None:
        return
    before = _take(tx, thread)
    if before.is_subscribed:
        _put(tx, thread, before.stamp + 1, now_ms, is_subscribed=False, is_automatic=False, seen=seen.spell())


def remove_all(tx: WriteTransaction, user_id: str) -> None:
    """Forgets all subscriptions of a user."""
    if tx.run("DELETE FROM thread_subscriptions WHERE user_id = :user_id", user_id=user_id):
        tx.append(KIND, user_id=user_id)


class _Row(NamedTuple):
    is_subscribed: bool
    is_automatic: bool
    seen: str
    stamp: int


def _take(tx: WriteTransaction, thread: Thread) -> _Row:
    """The row as it is, made where there was none: whoever else changes it waits."""
    row = tx.one(
        """INSERT INTO thread_subscriptions
               (user_id, room, root, is_subscribed, is_automatic, seen, stamp, changed_ms, position)
           VALUES (:user_id, :room, :root, 0, 0, '', 0, 0, 0)
           ON CONFLICT (user_id, room, root) DO UPDATE SET user_id = excluded.user_id
           RETURNING is_subscribed, is_automatic, seen, stamp""",
        user_id=thread.user_id,
        room=thread.room,
        root=thread.root,
    )
    if row is None:
        raise AssertionError("the row was just made")
    is_subscribed, automatic, seen, stamp = row
    return _Row(bool(is_subscribed), bool(automatic), seen, stamp)


def _put(
    tx: WriteTransaction,
    thread: Thread,
    stamp: int,
    now_ms: int,
    *,
    is_subscribed: bool,
    is_automatic: bool,
    seen: str,
) -> None:
    tx.run(
        """UPDATE thread_subscriptions SET is_subscribed = :is_subscribed, is_automatic = :is_automatic, seen = :seen,
               stamp = :stamp, changed_ms = :now_ms, position = :position
           WHERE user_id = :user_id AND room = :room AND root = :root""",
        user_id=thread.user_id,
        room=thread.room,
        root=thread.root,
        is_subscribed=int(is_subscribed),
        is_automatic=int(is_automatic),
        seen=seen,
        stamp=stamp,
        now_ms=now_ms,
        position=tx.append(KIND, user_id=thread.user_id, key=thread.room_id),
    )


def _check_room_for(tx: Transaction, user_id: str) -> None:
    count: int = tx.value("SELECT COUNT(*) FROM thread_subscriptions WHERE user_id = :user_id", user_id=user_id)
    if count > MAX_SUBSCRIPTIONS:
        raise TooLarge("This account is subscribed to too many threads.")
