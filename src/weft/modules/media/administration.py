"""What administrators do with media: look, delete, have nobody see it.

Deleted media is gone; quarantined media stays and is shown to nobody, and neither are the same bytes, whoever uploads
them again or sends them from elsewhere.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Final

from weft.modules.media import admin_store, store
from weft.modules.media.keeping import Keeping
from weft.modules.media.service import MISSING, checked_mxc
from weft.modules.media.store import Medium
from weft.protocol.errors import InvalidParam, MatrixError, NotFound
from weft.protocol.identifiers import Mxc, is_valid_user_id
from weft.rooms.engine import Engine
from weft.storage.database import Transaction, WriteTransaction
from weft.storage.rooms import by_id

#: Media that are removed in one transaction.
_AT_ONCE: Final = 100


class Administration:
    """`exists`: whether there is, or was, an account. `pictures`: the texts of the profiles that are here."""

    def __init__(
        self,
        engine: Engine,
        keeping: Keeping,
        *,
        exists: Callable[[str], Awaitable[bool]],
        pictures: Callable[[Transaction], Iterable[bytes]],
    ) -> None:
        self._engine = engine
        self._database = engine.database
        self._keeping = keeping
        self._exists = exists
        self._pictures = pictures

    # -- looking

    async def info(self, mxc: Mxc) -> tuple[Medium, str | None]:
        """A medium of this server, or a copy of another's, and where its file is. Raises `NotFound`."""
        medium = await self._database.get(store.find, *mxc)
        if medium is None:
            raise NotFound(MISSING)
        return medium, await self._database.get(store.location_of, medium.hash) if medium.hash else None

    async def of_user(
        self, user_id: str, *, order: str | None, direction: str | None, start: int, limit: int
    ) -> tuple[list[Medium], int]:
        """A page of what a user of this server uploaded, and how much that is in all."""
        if not is_valid_user_id(user_id) or not self._engine.is_local(user_id):
            raise InvalidParam("The user does not belong to this server.")
        if not await self._exists(user_id):
            raise NotFound("There is no such account.")
        backwards = direction == "b" or (direction is None and order is None)
        return await self._database.read(
            admin_store.of_user, user_id, order=order or "created_ts", backwards=backwards, start=start, limit=limit
        )

    async def in_room(self, room_id: str) -> list[Mxc]:
        """The media that are named in a room's events. Raises `NotFound`."""
        row = await self._database.get(by_id, room_id)
        if row is None:
            raise NotFound("This server does not know that room.")
        found: dict[Mxc, None] = {}
        position: int | None = -(1 << 62)
        while position is not None:
            some, position = await self._database.read(admin_store.in_room, row.room, position)
            found.update(dict.fromkeys(some))
        return list(found)

    # -- deleting

    async def delete(self, mxc: Mxc) -> None:
        """Deletes a medium of this server. Raises `NotFound`."""
        if not self._engine.is_local_domain(mxc.server_name):
            raise MatrixError("Only media of this server can be deleted; copies of others' are purged.")
        if not await self._delete([mxc]):
            raise NotFound(MISSING)

    async def delete_many(self, media: Iterable[Medium]) -> list[str]:
        """Deletes media; the ids of those that were still there."""
        return await self._delete([Mxc(medium.server_name, medium.media_id) for medium in media])

    async def delete_unused(self, before_ms: int, larger_than: int, *, keep_pictures: bool) -> list[str]:
        """Deletes what nobody has looked at since, and is larger; `keep_pictures`: but for those of accounts and rooms.

        Returns the ids of what was deleted.
        """
        kept = await self._database.read(self._in_use) if keep_pictures else frozenset()
        deleted: list[str] = []
        after = ("", "")
        while media := await self._database.read(admin_store.unused_since, before_ms, larger_than, after, _AT_ONCE):
            after = media[-1].server_name, media[-1].media_id
            deleted += await self.delete_many(medium for medium in media if Mxc(*medium[:2]) not in kept)
        return deleted

    async def purge_copies(self, before_ms: int) -> int:
        """Removes copies of other servers' media that nobody has looked at since; how many."""
        purged = 0
        while media := await self._database.read(store.unused_remote, before_ms, _AT_ONCE):
            purged += len(media)
            await self._database.write(_forget, media)
            await self._keeping.collect()
        return purged

    async def _delete(self, mxcs: list[Mxc]) -> list[str]:
        deleted: list[str] = []
        for start in range(0, len(mxcs), _AT_ONCE):
            deleted += await self._database.write(_delete, mxcs[start : start + _AT_ONCE])
            await self._keeping.collect()
        return deleted

    def _in_use(self, tx: Transaction) -> frozenset[Mxc]:
        return frozenset(admin_store.named_in(self._pictures(tx))).union(admin_store.pictures_of_rooms(tx))

    # -- quarantine

    async def quarantine(self, mxc: Mxc, by: str) -> None:
        """Raises `NotFound`, and `M_UNKNOWN` for what is protected. Another server's need not be here."""
        now_ms = self._engine.outside.now_ms()
        is_remote = not self._engine.is_local_domain(mxc.server_name)

        def write(tx: WriteTransaction) -> None:
            medium = store.held(tx, *mxc)
            if medium is None and is_remote:
                store.add(tx, _unseen(mxc, now_ms))
            elif medium is None:
                raise NotFound(MISSING)
            if not admin_store.quarantine(tx, mxc, by):
                raise MatrixError("This media is protected from quarantine.")

        await self._database.write(write)

    async def quarantine_user(self, user_id: str, by: str) -> int:
        """All that a user uploaded here but what is protected; how many."""
        count = 0
        start = 0
        while True:
            media, total = await self.of_user(user_id, order="media_id", direction="f", start=start, limit=_AT_ONCE)
            count += await self._quarantine_all([Mxc(*medium[:2]) for medium in media], by)
            start += _AT_ONCE
            if start >= total:
                return count

    async def quarantine_room(self, room_id: str, by: str) -> int:
        """All that is named in a room's events and is here, but what is protected; how many."""
        return await self._quarantine_all(await self.in_room(room_id), by)

    async def _quarantine_all(self, mxcs: list[Mxc], by: str) -> int:
        def write(tx: WriteTransaction, some: list[Mxc]) -> int:
            return sum(admin_store.quarantine(tx, mxc, by) for mxc in some)

        count = 0
        for start in range(0, len(mxcs), _AT_ONCE):
            count += await self._database.write(write, mxcs[start : start + _AT_ONCE])
        return count

    async def release(self, mxc: Mxc) -> None:
        """Takes a medium out of quarantine. Raises `NotFound`."""
        await self.info(mxc)
        await self._database.write(admin_store.release, mxc)

    async def protect(self, media_id: str, protected: bool) -> None:
        """Whether a medium of this server may be quarantined. Raises `NotFound`."""
        for server_name in self._engine.server_names:
            mxc = checked_mxc(server_name, media_id)
            if await self._database.get(store.find, *mxc) is not None:
                await self._database.write(admin_store.protect, mxc, protected)
                return
        raise NotFound(MISSING)


def _delete(tx: WriteTransaction, mxcs: list[Mxc]) -> list[str]:
    media = [medium for mxc in mxcs if (medium := store.held(tx, *mxc)) is not None]
    store.delete(tx, media)
    return [medium.media_id for medium in media]


def _forget(tx: WriteTransaction, media: list[Medium]) -> None:
    for medium in media:
        current = store.held(tx, medium.server_name, medium.media_id)
        if current is not None:
            store.forget(tx, current)


def _unseen(mxc: Mxc, now_ms: int) -> Medium:
    """A medium of another server that is not here."""
    return Medium(
        server_name=mxc.server_name,
        media_id=mxc.media_id,
        remote=True,
        hash=None,
        size=0,
        content_type=None,
        file_name=None,
        user_id=None,
        created_ms=now_ms,
        used_ms=None,
        expires_ms=None,
        authenticated=True,
        protected=False,
        quarantined_by=None,
    )
