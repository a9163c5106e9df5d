"""Which threads users follow: asked by their push rules, and told to their clients by sliding sync.

https://github.com/matrix-org/matrix-spec-proposals/pull/4306
https://github.com/matrix-org/matrix-spec-proposals/pull/4308
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from weft.modules.thread_subscriptions import store
from weft.modules.thread_subscriptions.store import Change, Thread
from weft.protocol.errors import NotFound
from weft.rooms.engine import Engine
from weft.storage.database import WriteTransaction
from weft.storage.derived import Derived
from weft.storage.positions import Entry, Moment, Vector
from weft.storage.purging import ROOM_DELETED

#: The most changes that are told at once, whatever is asked for.
MAX_LIMIT: Final = 512
#: Begins the tokens of pages.
_LETTER: Final = "t"
_NONE: Final = frozenset[str]()
_OVERHEAD: Final = 300
_PER_THREAD: Final = 150

_ByRoom = Mapping[int, frozenset[str]]


class ThreadSubscriptions:
    """`enabled`: whether this server has them; where not, nobody is subscribed to anything."""

    def __init__(self, engine: Engine, *, enabled: bool) -> None:
        self._engine = engine
        self.enabled = enabled
        self._users: Derived[str, _ByRoom] = Derived(
            engine.budget.cache("thread_subscriptions", 0.01, _size), self._load
        )
        engine.purging.tables["thread_subscriptions"] = "user_id, room, root"

    async def of_room(self, user_id: str, room: int) -> frozenset[str]:
        """The roots of the threads of a room that a user is subscribed to."""
        return (await self._users.get(user_id)).get(room, _NONE) if self.enabled else _NONE

    async def is_automatic(self, thread: Thread) -> bool:
        """Whether a subscription was made by the client itself. Raises `NotFound` where there is none."""
        found = await self._engine.database.get(store.is_automatic, thread)
        if found is None:
            raise NotFound("You are not subscribed to the thread.")
        return found

    async def subscribe(self, thread: Thread, cause: int | None) -> None:
        """Subscribes a user to a thread. `cause` is the position of the event for which a client did it by itself.

        Raises `M_CONFLICTING_UNSUBSCRIPTION` where the user gave the thread up when that event was there already.
        """
        await self._engine.database.write(store.subscribe, thread, cause, self._engine.outside.now_ms())

    async def unsubscribe(self, thread: Thread) -> None:
        """Ends a subscription, where there is one."""
        seen, now_ms = self._engine.log.head, self._engine.outside.now_ms()
        await self._engine.database.write(store.unsubscribe, thread, seen, now_ms)

    async def changed(
        self, user_id: str, since: Vector | None, upto: Vector, limit: int, before: str | None = None
    ) -> tuple[dict[str, Any], str | None]:
        """The latest changes between two vectors, as clients get them, and a token for those before, if there are any.

        `before` is such a token. Raises `InvalidParam` for one that is none.
        """
        found, is_all = await self._engine.database.read(
            store.changes,
            user_id,
            since=since or Vector(),
            upto=upto,
            before=Moment.parse(_LETTER, before) if before is not None else store.LAST,
            limit=min(limit, MAX_LIMIT),
        )
        return _json(found), None if is_all or not found else found[-1].moment.spell(_LETTER)

    def removed(self, tx: WriteTransaction, user_id: str) -> None:
        """Forgets a user's subscriptions, in the transaction in which the account ends."""
        store.remove_all(tx, user_id)

    def apply(self, entries: Sequence[Entry]) -> None:
        """Forgets what the log says has changed."""
        for entry in entries:
            if entry.kind == store.KIND and entry.user_id is not None:
                self._users.drop(entry.user_id)
            elif entry.kind == ROOM_DELETED:
                self._users.clear()

    async def _load(self, user_id: str) -> _ByRoom:
        return await self._engine.database.get(store.of_user, user_id)


def _size(by_room: _ByRoom) -> int:
    return _OVERHEAD + sum(_OVERHEAD + _PER_THREAD * len(roots) for roots in by_room.values())


def _json(changes: Sequence[Change]) -> dict[str, Any]:
    told: dict[str, dict[str, dict[str, Any]]] = {}
    for change in changes:
        name = "subscribed" if change.is_subscribed else "unsubscribed"
        as_it_is = {"automatic": change.is_automatic} if change.is_subscribed else {}
        of_room = told.setdefault(name, {}).setdefault(change.room_id, {})
        of_room[change.root] = {**as_it_is, "bump_stamp": change.stamp}
    return told
