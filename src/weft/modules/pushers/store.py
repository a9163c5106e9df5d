"""The rows of pushers, and of the notifications that their gateways have not taken yet."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Final, NamedTuple

from weft.storage.database import Transaction, WriteTransaction

#: The log's kind: a user's pushers have changed.
KIND: Final = "pusher"
#: The most notifications that wait for one pusher; the oldest go first.
_MOST_QUEUED: Final = 100


class Pusher(NamedTuple):
    """`data` is JSON, with its `url`; `told_unread` is the count that the gateway was told last."""

    user_id: str
    app_id: str
    pushkey: str
    device_id: str | None
    kind: str
    app_display_name: str
    device_display_name: str
    profile_tag: str
    lang: str
    url: str
    data: str
    set_ms: int
    told_unread: int
    rests_until_ms: int = 0


class Queued(NamedTuple):
    """One notification on its way. `event_id` is '' where it is about the counts alone; `tweaks` is JSON.

    `tries` counts the refusals.
    """

    user_id: str
    app_id: str
    pushkey: str
    event_id: str
    room: int
    position: int
    url: str
    tweaks: str
    queued_ms: int
    tries: int = 0


_COLUMNS: Final = ", ".join(Pusher._fields)
_QUEUED: Final = ", ".join(Queued._fields)
_SAME: Final = "user_id = :user_id AND app_id = :app_id AND pushkey = :pushkey"


def of_user(tx: Transaction, user_id: str) -> list[Pusher]:
    """The oldest first."""
    rows = tx.all(f"SELECT {_COLUMNS} FROM pushers WHERE user_id = :user_id ORDER BY set_ms, app_id", user_id=user_id)
    return [Pusher(*row) for row in rows]


def one(tx: Transaction, user_id: str, app_id: str, pushkey: str) -> Pusher | None:
    row = tx.one(f"SELECT {_COLUMNS} FROM pushers WHERE {_SAME}", user_id=user_id, app_id=app_id, pushkey=pushkey)
    return Pusher(*row) if row is not None else None


def users(tx: Transaction) -> set[str]:
    """Who has a pusher."""
    return {user_id for (user_id,) in tx.all("SELECT DISTINCT user_id FROM pushers")}


def put(tx: WriteTransaction, pusher: Pusher) -> None:
    """Adds a pusher, or replaces the one with its key; what waits for it goes where it now says."""
    changes = ", ".join(f"{name} = excluded.{name}" for name in Pusher._fields[3:] if name != "told_unread")
    tx.run(
        f"""INSERT INTO pushers ({_COLUMNS}) VALUES ({", ".join(f":{name}" for name in Pusher._fields)})
            ON CONFLICT (user_id, app_id, pushkey) DO UPDATE SET {changes}""",
        **pusher._asdict(),
    )
    tx.run(
        f"UPDATE push_queue SET url = :url WHERE {_SAME}",
        url=pusher.url,
        user_id=pusher.user_id,
        app_id=pusher.app_id,
        pushkey=pusher.pushkey,
    )
    tx.append(KIND, user_id=pusher.user_id)


def remove(tx: WriteTransaction, user_id: str, app_id: str, pushkey: str) -> None:
    for table in ("pushers", "push_queue"):
        tx.run(f"DELETE FROM {table} WHERE {_SAME}", user_id=user_id, app_id=app_id, pushkey=pushkey)
    tx.append(KIND, user_id=user_id)


def remove_of_others(tx: WriteTransaction, user_id: str, app_id: str, pushkey: str) -> None:
    """Removes the pushers of other users with the same key."""
    rows = tx.all(
        "SELECT user_id FROM pushers WHERE app_id = :app_id AND pushkey = :pushkey AND user_id <> :user_id",
        app_id=app_id,
        pushkey=pushkey,
        user_id=user_id,
    )
    for (other,) in rows:
        remove(tx, other, app_id, pushkey)


def remove_of_devices(tx: WriteTransaction, user_id: str, device_ids: Collection[str]) -> None:
    for pusher in of_user(tx, user_id):
        if pusher.device_id in device_ids:
            remove(tx, user_id, pusher.app_id, pusher.pushkey)


def remove_of_user(tx: WriteTransaction, user_id: str) -> None:
    for pusher in of_user(tx, user_id):
        remove(tx, user_id, pusher.app_id, pusher.pushkey)


# -- what waits


def queue(tx: WriteTransaction, rows: Iterable[Queued]) -> None:
    """Adds notifications. One that waits already stays as it is; one of the counts takes its place anew."""
    values = ", ".join(f":{name}" for name in Queued._fields)
    rows = list(rows)
    tx.many(
        f"""INSERT INTO push_queue ({_QUEUED}) VALUES ({values})
            ON CONFLICT (user_id, app_id, pushkey, event_id) DO UPDATE SET position = excluded.position
            WHERE push_queue.event_id = ''""",
        [row._asdict() for row in rows],
    )
    for key in {row[:3] for row in rows}:
        same = dict(zip(("user_id", "app_id", "pushkey"), key, strict=True))
        tx.run(
            f"""DELETE FROM push_queue WHERE {_SAME} AND queued_ms < (
                    SELECT queued_ms FROM push_queue WHERE {_SAME}
                    ORDER BY queued_ms DESC LIMIT 1 OFFSET {_MOST_QUEUED})""",
            **same,
        )


def gateways(tx: Transaction) -> list[str]:
    """The addresses for which something waits."""
    return [url for (url,) in tx.all("SELECT DISTINCT url FROM push_queue")]


_QUEUE_OF_PUSHERS: Final = """FROM push_queue q JOIN pushers p
    ON p.user_id = q.user_id AND p.app_id = q.app_id AND p.pushkey = q.pushkey"""


def waiting(tx: Transaction, url: str, now_ms: int, limit: int) -> list[Queued]:
    """What waits for a gateway, oldest first, without that of pushers that rest."""
    columns = ", ".join(f"q.{name}" for name in Queued._fields)
    rows = tx.all(
        f"""SELECT {columns} {_QUEUE_OF_PUSHERS} WHERE q.url = :url AND p.rests_until_ms <= :now
            ORDER BY q.queued_ms, q.position LIMIT :limit""",
        url=url,
        now=now_ms,
        limit=limit,
    )
    return [Queued(*row) for row in rows]


def next_ms(tx: Transaction, url: str) -> int | None:
    """When the first of the pushers for which something waits has rested; None where nothing waits."""
    found: int | None = tx.value(f"SELECT MIN(p.rests_until_ms) {_QUEUE_OF_PUSHERS} WHERE q.url = :url", url=url)
    return found


def refused(tx: WriteTransaction, row: Queued, rests_until_ms: int) -> None:
    """Notes that a gateway did not take a notification, which is tried again later, before what came after it."""
    same = {"user_id": row.user_id, "app_id": row.app_id, "pushkey": row.pushkey}
    tx.run(f"UPDATE pushers SET rests_until_ms = :until WHERE {_SAME}", **same, until=rests_until_ms)
    tx.run(
        f"UPDATE push_queue SET tries = tries + 1 WHERE {_SAME} AND event_id = :event_id", **same, event_id=row.event_id
    )


def done(tx: WriteTransaction, row: Queued, told_unread: int | None) -> None:
    """Forgets a notification, and remembers the count that went with it. What came meanwhile stays."""
    same = {"user_id": row.user_id, "app_id": row.app_id, "pushkey": row.pushkey}
    tx.run(
        f"DELETE FROM push_queue WHERE {_SAME} AND event_id = :event_id AND position = :position",
        **same,
        event_id=row.event_id,
        position=row.position,
    )
    if told_unread is not None:
        tx.run(f"UPDATE pushers SET told_unread = :told WHERE {_SAME}", **same, told=told_unread)


def drop_read(tx: WriteTransaction, read: Sequence[tuple[str, int]]) -> None:
    """Forgets what waits of rooms that users have read: pairs of user and room."""
    tx.many(
        "DELETE FROM push_queue WHERE user_id = :user_id AND room = :room AND event_id <> ''",
        [{"user_id": user_id, "room": room} for user_id, room in read],
    )


def drop_old(tx: WriteTransaction, before_ms: int) -> None:
    tx.run("DELETE FROM push_queue WHERE queued_ms < :before", before=before_ms)
