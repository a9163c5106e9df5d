"""The tables of aliases and of published rooms."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import msgspec

from weft.modules.directory.summary import SUMMARY_KEYS, chunk_of
from weft.protocol.api.client.directory import PublicRoomsChunk
from weft.storage import events
from weft.storage.database import Transaction, WriteTransaction
from weft.storage.patterns import escaped

# -- aliases


class AliasRow(NamedTuple):
    room: int
    room_id: str
    creator: str


def alias(tx: Transaction, alias: str) -> AliasRow | None:
    row = tx.one(
        """SELECT a.room, r.room_id, a.creator FROM room_aliases a JOIN rooms r ON r.room = a.room
           WHERE a.alias = :alias""",
        alias=alias,
    )
    return AliasRow(*row) if row else None


def targets(tx: Transaction, aliases: Collection[str]) -> dict[str, str]:
    """The rooms that some aliases point to; those that point nowhere are left out."""
    return dict(
        tx.all(
            """SELECT a.alias, r.room_id FROM room_aliases a JOIN rooms r ON r.room = a.room
               WHERE a.alias IN :aliases""",
            aliases=list(aliases),
        )
    )


def aliases_of(tx: Transaction, room: int) -> list[str]:
    return [found for (found,) in tx.all("SELECT alias FROM room_aliases WHERE room = :room ORDER BY alias", room=room)]


def add_alias(tx: WriteTransaction, alias: str, room: int, creator: str) -> None:
    """Raises `UniqueViolation` where the alias is taken."""
    tx.run(
        "INSERT INTO room_aliases (alias, room, creator) VALUES (:alias, :room, :creator)",
        alias=alias,
        room=room,
        creator=creator,
    )
    tx.append("alias", room=room, key=alias)


def delete_alias(tx: WriteTransaction, alias: str, room: int) -> bool:
    """Whether it was there, and pointed to that room."""
    deleted = tx.run("DELETE FROM room_aliases WHERE alias = :alias AND room = :room", alias=alias, room=room)
    if deleted:
        tx.append("alias", room=room, key=alias)
    return bool(deleted)


def move_aliases(tx: WriteTransaction, old: int, new: int) -> None:
    """Has every alias of one room point to another."""
    if tx.run("UPDATE room_aliases SET room = :new WHERE room = :old", old=old, new=new):
        tx.append("alias", room=old)
        tx.append("alias", room=new)


# -- published rooms


class Network(NamedTuple):
    """A third-party network, and the application service that keeps its directory."""

    service_id: str
    network_id: str


def is_published(tx: Transaction, room: int) -> bool:
    return tx.one("SELECT 1 FROM published_rooms WHERE room = :room AND main = 1", room=room) is not None


def publish(tx: WriteTransaction, room: int) -> None:
    tx.run("INSERT INTO published_rooms (room) VALUES (:room) ON CONFLICT (room) DO UPDATE SET main = 1", room=room)


def unpublish(tx: WriteTransaction, room: int) -> None:
    tx.run("UPDATE published_rooms SET main = 0 WHERE room = :room", room=room)
    _drop_unlisted(tx, room)


def publish_in_network(tx: WriteTransaction, room: int, network: Network) -> None:
    tx.run(
        """INSERT INTO network_rooms (service_id, network_id, room) VALUES (:service_id, :network_id, :room)
           ON CONFLICT DO NOTHING""",
        room=room,
        **network._asdict(),
    )
    tx.run("INSERT INTO published_rooms (room, main) VALUES (:room, 0) ON CONFLICT (room) DO NOTHING", room=room)


def unpublish_in_network(tx: WriteTransaction, room: int, network: Network) -> None:
    tx.run(
        "DELETE FROM network_rooms WHERE service_id = :service_id AND network_id = :network_id AND room = :room",
        room=room,
        **network._asdict(),
    )
    _drop_unlisted(tx, room)


def _drop_unlisted(tx: WriteTransaction, room: int) -> None:
    """What is listed nowhere is not kept."""
    tx.run(
        """DELETE FROM published_rooms WHERE room = :room AND main = 0
           AND NOT EXISTS (SELECT 1 FROM network_rooms n WHERE n.room = :room)""",
        room=room,
    )


def outdate(tx: WriteTransaction, room: int) -> None:
    """Has what is shown of a room made anew although its state is the same: something in it was redacted."""
    tx.run("UPDATE published_rooms SET snapshot = NULL WHERE room = :room", room=room)


class Listed(NamedTuple):
    """What the directory keeps of a room."""

    room: int
    snapshot: int
    joined: int
    shown: int
    federated: int
    room_type: str | None
    words: str
    chunk: bytes


def outdated(tx: Transaction, limit: int) -> list[Listed]:
    """Published rooms whose state is not what was last listed, as they are now."""
    rows = tx.all(
        """SELECT p.room, r.room_id, r.snapshot FROM published_rooms p JOIN rooms r ON r.room = p.room
           WHERE r.snapshot IS NOT NULL AND (p.snapshot IS NULL OR p.snapshot <> r.snapshot)
           LIMIT :limit""",
        limit=limit,
    )
    return [_listed(tx, room, room_id, snapshot) for room, room_id, snapshot in rows]


def save(tx: WriteTransaction, rooms: Sequence[Listed]) -> None:
    tx.many(
        """UPDATE published_rooms SET snapshot = :snapshot, joined = :joined, shown = :shown,
               federated = :federated, room_type = :room_type, words = :words, chunk = :chunk WHERE room = :room""",
        [room._asdict() for room in rooms],
    )


def _listed(tx: Transaction, room: int, room_id: str, snapshot: int) -> Listed:
    ids: dict[str, str] = dict(
        tx.all(
            "SELECT type, event_id FROM current_state WHERE room = :room AND type IN :types AND state_key = ''",
            room=room,
            types=[event_type for event_type, _ in SUMMARY_KEYS],
        )
    )
    found = events.by_ids(tx, list(ids.values()))
    state = {(t, ""): found[event_id].event for t, event_id in ids.items() if event_id in found}
    joined: int = tx.value("SELECT COUNT(*) FROM memberships WHERE room = :room AND membership = 'join'", room=room)
    chunk = chunk_of(room_id, state, joined)
    # A room that nobody can get into or look into is of no use in the list.
    shown = joined > 0 and (chunk.world_readable or chunk.join_rule not in ("invite", "private"))
    words = "\n".join(text for text in (chunk.name, chunk.topic, chunk.canonical_alias) if text).casefold()
    create = state.get(("m.room.create", ""))
    federated = create is None or create.content.get("m.federate") is not False
    return Listed(
        room, snapshot, joined, int(shown), int(federated), chunk.room_type, words, msgspec.json.encode(chunk)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which of the published rooms. `room_types`: None for any; None in it is a room without a type.

    `federated`: only those that users of other servers may be in. `network`: those of one network; None: those of the
    main directory, or of all where `all_networks`.
    """

    words: str | None = None
    room_types: Sequence[str | None] | None = None
    federated: bool = False
    network: Network | None = None
    all_networks: bool = False


class Mark(NamedTuple):
    """A place in the list, which goes from the largest room to the smallest."""

    joined: int
    room: int


class Page(NamedTuple):
    """`first` and `last` are the places of the page's first and last room."""

    chunk: list[PublicRoomsChunk]
    first: Mark | None
    last: Mark | None
    more_before: bool
    more_after: bool
    total: int


def page(tx: Transaction, wanted: Wanted, *, mark: Mark | None, backwards: bool, limit: int) -> Page:
    """The rooms after a mark (before it where `backwards`), or the first ones."""
    where, params = _where(wanted)
    total: int = tx.value(f"SELECT COUNT(*) FROM published_rooms WHERE {where}", **params)
    comparison, order = (">", "ASC") if backwards else ("<", "DESC")
    rows = tx.all(
        f"""SELECT joined, room, chunk FROM published_rooms
            WHERE {where} AND (:from_start = 1 OR (joined, room) {comparison} (:joined, :room))
            ORDER BY joined {order}, room {order} LIMIT :limit""",
        from_start=int(mark is None),
        joined=mark.joined if mark else 0,
        room=mark.room if mark else 0,
        limit=limit + 1,
        **params,
    )
    more = len(rows) > limit
    rows = rows[:limit][::-1] if backwards else rows[:limit]
    chunk = [msgspec.json.decode(bytes(row[2]), type=PublicRoomsChunk) for row in rows]
    first, last = (Mark(*rows[0][:2]), Mark(*rows[-1][:2])) if rows else (None, None)
    if backwards:
        return Page(chunk, first, last, more, mark is not None, total)
    return Page(chunk, first, last, mark is not None, more, total)


def _where(wanted: Wanted) -> tuple[str, dict[str, object]]:
    conditions = ["shown = 1"]
    if wanted.federated:
        conditions.append("federated = 1")
    params: dict[str, object] = {}
    if wanted.network is not None:
        conditions.append(
            """room IN (SELECT n.room FROM network_rooms n
                        WHERE n.service_id = :service_id AND n.network_id = :network_id)"""
        )
        params |= wanted.network._asdict()
    elif not wanted.all_networks:
        conditions.append("main = 1")
    if wanted.words is not None:
        conditions.append("words LIKE :pattern ESCAPE '!'")
        params["pattern"] = f"%{escaped(wanted.words)}%"
    if wanted.room_types is not None:
        conditions.append("(room_type IN :room_types OR (:without = 1 AND room_type IS NULL))")
        params["room_types"] = [room_type for room_type in wanted.room_types if room_type is not None]
        params["without"] = int(None in wanted.room_types)
    return " AND ".join(conditions), params
