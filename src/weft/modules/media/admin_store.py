"""The rows of media as administrators look through them and change them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from weft.modules.media.store import COLUMNS, Medium, forget, held, medium_of
from weft.protocol.identifiers import Mxc, is_valid_mxc
from weft.storage.database import Transaction, WriteTransaction

#: What a list of media can be ordered by, under the names that the endpoints have for it.
ORDERS: Final = {
    "media_id": "media_id",
    "upload_name": "COALESCE(file_name, '')",
    "created_ts": "created_ms",
    "last_access_ts": "COALESCE(used_ms, 0)",
    "media_length": "size",
    "media_type": "COALESCE(content_type, '')",
    "quarantined_by": "COALESCE(quarantined_by, '')",
    "safe_from_quarantine": "protected",
}
_MXC: Final = re.compile(rb"mxc://([A-Za-z0-9.:\[\]-]{1,255})/([A-Za-z0-9_-]{1,255})")
#: Events that are looked through at once.
_PAGE: Final = 2_000


def of_user(
    tx: Transaction, user_id: str, *, order: str, backwards: bool, start: int, limit: int
) -> tuple[list[Medium], int]:
    """A page of what somebody uploaded, in one of `ORDERS`, and how much there is in all."""
    direction = "DESC" if backwards else "ASC"
    rows = tx.all(
        f"""SELECT {COLUMNS} FROM media WHERE user_id = :user_id AND hash IS NOT NULL
            ORDER BY {ORDERS[order]} {direction}, media_id LIMIT :limit OFFSET :start""",
        user_id=user_id,
        limit=limit,
        start=start,
    )
    count: int = tx.value("SELECT COUNT(*) FROM media WHERE user_id = :user_id AND hash IS NOT NULL", user_id=user_id)
    return [medium_of(row) for row in rows], count


def unused_since(tx: Transaction, before_ms: int, larger_than: int, after: tuple[str, str], limit: int) -> list[Medium]:
    """Media of this server that nobody has looked at since, and that are larger; those whose names come after one."""
    rows = tx.all(
        f"""SELECT {COLUMNS} FROM media
            WHERE remote = 0 AND hash IS NOT NULL AND COALESCE(used_ms, created_ms) < :before AND size > :size
              AND (server_name > :server_name OR (server_name = :server_name AND media_id > :media_id))
            ORDER BY server_name, media_id LIMIT :limit""",
        before=before_ms,
        size=larger_than,
        server_name=after[0],
        media_id=after[1],
        limit=limit,
    )
    return [medium_of(row) for row in rows]


def in_room(tx: Transaction, room: int, after: int) -> tuple[list[Mxc], int | None]:
    """The media that some of a room's events name, and the position to go on from; None where that was all.

    What is said in encrypted events nobody here knows.
    """
    rows = tx.all(
        "SELECT position, json FROM events WHERE room = :room AND position > :after ORDER BY position LIMIT :limit",
        room=room,
        after=after,
        limit=_PAGE,
    )
    return list(named_in(bytes(json) for _, json in rows)), rows[-1][0] if len(rows) == _PAGE else None


def pictures_of_rooms(tx: Transaction) -> list[Mxc]:
    """The media that rooms have as their picture now."""
    rows = tx.all(
        """SELECT e.json FROM current_state s JOIN events e ON e.event_id = s.event_id WHERE s.type = 'm.room.avatar'"""
    )
    return list(named_in(bytes(json) for (json,) in rows))


def named_in(texts: Iterable[bytes]) -> dict[Mxc, None]:
    """Every medium that is named somewhere in the texts, in their order."""
    found = (Mxc(match[1].decode(), match[2].decode()) for text in texts for match in _MXC.finditer(text))
    return {mxc: None for mxc in found if is_valid_mxc(str(mxc))}


# -- quarantine


def quarantine(tx: WriteTransaction, mxc: Mxc, by: str) -> bool:
    """Has nobody see a medium any more, nor the same bytes under any other name. False for one that is protected."""
    medium = held(tx, *mxc)
    if medium is None:
        return False
    if medium.protected:
        return False
    _mark(tx, "server_name = :server_name AND media_id = :media_id", by, server_name=mxc[0], media_id=mxc[1])
    if medium.hash is not None:
        tx.run(
            """INSERT INTO media_quarantine (hash, quarantined_by) VALUES (:hash, :by)
               ON CONFLICT (hash) DO NOTHING""",
            hash=medium.hash,
            by=by,
        )
        _mark(tx, "hash = :hash", by, hash=medium.hash)
    return True


def _mark(tx: WriteTransaction, which: str, by: str, **of: str) -> None:
    tx.run(
        f"UPDATE media SET quarantined_by = :by WHERE {which} AND protected = 0 AND quarantined_by IS NULL",
        by=by,
        **of,
    )


def release(tx: WriteTransaction, mxc: Mxc) -> None:
    """Takes a medium, and the same bytes under other names, out of quarantine."""
    medium = held(tx, *mxc)
    if medium is None:
        return
    if medium.hash is None and medium.remote:
        # Nothing is known of it but that it was not to be seen.
        forget(tx, medium._replace(quarantined_by=None))
        return
    tx.run("UPDATE media SET quarantined_by = NULL WHERE hash = :hash", hash=medium.hash)
    tx.run("DELETE FROM media_quarantine WHERE hash = :hash", hash=medium.hash)


def protect(tx: WriteTransaction, mxc: Mxc, protected: bool) -> None:
    """Whether a medium may be quarantined."""
    tx.run(
        "UPDATE media SET protected = :protected WHERE server_name = :server_name AND media_id = :media_id",
        protected=int(protected),
        server_name=mxc[0],
        media_id=mxc[1],
    )
