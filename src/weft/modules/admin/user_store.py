"""Accounts as administrators list them.

What such a list can be searched and sorted by is in tables of several modules, so this reads them together; it writes
none.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import msgspec

from weft.storage.database import Row, Transaction
from weft.storage.patterns import escaped

#: What the list can be ordered by, under the names that the endpoint has for it.
ORDERS: Final = {
    "name": "u.user_id",
    "is_guest": "u.is_guest",
    "admin": "u.is_admin",
    "user_type": "COALESCE(u.user_type, '')",
    "deactivated": "CASE WHEN u.deactivated_ms IS NULL THEN 0 ELSE 1 END",
    # Nobody is.
    "shadow_banned": "0 * u.is_guest",
    "displayname": "COALESCE(d.display_name, '')",
    "avatar_url": "COALESCE(d.avatar_url, '')",
    "creation_ts": "u.created_ms",
    "last_seen_ts": "COALESCE((SELECT MAX(v.last_seen_ms) FROM devices v WHERE v.user_id = u.user_id), 0)",
    "locked": "u.locked",
    "suspended": "u.suspended",
}
_FROM: Final = "FROM users u LEFT JOIN user_directory d ON d.user_id = u.user_id"


class UserRow(NamedTuple):
    """`last_seen_ms`: milliseconds since 1970; None for who was never seen."""

    user_id: str
    is_guest: bool
    is_admin: bool
    user_type: str | None
    deactivated: bool
    erased: bool
    locked: bool
    suspended: bool
    created_ms: int
    last_seen_ms: int | None
    display_name: str | None
    avatar_url: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which accounts. `deactivated`, `admins`: None for both kinds. `not_types`: "" stands for accounts of no type."""

    of_id: str | None = None
    of_name: str | None = None
    guests: bool = True
    admins: bool | None = None
    deactivated: bool | None = None
    locked: bool = False
    not_types: Sequence[str] = ()


def page(
    tx: Transaction, wanted: Wanted, *, order: str, backwards: bool, start: int, limit: int
) -> tuple[list[UserRow], int]:
    """A page of accounts in one of `ORDERS`, and how many there are in all."""
    where, params = _where(wanted)
    direction = "DESC" if backwards else "ASC"
    rows = tx.all(
        f"""SELECT {_columns()} {_FROM} WHERE {where}
            ORDER BY {ORDERS[order]} {direction}, u.user_id LIMIT :limit OFFSET :start""",
        limit=limit,
        start=start,
        **params,
    )
    total: int = tx.value(f"SELECT COUNT(*) {_FROM} WHERE {where}", **params)
    return [_row(row) for row in rows], total


def one(tx: Transaction, user_id: str) -> UserRow | None:
    row = tx.one(f"SELECT {_columns()} {_FROM} WHERE u.user_id = :user_id", user_id=user_id)
    return _row(row) if row else None


def _columns() -> str:
    return f"""u.user_id, u.is_guest, u.is_admin, u.user_type, u.deactivated_ms, u.erased, u.locked, u.suspended,
               u.created_ms, {ORDERS["last_seen_ts"]}, d.display_name, d.avatar_url"""


def _row(row: Row) -> UserRow:
    return UserRow(
        row[0],
        bool(row[1]),
        bool(row[2]),
        row[3],
        row[4] is not None,
        bool(row[5]),
        bool(row[6]),
        bool(row[7]),
        row[8],
        row[9] or None,
        row[10],
        row[11],
    )


def _where(wanted: Wanted) -> tuple[str, Mapping[str, Any]]:
    conditions = ["1 = 1"]
    params: dict[str, Any] = {}
    if wanted.of_name is not None:
        conditions.append(
            "(LOWER(u.user_id) LIKE :of_localpart ESCAPE '!' OR LOWER(d.display_name) LIKE :of_name ESCAPE '!')"
        )
        # Behind the localpart there is a colon, and in it none.
        params["of_localpart"] = f"@%{like(wanted.of_name)}%:%"
        params["of_name"] = f"%{like(wanted.of_name)}%"
    elif wanted.of_id is not None:
        conditions.append("LOWER(u.user_id) LIKE :of_id ESCAPE '!'")
        params["of_id"] = f"%{like(wanted.of_id)}%"
    if not wanted.guests:
        conditions.append("u.is_guest = 0")
    if wanted.admins is not None:
        conditions.append(f"u.is_admin = {int(wanted.admins)}")
    if wanted.deactivated is not None:
        conditions.append(f"u.deactivated_ms IS {'NOT ' if wanted.deactivated else ''}NULL")
    if not wanted.locked:
        conditions.append("u.locked = 0")
    if wanted.not_types:
        conditions.append("COALESCE(u.user_type, '') NOT IN :not_types")
        params["not_types"] = list(wanted.not_types)
    return " AND ".join(conditions), params


def like(text: str) -> str:
    """A text as part of a pattern whose escape is `!`, folded as the databases fold."""
    folded = re.sub("[A-Z]", lambda match: match[0].lower(), text)
    return escaped(folded)


# -- what somebody did in rooms


class _Content(msgspec.Struct):
    membership: str = ""


class _Member(msgspec.Struct):
    content: _Content


_MEMBER: Final = msgspec.json.Decoder(_Member)


def invites_since(tx: Transaction, user_id: str, since_ms: int) -> int:
    """How many invites somebody has sent since a time."""
    rows = tx.all(
        """SELECT e.json FROM memberships m JOIN events e ON e.room = m.room AND e.type = 'm.room.member'
             AND e.state_key IS NOT NULL
           WHERE m.user_id = :user_id AND e.sender = :user_id AND e.state_key <> :user_id AND e.outcome = 0
             AND e.origin_server_ts >= :since""",
        user_id=user_id,
        since=since_ms,
    )
    return sum(_MEMBER.decode(bytes(json)).content.membership == "invite" for (json,) in rows)


def rooms_joined_since(tx: Transaction, user_id: str, since_ms: int) -> int:
    """How many rooms somebody has entered since a time, whether they are still there or not."""
    rows = tx.all(
        """SELECT e.room, e.json FROM memberships m JOIN events e ON e.room = m.room AND e.type = 'm.room.member'
             AND e.state_key = m.user_id
           WHERE m.user_id = :user_id AND e.outcome = 0 AND e.origin_server_ts >= :since""",
        user_id=user_id,
        since=since_ms,
    )
    return len({room for room, json in rows if _MEMBER.decode(bytes(json)).content.membership == "join"})
