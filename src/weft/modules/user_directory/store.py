"""The rows of the user directory, written in the transactions that change what they are made from."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import orjson

from weft.modules.user_directory.words import terms
from weft.protocol.identifiers import localpart_of
from weft.storage import events
from weft.storage import rooms as room_store
from weft.storage.database import Transaction, WriteTransaction
from weft.storage.events import StoredEvent

#: How many terms are looked at for one word, and how many users for one search.
_MAX_TERMS = 5_000
_MAX_USERS = 2_000
_LAST = "\U0010ffff"


class Found(NamedTuple):
    user_id: str
    display_name: str | None
    avatar_url: str | None
    #: Whether every word that was searched begins a word of the name.
    starts: bool


def index(tx: WriteTransaction, user_id: str, profile: Mapping[str, str]) -> None:
    """Takes in what a user is called now; an account that has ended stays out."""
    if tx.value("SELECT hidden FROM user_directory WHERE user_id = :user_id", user_id=user_id):
        return
    # NUL is a character that some databases refuse.
    display_name = profile.get("displayname", "").replace("\0", "") or None
    tx.run(
        """INSERT INTO user_directory (user_id, display_name, avatar_url)
           VALUES (:user_id, :display_name, :avatar_url)
           ON CONFLICT (user_id) DO UPDATE SET
               display_name = excluded.display_name, avatar_url = excluded.avatar_url""",
        user_id=user_id,
        display_name=display_name,
        avatar_url=profile.get("avatar_url"),
    )
    tx.run("DELETE FROM user_directory_terms WHERE user_id = :user_id", user_id=user_id)
    names = [localpart_of(user_id), *([display_name] if display_name else [])]
    tx.many(
        """INSERT INTO user_directory_terms (term, user_id, starts) VALUES (:term, :user_id, :starts)
           ON CONFLICT (term, user_id) DO UPDATE SET starts = excluded.starts""",
        [{"term": term, "user_id": user_id, "starts": int(starts)} for term, starts in terms(names).items()],
    )


def unhide(tx: WriteTransaction, user_id: str) -> None:
    """Has an account whose end is over be found again, once it is indexed."""
    tx.run("UPDATE user_directory SET hidden = 0 WHERE user_id = :user_id", user_id=user_id)


def index_all(tx: WriteTransaction, users: Sequence[tuple[str, Mapping[str, str]]]) -> None:
    """As `index`, for users of other servers; nothing is written for those who are called the same as before."""
    ids = [user_id for user_id, _ in users]
    rows = tx.all(
        "SELECT user_id, display_name, avatar_url FROM user_directory WHERE user_id IN :user_ids", user_ids=ids
    )
    known = {user_id: (name, avatar) for user_id, name, avatar in rows}
    for user_id, profile in users:
        if known.get(user_id) != (profile.get("displayname") or None, profile.get("avatar_url")):
            index(tx, user_id, profile)


def members_at(tx: Transaction, positions: Collection[int]) -> dict[int, StoredEvent]:
    """Those of some events that are about members, by position."""
    rows = tx.all(
        "SELECT position FROM events WHERE position IN :positions AND type = 'm.room.member'", positions=list(positions)
    )
    return events.by_positions(tx, [position for (position,) in rows]) if rows else {}


def unknown_members(tx: Transaction, room: int, after: str, limit: int) -> tuple[list[str], str | None]:
    """The member events of those in a room who are not in the directory, a page of them; and where the next begins."""
    rows = tx.all(
        """SELECT m.user_id, m.event_id FROM memberships m
           WHERE m.room = :room AND m.membership = 'join' AND m.user_id > :after
             AND NOT EXISTS (SELECT 1 FROM user_directory d WHERE d.user_id = m.user_id)
           ORDER BY m.user_id LIMIT :limit""",
        room=room,
        after=after,
        limit=limit,
    )
    return [event_id for _, event_id in rows], rows[-1][0] if len(rows) == limit else None


def hide(tx: WriteTransaction, user_id: str) -> None:
    """Takes a user out for good."""
    tx.run(
        """INSERT INTO user_directory (user_id, hidden) VALUES (:user_id, 1)
           ON CONFLICT (user_id) DO UPDATE SET hidden = 1, display_name = NULL, avatar_url = NULL""",
        user_id=user_id,
    )
    tx.run("DELETE FROM user_directory_terms WHERE user_id = :user_id", user_id=user_id)


def search(
    tx: Transaction, user_id: str, words: Sequence[str], public_rooms: Collection[int] | None
) -> tuple[list[Found], bool]:
    """Users in whose names every word is, other than the one who asks; and whether there may be more.

    With `public_rooms`, just those who are in one of these or share a room with who asks.
    """
    matching = _matching(tx, words)
    matching.pop(user_id, None)
    if public_rooms is not None and matching:
        visible = room_store.rooms_in_common(tx, user_id, matching) | _in_rooms(tx, matching, public_rooms)
        matching = {found: starts for found, starts in matching.items() if found in visible}
    rows = tx.all(
        "SELECT user_id, display_name, avatar_url FROM user_directory WHERE user_id IN :user_ids AND hidden = 0",
        user_ids=list(matching)[:_MAX_USERS],
    )
    return [Found(found, name, avatar, matching[found]) for found, name, avatar in rows], len(matching) > _MAX_USERS


def _matching(tx: Transaction, words: Sequence[str]) -> dict[str, bool]:
    """The users for whom every word is the beginning of a term; True where of a whole word each time."""
    matching: dict[str, bool] | None = None
    # The longest word is found most rarely.
    for word in sorted(words, key=len, reverse=True):
        among = "" if matching is None else "AND user_id IN :user_ids"
        params = {} if matching is None else {"user_ids": list(matching)}
        rows = tx.all(
            f"""SELECT user_id, starts FROM user_directory_terms
                WHERE term >= :low AND term < :high {among} ORDER BY term LIMIT :limit""",
            low=word,
            high=word + _LAST,
            limit=_MAX_TERMS,
            **params,
        )
        found: dict[str, bool] = {}
        for user_id, starts in rows:
            found[user_id] = found.get(user_id, False) or bool(starts)
        before = matching
        matching = {u: starts and (before is None or before[u]) for u, starts in found.items()}
        if not matching:
            break
    return matching or {}


def _in_rooms(tx: Transaction, user_ids: Collection[str], rooms: Collection[int]) -> set[str]:
    """Which of the users are joined to one of the rooms."""
    rows = tx.all(
        """SELECT DISTINCT user_id FROM memberships
           WHERE user_id IN :user_ids AND membership = 'join' AND room IN :rooms""",
        user_ids=list(user_ids),
        rooms=list(rooms),
    )
    return {user_id for (user_id,) in rows}


#: The state that makes a room's members visible to everybody: its type, the key of its content, and the value there.
OPENING = {
    "m.room.join_rules": ("join_rule", "public"),
    "m.room.history_visibility": ("history_visibility", "world_readable"),
}


def public_rooms(tx: Transaction) -> set[int]:
    """The rooms that everybody may join or read."""
    rows = tx.all(
        """SELECT s.room, s.type, e.json FROM current_state s JOIN events e ON e.event_id = s.event_id
           WHERE s.type IN :types AND s.state_key = ''""",
        types=list(OPENING),
    )
    return {room for room, event_type, json in rows if is_open(event_type, orjson.loads(bytes(json)).get("content"))}


def is_open(event_type: str, content: object) -> bool:
    """Whether a state event opens its room to everybody."""
    key, value = OPENING[event_type]
    return isinstance(content, dict) and content.get(key) == value
