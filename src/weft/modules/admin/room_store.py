"""Rooms as administrators list them.

Each has a row with what it can be searched and sorted by, made from its state when somebody lists rooms and its state
is another than the last time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from weft.modules.admin.user_store import like
from weft.protocol.event import Event
from weft.protocol.event_auth import CREATE_KEY
from weft.protocol.identifiers import domain_of
from weft.storage import events
from weft.storage.database import Row, Transaction, WriteTransaction
from weft.storage.patterns import escaped

#: The places in a room's state that an overview is made of; all have the state key "".
_TYPES: Final = (
    "m.room.create",
    "m.room.name",
    "m.room.canonical_alias",
    "m.room.encryption",
    "m.room.join_rules",
    "m.room.guest_access",
    "m.room.history_visibility",
)
#: What the list can be ordered by, under the names that the endpoint has for it; and whether the largest comes first.
ORDERS: Final = {
    "name": ("COALESCE(o.name, '')", False),
    "alphabetical": ("COALESCE(o.name, '')", False),
    "canonical_alias": ("COALESCE(o.canonical_alias, '')", False),
    "joined_members": ("o.joined", True),
    "size": ("o.joined", True),
    "joined_local_members": ("o.joined_local", True),
    "version": ("r.version", True),
    "creator": ("COALESCE(o.creator, '')", False),
    "encryption": ("COALESCE(o.encryption, '')", False),
    "federatable": ("o.federatable", False),
    "public": ("CASE WHEN p.room IS NULL THEN 0 ELSE 1 END", False),
    "join_rules": ("COALESCE(o.join_rules, '')", False),
    "guest_access": ("COALESCE(o.guest_access, '')", False),
    "history_visibility": ("COALESCE(o.history_visibility, '')", False),
    "state_events": ("o.state_events", True),
}


class RoomRow(NamedTuple):
    """A room, in the order and with the names of the endpoint's answer."""

    room_id: str
    name: str | None
    canonical_alias: str | None
    joined_members: int
    joined_local_members: int
    version: str
    creator: str | None
    encryption: str | None
    federatable: bool
    public: bool
    join_rules: str | None
    guest_access: str | None
    history_visibility: str | None
    state_events: int
    room_type: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which rooms. None: of both kinds."""

    term: str | None = None
    public: bool | None = None
    empty: bool | None = None


_FROM: Final = """FROM rooms r JOIN room_overviews o ON o.room = r.room
                  LEFT JOIN published_rooms p ON p.room = r.room AND p.main = 1"""
_COLUMNS: Final = """r.room_id, o.name, o.canonical_alias, o.joined, o.joined_local, r.version, o.creator, o.encryption,
                     o.federatable, p.room, o.join_rules, o.guest_access, o.history_visibility, o.state_events,
                     o.room_type"""
#: Rooms that this server is or was in; of others nothing is known but who was invited.
_IS_HERE: Final = """r.snapshot IS NOT NULL AND EXISTS (SELECT 1 FROM forward_extremities f WHERE f.room = r.room)"""


def page(
    tx: Transaction, wanted: Wanted, *, order: str, backwards: bool, start: int, limit: int
) -> tuple[list[RoomRow], int]:
    """A page of rooms in one of `ORDERS`, and how many there are in all."""
    where, params = _where(wanted)
    column, largest_first = ORDERS[order]
    direction = "DESC" if largest_first != backwards else "ASC"
    rows = tx.all(
        f"""SELECT {_COLUMNS} {_FROM} WHERE {where}
            ORDER BY {column} {direction}, r.room_id LIMIT :limit OFFSET :start""",
        limit=limit,
        start=start,
        **params,
    )
    total: int = tx.value(f"SELECT COUNT(*) {_FROM} WHERE {where}", **params)
    return [_row(row) for row in rows], total


def one(tx: Transaction, room: int) -> RoomRow | None:
    row = tx.one(f"SELECT {_COLUMNS} {_FROM} WHERE r.room = :room", room=room)
    return _row(row) if row else None


def _row(row: Row) -> RoomRow:
    return RoomRow._make((*row[:8], bool(row[8]), row[9] is not None, *row[10:]))


def _where(wanted: Wanted) -> tuple[str, Mapping[str, Any]]:
    conditions = [_IS_HERE]
    params: dict[str, Any] = {}
    if wanted.term is not None:
        conditions.append(
            """(LOWER(o.name) LIKE :in_name ESCAPE '!' OR LOWER(o.canonical_alias) LIKE :in_alias ESCAPE '!'
                OR r.room_id LIKE :in_id ESCAPE '!')"""
        )
        params["in_name"] = f"%{like(wanted.term)}%"
        # Behind the localpart there is a colon, and in it none.
        params["in_alias"] = f"#%{like(wanted.term)}%:%"
        params["in_id"] = f"%{escaped(wanted.term)}%"
    if wanted.public is not None:
        conditions.append(f"p.room IS {'NOT ' if wanted.public else ''}NULL")
    if wanted.empty is not None:
        conditions.append("o.joined = 0" if wanted.empty else "o.joined > 0")
    return " AND ".join(conditions), params


# -- keeping overviews


class Overview(NamedTuple):
    room: int
    snapshot: int
    name: str | None
    canonical_alias: str | None
    joined: int
    joined_local: int
    creator: str | None
    encryption: str | None
    federatable: int
    join_rules: str | None
    guest_access: str | None
    history_visibility: str | None
    state_events: int
    room_type: str | None


def outdated(tx: Transaction, limit: int, is_local: Callable[[str], bool]) -> list[Overview]:
    """Rooms whose state is not the one that their overview was made from, as they are now."""
    rows = tx.all(
        f"""SELECT r.room, r.snapshot FROM rooms r LEFT JOIN room_overviews o ON o.room = r.room
            WHERE {_IS_HERE} AND (o.snapshot IS NULL OR o.snapshot <> r.snapshot) LIMIT :limit""",
        limit=limit,
    )
    return [_overview(tx, room, snapshot, is_local) for room, snapshot in rows]


def save(tx: WriteTransaction, overviews: Sequence[Overview]) -> None:
    columns = Overview._fields
    tx.many(
        f"""INSERT INTO room_overviews ({", ".join(columns)}) VALUES ({", ".join(f":{name}" for name in columns)})
            ON CONFLICT (room) DO UPDATE SET {", ".join(f"{name} = excluded.{name}" for name in columns[1:])}""",
        [one._asdict() for one in overviews],
    )


def forget(tx: WriteTransaction, rooms: Sequence[int]) -> None:
    """Has the overviews of some rooms made anew although their state is the same: something in it was redacted."""
    tx.run("DELETE FROM room_overviews WHERE room IN :rooms", rooms=list(rooms))


def _overview(tx: Transaction, room: int, snapshot: int, is_local: Callable[[str], bool]) -> Overview:
    rows = tx.all(
        "SELECT type, event_id FROM current_state WHERE room = :room AND type IN :types AND state_key = ''",
        room=room,
        types=list(_TYPES),
    )
    found = events.by_ids(tx, [event_id for _, event_id in rows])
    state = {event_type: found[event_id].event for event_type, event_id in rows if event_id in found}
    create = state.get(CREATE_KEY[0])
    members = [user_id for (user_id,) in tx.all(_JOINED, room=room)]
    others: int = tx.value("SELECT COUNT(*) FROM current_state WHERE room = :room", room=room)
    everybody: int = tx.value("SELECT COUNT(*) FROM memberships WHERE room = :room", room=room)
    return Overview(
        room=room,
        snapshot=snapshot,
        name=_text(state, "m.room.name", "name"),
        canonical_alias=_text(state, "m.room.canonical_alias", "alias"),
        joined=len(members),
        joined_local=sum(is_local(domain_of(user_id)) for user_id in members),
        creator=create.sender if create is not None else None,
        encryption=_text(state, "m.room.encryption", "algorithm"),
        federatable=int(create is None or create.content.get("m.federate") is not False),
        join_rules=_text(state, "m.room.join_rules", "join_rule"),
        guest_access=_text(state, "m.room.guest_access", "guest_access"),
        history_visibility=_text(state, "m.room.history_visibility", "history_visibility"),
        state_events=others + everybody,
        room_type=_text(state, "m.room.create", "type"),
    )


_JOINED: Final = "SELECT user_id FROM memberships WHERE room = :room AND membership = 'join'"


def _text(state: Mapping[str, Event], event_type: str, key: str) -> str | None:
    event = state.get(event_type)
    value = event.content.get(key) if event is not None else None
    return value if isinstance(value, str) and value else None


# -- what an overview does not have


def local_devices(tx: Transaction, room: int, is_local: Callable[[str], bool]) -> int:
    """How many devices the users of this server have who are in a room."""
    members = [user_id for (user_id,) in tx.all(_JOINED, room=room) if is_local(domain_of(user_id))]
    count: int = tx.value("SELECT COUNT(*) FROM devices WHERE user_id IN :users", users=members)
    return count


def is_forgotten(tx: Transaction, room: int, is_local: Callable[[str], bool]) -> bool:
    """Whether no user of this server has anything to do with a room any more."""
    rows = tx.all("SELECT user_id FROM memberships WHERE room = :room AND forgotten = 0", room=room)
    return not any(is_local(domain_of(user_id)) for (user_id,) in rows)
