"""The rows of media: what there is, whose it is, and which bytes it is.

Bytes are kept once, whoever uploaded them (`media_files`). A file goes when the last medium that refers to it does, in
the same transaction; a new upload of the same bytes either finds the row, which it then holds, or makes another file.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from weft.storage.database import Row, Transaction, WriteTransaction

#: The owner of what is cached of other servers, in `media_totals`.
REMOTE = ""


class Medium(NamedTuple):
    """One `mxc://` URI. Times are milliseconds since 1970; `hash` is None where there are no bytes (yet)."""

    server_name: str
    media_id: str
    remote: bool
    hash: str | None
    size: int
    content_type: str | None
    file_name: str | None
    user_id: str | None
    created_ms: int
    used_ms: int | None
    expires_ms: int | None
    authenticated: bool
    protected: bool
    quarantined_by: str | None

    @property
    def owner(self) -> str | None:
        """Whose limit its bytes count against."""
        return REMOTE if self.remote else self.user_id


class File(NamedTuple):
    """Bytes that were taken in, and where they were put."""

    hash: str
    size: int
    location: str


class ThumbnailKey(NamedTuple):
    """The size that one was made for."""

    width: int
    height: int
    method: str
    animated: int


class Thumbnail(NamedTuple):
    """`size` counts; it is 0 where the medium itself is its own thumbnail."""

    hash: str
    size: int
    content_type: str


COLUMNS = ", ".join(Medium._fields)


def medium_of(row: Row) -> Medium:
    """A row of `COLUMNS`."""
    medium = Medium(*row)
    return medium._replace(
        remote=bool(medium.remote), authenticated=bool(medium.authenticated), protected=bool(medium.protected)
    )


def find(tx: Transaction, server_name: str, media_id: str) -> Medium | None:
    row = tx.one(
        f"SELECT {COLUMNS} FROM media WHERE server_name = :server_name AND media_id = :media_id",
        server_name=server_name,
        media_id=media_id,
    )
    return None if row is None else medium_of(row)


def held(tx: WriteTransaction, server_name: str, media_id: str) -> Medium | None:
    """As `find`, and nobody else changes it before this transaction ends."""
    row = tx.one(
        f"""SELECT {COLUMNS} FROM media WHERE server_name = :server_name AND media_id = :media_id
            {tx.dialect.for_update}""",
        server_name=server_name,
        media_id=media_id,
    )
    return None if row is None else medium_of(row)


def location_of(tx: Transaction, hash_: str) -> str | None:
    """Where bytes are kept, if they are here."""
    found: str | None = tx.value("SELECT location FROM media_files WHERE hash = :hash", hash=hash_)
    return found


# -- coming in


def add_pending(tx: WriteTransaction, medium: Medium, *, at_most: int) -> bool:
    """A medium whose content is still to come. False where the user waits for so many already."""
    _total(tx, medium.user_id or "")
    waiting: int = tx.value(
        "SELECT COUNT(*) FROM media WHERE user_id = :user_id AND hash IS NULL AND expires_ms > :now",
        user_id=medium.user_id,
        now=medium.created_ms,
    )
    if waiting >= at_most:
        return False
    add(tx, medium)
    return True


def add(tx: WriteTransaction, medium: Medium) -> bool:
    """False where its URI is taken."""
    values = ", ".join(f":{name}" for name in Medium._fields)
    return bool(
        tx.run(
            f"INSERT INTO media ({COLUMNS}) VALUES ({values}) ON CONFLICT (server_name, media_id) DO NOTHING",
            **{name: int(value) if isinstance(value, bool) else value for name, value in medium._asdict().items()},
        )
    )


def fill(tx: WriteTransaction, medium: Medium) -> None:
    """Gives a medium that waited for its content what it now is."""
    tx.run(
        """UPDATE media SET hash = :hash, size = :size, content_type = :content_type, file_name = :file_name,
               created_ms = :created_ms, expires_ms = NULL, authenticated = :authenticated,
               quarantined_by = :quarantined_by
           WHERE server_name = :server_name AND media_id = :media_id""",
        hash=medium.hash,
        size=medium.size,
        content_type=medium.content_type,
        file_name=medium.file_name,
        created_ms=medium.created_ms,
        authenticated=int(medium.authenticated),
        quarantined_by=medium.quarantined_by,
        server_name=medium.server_name,
        media_id=medium.media_id,
    )


def keep_file(tx: WriteTransaction, file: File, *, is_placed: bool) -> str | None:
    """Where the bytes are kept from now on: elsewhere if they were here already.

    None where they are not here, and `file.location` holds nothing either (`is_placed` False).
    """
    kept = _held_location(tx, file.hash)
    if kept is not None or not is_placed:
        return kept
    made = tx.run(
        """INSERT INTO media_files (hash, location, size) VALUES (:hash, :location, :size)
           ON CONFLICT (hash) DO NOTHING""",
        **file._asdict(),
    )
    return file.location if made else _held_location(tx, file.hash)


def _held_location(tx: WriteTransaction, hash_: str) -> str | None:
    found: str | None = tx.value(
        f"SELECT location FROM media_files WHERE hash = :hash {tx.dialect.for_update}", hash=hash_
    )
    return found


def charge(tx: WriteTransaction, owner: str, size: int, limit: int | None) -> bool:
    """Counts bytes of an owner's. False, and nothing is counted, where that would be more than `limit`."""
    used = _total(tx, owner)
    if limit is not None and used + size > limit:
        return False
    tx.run("UPDATE media_totals SET bytes = bytes + :size WHERE owner = :owner", size=size, owner=owner)
    return True


def total(tx: Transaction, owner: str) -> int:
    """The bytes of an owner's."""
    return tx.value("SELECT bytes FROM media_totals WHERE owner = :owner", owner=owner) or 0


def _total(tx: WriteTransaction, owner: str) -> int:
    """As `total`; who asks for the same after this waits for the transaction to end."""
    tx.run("INSERT INTO media_totals (owner, bytes) VALUES (:owner, 0) ON CONFLICT (owner) DO NOTHING", owner=owner)
    bytes_: int = tx.value(f"SELECT bytes FROM media_totals WHERE owner = :owner {tx.dialect.for_update}", owner=owner)
    return bytes_


def used(tx: WriteTransaction, server_name: str, media_id: str, now_ms: int) -> None:
    """Somebody looked at it."""
    tx.run(
        "UPDATE media SET used_ms = :now WHERE server_name = :server_name AND media_id = :media_id",
        now=now_ms,
        server_name=server_name,
        media_id=media_id,
    )


# -- going


def delete(tx: WriteTransaction, media: Iterable[Medium]) -> None:
    """Removes media with their thumbnails, and has the files removed that nothing refers to any more."""
    unused: list[str] = []
    for medium in media:
        unused += empty(tx, medium)
        tx.run(
            "DELETE FROM media WHERE server_name = :server_name AND media_id = :media_id",
            server_name=medium.server_name,
            media_id=medium.media_id,
        )
    discard(tx, unused)


def empty(tx: WriteTransaction, medium: Medium) -> list[str]:
    """Takes a medium's bytes and thumbnails from it; the hashes that it no longer refers to, for `discard`."""
    of = {"server_name": medium.server_name, "media_id": medium.media_id}
    thumbnails = tx.all(
        """DELETE FROM media_thumbnails WHERE server_name = :server_name AND media_id = :media_id
           RETURNING hash, size""",
        **of,
    )
    tx.run("UPDATE media SET hash = NULL, size = 0 WHERE server_name = :server_name AND media_id = :media_id", **of)
    freed = medium.size + (sum(size for _, size in thumbnails) if medium.remote else 0)
    if medium.owner is not None and freed:
        tx.run("UPDATE media_totals SET bytes = bytes - :freed WHERE owner = :owner", freed=freed, owner=medium.owner)
    return [hash_ for hash_ in (medium.hash, *(hash_ for hash_, _ in thumbnails)) if hash_ is not None]


def discard(tx: WriteTransaction, hashes: Iterable[str]) -> None:
    """Of these, removes the files that nothing refers to. Their bytes are removed after the commit (`garbage`)."""
    # In one order everywhere, so that two processes don't wait for each other.
    for hash_ in sorted(set(hashes)):
        location = _held_location(tx, hash_)
        if location is None or tx.one(_REFERENCES, hash=hash_) is not None:
            continue
        tx.run("DELETE FROM media_files WHERE hash = :hash", hash=hash_)
        tx.run("INSERT INTO media_garbage (location) VALUES (:location)", location=location)


_REFERENCES = """
    SELECT 1 FROM media WHERE hash = :hash UNION ALL SELECT 1 FROM media_thumbnails WHERE hash = :hash LIMIT 1
"""


def garbage(tx: Transaction, at_most: int = 1000) -> list[str]:
    """Locations whose bytes are to be removed."""
    return [location for (location,) in tx.all("SELECT location FROM media_garbage LIMIT :most", most=at_most)]


def collected(tx: WriteTransaction, locations: Sequence[str]) -> None:
    """Their bytes are removed."""
    tx.run("DELETE FROM media_garbage WHERE location IN :locations", locations=list(locations))


def unknown(tx: Transaction, locations: Sequence[str]) -> list[str]:
    """Those of the locations that belong to nothing."""
    known = {
        location
        for (location,) in tx.all(
            "SELECT location FROM media_files WHERE location IN :locations", locations=list(locations)
        )
    }
    return [location for location in locations if location not in known]


def expired(tx: WriteTransaction, now_ms: int) -> int:
    """Removes what was announced and never came; how many."""
    return tx.run("DELETE FROM media WHERE hash IS NULL AND expires_ms <= :now", now=now_ms)


# -- the cache of other servers' media


def evict(tx: WriteTransaction, limit: int, *, but: tuple[str, str] | None = None) -> int:
    """Removes what was not used for longest until no more than `limit` bytes are cached; how many media.

    `but` is left alone. Of quarantined media it stays known that they are.
    """
    excess = _total(tx, REMOTE) - limit
    evicted = 0
    while excess > 0:
        rows = tx.all(
            f"SELECT {COLUMNS} FROM media WHERE remote = 1 AND hash IS NOT NULL ORDER BY used_ms, media_id LIMIT 50"
        )
        media = [medium for row in rows if (medium := medium_of(row))[:2] != but]
        if not media:
            break
        before = total(tx, REMOTE)
        for medium in media:
            forget(tx, medium)
            evicted += 1
            freed = before - total(tx, REMOTE)
            if freed >= excess:
                break
        excess -= before - total(tx, REMOTE)
    return evicted


def forget(tx: WriteTransaction, medium: Medium) -> None:
    """Removes the copy of a remote medium. Of a quarantined one it stays known that it is."""
    if medium.quarantined_by is not None:
        discard(tx, empty(tx, medium))
    else:
        delete(tx, [medium])


def unused_remote(tx: Transaction, before_ms: int, at_most: int) -> list[Medium]:
    """Copies of remote media that nobody has looked at since."""
    rows = tx.all(
        f"""SELECT {COLUMNS} FROM media WHERE remote = 1 AND hash IS NOT NULL AND used_ms < :before
            ORDER BY used_ms LIMIT :most""",
        before=before_ms,
        most=at_most,
    )
    return [medium_of(row) for row in rows]


# -- quarantine


def quarantined_by(tx: Transaction, hash_: str) -> str | None:
    """Who has quarantined these bytes."""
    found: str | None = tx.value("SELECT quarantined_by FROM media_quarantine WHERE hash = :hash", hash=hash_)
    return found


# -- sums


def sums(tx: Transaction) -> tuple[int, int, int]:
    """Bytes on disk, bytes cached of other servers (as media and thumbnails count), and media of this server."""
    on_disk = tx.value("SELECT COALESCE(SUM(size), 0) FROM media_files")
    local = tx.value("SELECT COUNT(*) FROM media WHERE remote = 0 AND hash IS NOT NULL")
    return int(on_disk), total(tx, REMOTE), int(local)


def lost(tx: WriteTransaction, hash_: str) -> None:
    """The file of these bytes is not there any more: copies of remote media are forgotten, and so is the file.

    A local medium keeps its hash: should the same bytes be uploaded again, it is whole again.
    """
    rows = tx.all(f"SELECT {COLUMNS} FROM media WHERE hash = :hash AND remote = 1", hash=hash_)
    for row in rows:
        forget(tx, medium_of(row))
    freed = tx.value(
        """SELECT SUM(t.size) FROM media_thumbnails t
           JOIN media m ON m.server_name = t.server_name AND m.media_id = t.media_id
           WHERE t.hash = :hash AND m.remote = 1""",
        hash=hash_,
    )
    charge(tx, REMOTE, -int(freed or 0), None)
    tx.run("DELETE FROM media_thumbnails WHERE hash = :hash", hash=hash_)
    location = _held_location(tx, hash_)
    if location is not None:
        tx.run("DELETE FROM media_files WHERE hash = :hash", hash=hash_)


# -- thumbnails


def find_thumbnail(tx: Transaction, server_name: str, media_id: str, key: ThumbnailKey) -> Thumbnail | None:
    row = tx.one(
        """SELECT hash, size, content_type FROM media_thumbnails
           WHERE server_name = :server_name AND media_id = :media_id AND width = :width AND height = :height
             AND method = :method AND animated = :animated""",
        server_name=server_name,
        media_id=media_id,
        **key._asdict(),
    )
    return None if row is None else Thumbnail(*row)


def add_thumbnail(tx: WriteTransaction, mxc: tuple[str, str], key: ThumbnailKey, thumbnail: Thumbnail) -> bool:
    """False where there is one of this size."""
    return bool(
        tx.run(
            """INSERT INTO media_thumbnails (server_name, media_id, width, height, method, animated,
                                             hash, size, content_type)
               VALUES (:server_name, :media_id, :width, :height, :method, :animated, :hash, :size, :content_type)
               ON CONFLICT DO NOTHING""",
            server_name=mxc[0],
            media_id=mxc[1],
            **key._asdict(),
            **thumbnail._asdict(),
        )
    )
