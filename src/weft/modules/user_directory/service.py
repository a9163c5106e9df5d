"""Finding users by what they are called: those of this server, and others who are in rooms with them.

Who searches finds those who share a room with them and those in rooms that are open to everybody; or all, if the
operator wants it so.

https://spec.matrix.org/v1.19/client-server-api/#user-directory
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from weft.modules.user_directory import store
from weft.modules.user_directory.store import Found
from weft.modules.user_directory.words import fold, words
from weft.protocol.identifiers import localpart_of
from weft.rooms.engine import Engine
from weft.storage.database import WriteTransaction
from weft.storage.events import StoredEvent
from weft.storage.positions import Entry
from weft.storage.purging import ROOM_DELETED

_MAX_WORDS = 8


class UserDirectory:
    def __init__(self, engine: Engine, *, search_all_users: bool) -> None:
        self._engine = engine
        self._search_all_users = search_all_users
        #: The rooms that are open to everybody, by number; None where that has to be read.
        self._public_rooms: set[int] | None = None
        self._changes = 0

    async def search(self, user_id: str, term: str, limit: int) -> tuple[list[Found], bool]:
        """The users who match best, at most `limit`; and whether there are more."""
        wanted = fold(term.strip())
        of_id = wanted.removeprefix("@") if wanted.startswith("@") else None
        searched = words(of_id.partition(":")[0] if of_id is not None else wanted)[:_MAX_WORDS]
        if not searched:
            return [], False
        public = None if self._search_all_users else await self._public()
        found, more = await self._engine.database.read(store.search, user_id, searched, public)
        if of_id is not None:
            found = [one for one in found if fold(one.user_id[1:]).startswith(of_id)]
        found.sort(key=lambda one: _rank(one, wanted))
        return found[:limit], more or len(found) > limit

    def index(self, tx: WriteTransaction, user_id: str, profile: Mapping[str, str]) -> None:
        """Takes in what a user is called, in the transaction that changes it."""
        store.index(tx, user_id, profile)

    def hide(self, tx: WriteTransaction, user_id: str) -> None:
        """Takes a user out, in the transaction in which the account ends."""
        store.hide(tx, user_id)

    def unhide(self, tx: WriteTransaction, user_id: str) -> None:
        """Lets a user in again, in the transaction in which the account begins anew and before it is indexed."""
        store.unhide(tx, user_id)

    def apply(self, entries: Sequence[Entry]) -> None:
        """Follows which rooms are open."""
        for entry in entries:
            if entry.kind in ("resolution", ROOM_DELETED) or (
                entry.kind in ("event", "redacted")
                and isinstance(entry.payload, StoredEvent)
                and entry.payload.event.type in store.OPENING
            ):
                self._public_rooms = None
                self._changes += 1

    async def _public(self) -> set[int]:
        if self._public_rooms is not None:
            return self._public_rooms
        before = self._changes
        public = await self._engine.database.read(store.public_rooms)
        if self._changes == before:
            self._public_rooms = public
        return public


def _rank(found: Found, wanted: str) -> tuple[bool, bool, bool, str]:
    """What is called just so comes first, then what begins so, then what has a name at all."""
    names = (fold(found.display_name or ""), localpart_of(found.user_id), found.user_id)
    return (wanted not in names, not found.starts, found.display_name is None, found.user_id)
