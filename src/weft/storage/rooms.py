"""Rooms by their ids, and who is in them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

from weft.storage.database import Transaction, WriteTransaction


class RoomRow(NamedTuple):
    """`room` is the number that stands for the room in every other table."""

    room: int
    room_id: str
    version: str
    #: The state that `memberships` and `current_state` hold.
    snapshot: int | None
    #: Whether the ends of the graph have different states that are not resolved yet.
    forked: int


class MembershipRow(NamedTuple):
    room: int
    room_id: str
    user_id: str
    membership: str
    event_id: str
    position: int
    forgotten: int


def create(tx: WriteTransaction, room_id: str, version: str) -> int:
    """Makes the row of a room; raises `UniqueViolation` where it is there already."""
    tx.run("INSERT INTO rooms (room_id, version) VALUES (:room_id, :version)", room_id=room_id, version=version)
    room: int = tx.value("SELECT room FROM rooms WHERE room_id = :room_id", room_id=room_id)
    return room


def by_id(tx: Transaction, room_id: str) -> RoomRow | None:
    row = tx.one("SELECT room, room_id, version, snapshot, forked FROM rooms WHERE room_id = :room_id", room_id=room_id)
    return RoomRow(*row) if row else None


def by_ids(tx: Transaction, room_ids: Collection[str]) -> list[RoomRow]:
    """Those of the rooms that are here."""
    rows = tx.all(
        "SELECT room, room_id, version, snapshot, forked FROM rooms WHERE room_id IN :room_ids", room_ids=list(room_ids)
    )
    return [RoomRow(*row) for row in rows]


def by_number(tx: Transaction, room: int) -> RoomRow | None:
    row = tx.one("SELECT room, room_id, version, snapshot, forked FROM rooms WHERE room = :room", room=room)
    return RoomRow(*row) if row else None


def set_version(tx: WriteTransaction, room: int, version: str) -> None:
    tx.put("UPDATE rooms SET version = :version WHERE room = :room", version=version, room=room)


def applied(tx: Transaction, room: int) -> int | None:
    """The state that the room's tables hold."""
    found: int | None = tx.value("SELECT snapshot FROM rooms WHERE room = :room", room=room)
    return found


_MEMBERSHIP = """SELECT m.room, r.room_id, m.user_id, m.membership, m.event_id, m.position, m.forgotten
                 FROM memberships m JOIN rooms r ON r.room = m.room"""


def memberships_of_user(tx: Transaction, user_id: str) -> list[MembershipRow]:
    """Every room that the user is or was in, or is invited to, or knocked at."""
    return [MembershipRow(*row) for row in tx.all(f"{_MEMBERSHIP} WHERE m.user_id = :user_id", user_id=user_id)]


def members(tx: Transaction, room: int, memberships: Sequence[str] = ("join",)) -> list[MembershipRow]:
    """The current members of a room with one of the memberships."""
    return [
        MembershipRow(*row)
        for row in tx.all(
            f"{_MEMBERSHIP} WHERE m.room = :room AND m.membership IN :memberships",
            room=room,
            memberships=list(memberships),
        )
    ]


def memberships_of_rooms(tx: Transaction, rooms: Collection[int]) -> list[tuple[int, str, str, str, int]]:
    """Everybody who is or was a member of some rooms: room, user, membership, and the event's id and position."""
    return tx.all(
        "SELECT room, user_id, membership, event_id, position FROM memberships WHERE room IN :rooms", rooms=list(rooms)
    )


def rooms_in_common(tx: Transaction, user_id: str, others: Collection[str]) -> set[str]:
    """Which of the others are joined to a room that the user is joined to."""
    return {
        other
        for (other,) in tx.all(
            """SELECT DISTINCT theirs.user_id FROM memberships mine JOIN memberships theirs ON theirs.room = mine.room
               WHERE mine.user_id = :user_id AND mine.membership = 'join'
                 AND theirs.membership = 'join' AND theirs.user_id IN :others""",
            user_id=user_id,
            others=list(others),
        )
    }


def who_is_in_a_room(tx: Transaction, users: Collection[str]) -> set[str]:
    """Which of some users are joined to any room."""
    rows = tx.all(
        "SELECT DISTINCT user_id FROM memberships WHERE membership = 'join' AND user_id IN :users", users=list(users)
    )
    return {user_id for (user_id,) in rows}


def forget(tx: WriteTransaction, room: int, user_id: str) -> bool:
    """Marks a room as forgotten by a user who has left it. Whether there was anything to mark."""
    return bool(
        tx.run(
            """UPDATE memberships SET forgotten = 1
               WHERE room = :room AND user_id = :user_id AND membership IN ('leave', 'ban')""",
            room=room,
            user_id=user_id,
        )
    )
