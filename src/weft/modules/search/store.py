"""The index of words. It is the one thing that the two databases do in truly different ways."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from weft.storage.database import Transaction, WriteTransaction

Key = Literal["body", "name", "topic"]

#: What PostgreSQL's vectors hold of one word and of one text.
_MAX_PLACES, _MAX_PLACE = 200, 16_383


class Indexed(NamedTuple):
    """The words of an event, and the key of its content that has them."""

    position: int
    key: Key
    words: Sequence[str]


class Match(NamedTuple):
    event_id: str
    room_id: str
    sender: str
    position: int
    origin_server_ts: int
    #: The higher, the better.
    rank: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Find:
    """Events of these rooms that have all of the words in one of the keys."""

    words: Sequence[str]
    keys: Sequence[Key]
    rooms: Collection[int]
    sender: str | None = None
    ignored: Collection[str] = ()


# -- writing


def put(tx: WriteTransaction, indexed: Iterable[Indexed], gone: Collection[int]) -> None:
    """Takes events into the index, and others out of it. Doing it twice changes nothing."""
    if tx.dialect.name == "sqlite":
        for position in gone:
            tx.run("DELETE FROM search_words WHERE rowid = :position", position=position)
        for one in indexed:
            tx.run(
                f"INSERT OR REPLACE INTO search_words (rowid, {one.key}) VALUES (:position, :words)",
                position=one.position,
                words=" ".join(one.words),
            )
        return
    if gone:
        tx.run("DELETE FROM search_words WHERE position IN :gone", gone=list(gone))
    tx.many(
        """INSERT INTO search_words (position, key, words) VALUES (:position, :key, CAST(:words AS tsvector))
           ON CONFLICT (position) DO UPDATE SET words = excluded.words""",
        [{"position": one.position, "key": one.key, "words": _vector(one.words)} for one in indexed],
    )


def _vector(words: Sequence[str]) -> str:
    """Words are letters and digits alone, so that nothing in them needs escaping."""
    places: dict[str, list[int]] = {}
    for place, word in enumerate(words, 1):
        known = places.setdefault(word, [])
        if len(known) < _MAX_PLACES:
            known.append(min(place, _MAX_PLACE))
    return " ".join(f"'{word}':{','.join(map(str, at))}" for word, at in places.items())


# -- reading


def written_by(tx: Transaction, sender: str, after: int, limit: int) -> list[int]:
    """The positions of what somebody has sent, in order, beyond one. Reads all events: there is no index for it."""
    rows = tx.all(
        "SELECT position FROM events WHERE sender = :sender AND position > :after ORDER BY position LIMIT :limit",
        sender=sender,
        after=after,
        limit=limit,
    )
    return [position for (position,) in rows]


_COLUMNS = "e.event_id, r.room_id, e.sender, e.position, e.origin_server_ts"


def newest(tx: Transaction, find: Find, limit: int, before: tuple[int, int] | None) -> list[Match]:
    """Matches by time, the newest first; `before` is the time and the position of the last one before them."""
    condition = "AND (e.origin_server_ts, e.position) < (:before_ts, :before_position)" if before is not None else ""
    rows = tx.all(
        f"""SELECT {_COLUMNS}, {_rank(tx)} AS score {_from(tx, find)} {condition}
            ORDER BY e.origin_server_ts DESC, e.position DESC LIMIT :limit""",
        limit=limit,
        **({"before_ts": before[0], "before_position": before[1]} if before is not None else {}),
        **_params(tx, find),
    )
    return [Match(*row) for row in rows]


def best(tx: Transaction, find: Find, limit: int, offset: int) -> list[Match]:
    """Matches by rank, the best first, and by time where they are equal."""
    rows = tx.all(
        f"""SELECT {_COLUMNS}, {_rank(tx)} AS score {_from(tx, find)}
            ORDER BY score DESC, e.origin_server_ts DESC, e.position DESC LIMIT :limit OFFSET :offset""",
        limit=limit,
        offset=offset,
        **_params(tx, find),
    )
    return [Match(*row) for row in rows]


def counts(tx: Transaction, find: Find) -> dict[int, int]:
    """How many matches there are in each room that has any."""
    rows = tx.all(f"SELECT e.room, COUNT(*) {_from(tx, find)} GROUP BY e.room", **_params(tx, find))
    return dict(rows)


def _rank(tx: Transaction) -> str:
    return "-bm25(search_words)" if tx.dialect.name == "sqlite" else "ts_rank(s.words, CAST(:query AS tsquery))"


def _from(tx: Transaction, find: Find) -> str:
    if tx.dialect.name == "sqlite":
        tables = """FROM search_words JOIN events e ON e.position = search_words.rowid
                    JOIN rooms r ON r.room = e.room WHERE search_words MATCH :query"""
    else:
        tables = """FROM search_words s JOIN events e ON e.position = s.position
                    JOIN rooms r ON r.room = e.room WHERE s.words @@ CAST(:query AS tsquery) AND s.key IN :keys"""
    conditions = " AND e.room IN :rooms"
    conditions += " AND e.sender = :sender" if find.sender is not None else ""
    conditions += " AND e.sender NOT IN :ignored" if find.ignored else ""
    return tables + conditions


def _params(tx: Transaction, find: Find) -> Mapping[str, Any]:
    params: dict[str, Any] = {"rooms": list(find.rooms)}
    if tx.dialect.name == "sqlite":
        every = " AND ".join([f'"{word}"' for word in find.words])
        params["query"] = f"{{{' '.join(find.keys)}}} : ({every})"
    else:
        params["query"] = " & ".join([f"'{word}'" for word in find.words])
        params["keys"] = list(find.keys)
    if find.sender is not None:
        params["sender"] = find.sender
    if find.ignored:
        params["ignored"] = list(find.ignored)
    return params
