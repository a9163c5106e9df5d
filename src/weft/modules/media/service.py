"""Media: taken in, waited for, found.

https://spec.matrix.org/v1.19/client-server-api/#content-repository
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from typing import Final, Protocol

import structlog

from weft.modules.media import content_types, store
from weft.modules.media.files import FileMissingError, Incoming, TooManyBytesError
from weft.modules.media.keeping import Keeping
from weft.modules.media.metrics import MediaMetrics
from weft.modules.media.store import Medium
from weft.protocol.errors import Forbidden, LimitExceeded, MatrixError, NotFound, TooLarge
from weft.protocol.identifiers import Mxc, is_valid_mxc
from weft.rooms.engine import Engine
from weft.settings import Media as MediaSettings
from weft.storage.database import WriteTransaction

log = structlog.get_logger(__name__)

#: How long somebody may wait for content that was announced, in milliseconds.
MAX_WAIT_MS: Final = 60_000
#: Seconds between two looks whether another process has taken it in.
_LOOK: Final = 0.5
#: Announced content may still be on its way so long after its time is over.
_GRACE_MS: Final = 3_600_000
#: When something was looked at is known so exactly.
_USE_STEP_MS: Final = 3_600_000
#: What a crash left behind is removed when it is as old as that.
_LEFT_BEHIND_MS: Final = 24 * 3_600_000
MISSING: Final = "There is no such media."


class Fetch(Protocol):
    """Brings a remote medium here."""

    async def __call__(self, mxc: Mxc, timeout_ms: int) -> Medium: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """How somebody wants a medium: without a token nothing newer than the freeze is to be had."""

    authenticated: bool = True
    allow_remote: bool = True
    timeout_ms: int = 20_000


@dataclass(frozen=True, slots=True)
class Upload:
    """What comes with the bytes of an upload."""

    content_type: str | None
    file_name: str | None
    #: Bytes, if they are known before.
    length: int | None = None


class MediaService:
    def __init__(
        self,
        engine: Engine,
        settings: MediaSettings,
        keeping: Keeping,
        metrics: MediaMetrics,
        *,
        fetch: Fetch,
    ) -> None:
        self._engine = engine
        self._settings = settings
        self._keeping = keeping
        self._metrics = metrics
        self._fetch = fetch
        #: Set when the content of a URI has come in by way of this process.
        self._awaited: dict[Mxc, asyncio.Event] = {}

    # -- taking in

    async def create(self, user_id: str, server_name: str) -> Medium:
        """Announces content that will be uploaded later. Raises `LimitExceeded`."""
        now_ms = self._engine.outside.now_ms()
        expires_ms = now_ms + self._settings.pending_upload_lifetime
        medium = self._new(user_id, server_name, now_ms)._replace(expires_ms=expires_ms)
        at_most = self._settings.max_pending_uploads
        if not await self._engine.database.write(store.add_pending, medium, at_most=at_most):
            raise LimitExceeded(60_000, "Upload what you have announced first.")
        return medium

    async def upload(self, user_id: str, server_name: str, chunks: AsyncIterator[bytes], upload: Upload) -> Mxc:
        """Takes a file in. Raises `TooLarge`, and `Forbidden` at the user's limit."""
        await self._check_room(user_id, upload.length)
        async with self._keeping.incoming(self._settings.max_upload_size) as incoming:
            await _receive(incoming, chunks)
            medium = _described(self._new(user_id, server_name, self._engine.outside.now_ms()), upload, incoming.size)

            def write(tx: WriteTransaction, hash_: str) -> None:
                self._charge(tx, medium)
                store.add(tx, _judged(tx, medium, hash_))

            await self._keeping.keep(incoming, write)
        self._metrics.uploaded(medium.size)
        return Mxc(medium.server_name, medium.media_id)

    async def take(self, server_name: str, chunks: AsyncIterator[bytes], upload: Upload) -> Medium:
        """Takes in a file that is nobody's, but one of this server's. Raises `TooLarge`."""
        async with self._keeping.incoming(self._settings.max_upload_size) as incoming:
            await _receive(incoming, chunks)
            medium = self._new("", server_name, self._engine.outside.now_ms())._replace(user_id=None)
            medium = _described(medium, upload, incoming.size)

            def write(tx: WriteTransaction, hash_: str) -> Medium:
                judged = _judged(tx, medium, hash_)
                store.add(tx, judged)
                return judged

            return await self._keeping.keep(incoming, write)

    async def remove(self, mxcs: Iterable[Mxc]) -> None:
        """Removes media of this server, where they are still there."""
        for mxc in mxcs:
            await self._engine.database.write(_remove, mxc)
        await self._keeping.collect()

    async def upload_to(self, user_id: str, mxc: Mxc, chunks: AsyncIterator[bytes], upload: Upload) -> None:
        """Takes in a file that was announced. Raises as `upload`, `NotFound`, and `M_CANNOT_OVERWRITE_MEDIA`."""
        now_ms = self._engine.outside.now_ms()
        found = await self._engine.database.get(store.find, *mxc)
        awaited = _awaited(found, user_id)
        if awaited.expires_ms is not None and awaited.expires_ms <= now_ms:
            raise NotFound(MISSING)
        await self._check_room(user_id, upload.length)
        async with self._keeping.incoming(self._settings.max_upload_size) as incoming:
            await _receive(incoming, chunks)
            now_ms = self._engine.outside.now_ms()

            def write(tx: WriteTransaction, hash_: str) -> None:
                medium = _described(_awaited(store.held(tx, *mxc), user_id), upload, incoming.size)
                medium = medium._replace(created_ms=now_ms, authenticated=self._settings.authenticated)
                self._charge(tx, medium)
                store.fill(tx, _judged(tx, medium, hash_))

            await self._keeping.keep(incoming, write)
        self._metrics.uploaded(incoming.size)
        if mxc in self._awaited:
            self._awaited[mxc].set()

    def _new(self, user_id: str, server_name: str, now_ms: int) -> Medium:
        return Medium(
            server_name=server_name,
            media_id=self._engine.outside.token(24),
            remote=False,
            hash=None,
            size=0,
            content_type=None,
            file_name=None,
            user_id=user_id,
            created_ms=now_ms,
            used_ms=None,
            expires_ms=None,
            authenticated=self._settings.authenticated,
            protected=False,
            quarantined_by=None,
        )

    def _charge(self, tx: WriteTransaction, medium: Medium) -> None:
        if not store.charge(tx, medium.user_id or "", medium.size, self._settings.user_limit):
            raise _full()

    async def _check_room(self, user_id: str, length: int | None) -> None:
        """Refuses what will not fit, before it is sent. It is counted exactly when it is here."""
        limit = self._settings.user_limit
        if limit is not None:
            used = await self._engine.database.get(store.total, user_id)
            if used + (length or 0) > limit or used >= limit:
                raise _full()

    # -- finding

    async def find(self, mxc: Mxc, wish: Wish) -> Medium:
        """A medium whose bytes are here, if they can be had. Its `hash` is never None.

        Raises `NotFound`, `M_NOT_YET_UPLOADED`, and what fetching from another server raises.
        """
        if not self._engine.is_local_domain(mxc.server_name):
            medium = await self._find_remote(mxc, wish)
        else:
            medium = await self._find_local(mxc, wish)
        if medium.quarantined_by is not None or (medium.authenticated and not wish.authenticated):
            raise NotFound(MISSING)
        return medium

    async def own(self, media_id: str) -> Mxc:
        """The URI of a medium of one of this server's domains. Raises `NotFound`."""
        for server_name in self._engine.server_names:
            mxc = checked_mxc(server_name, media_id)
            if await self._engine.database.get(store.find, *mxc) is not None:
                return mxc
        raise NotFound(MISSING)

    async def _find_local(self, mxc: Mxc, wish: Wish) -> Medium:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + min(wish.timeout_ms, MAX_WAIT_MS) / 1000
        while True:
            medium = await self._engine.database.get(store.find, *mxc)
            if medium is None:
                raise NotFound(MISSING)
            if medium.hash is not None:
                return medium
            if medium.expires_ms is None or medium.expires_ms <= self._engine.outside.now_ms():
                raise NotFound(MISSING)
            remaining = deadline - loop.time()
            if remaining <= 0:
                raise MatrixError("The content has not been uploaded yet.", errcode="M_NOT_YET_UPLOADED", status=504)
            await self._look_again(mxc, min(remaining, _LOOK))

    async def _look_again(self, mxc: Mxc, seconds: float) -> None:
        """Returns when the content has come, or after so long, whichever is earlier."""
        event = self._awaited.setdefault(mxc, asyncio.Event())
        try:
            async with asyncio.timeout(seconds):
                await event.wait()
        except TimeoutError:
            pass
        finally:
            if self._awaited.get(mxc) is event:
                del self._awaited[mxc]

    async def _find_remote(self, mxc: Mxc, wish: Wish) -> Medium:
        medium = await self._engine.database.get(store.find, *mxc)
        if medium is not None and (medium.hash is not None or medium.quarantined_by is not None):
            return medium
        # What is fetched now is newer than the freeze.
        if not wish.allow_remote or (self._settings.authenticated and not wish.authenticated):
            raise NotFound(MISSING)
        return await self._fetch(mxc, min(wish.timeout_ms, MAX_WAIT_MS))

    async def read(self, hash_: str, start: int, end: int) -> AsyncIterator[bytes]:
        """The bytes of that hash, from `start` up to `end`. Raises `NotFound` if they are lost."""
        try:
            return await self._keeping.read(hash_, start, end)
        except FileMissingError:
            await self.lost(hash_)
            raise NotFound(MISSING) from None

    async def lost(self, hash_: str) -> None:
        """Bytes are not where they were kept. Remote media of them are forgotten, so that they are fetched anew."""
        log.warning("a file of media is gone", hash=hash_)
        await self._engine.database.write(store.lost, hash_)

    def used(self, medium: Medium) -> None:
        """Somebody was shown it; what was not for longest makes room for others."""
        now_ms = self._engine.outside.now_ms()
        if medium.used_ms is None or now_ms - medium.used_ms >= _USE_STEP_MS:
            noted = self._engine.database.submit(store.used, medium.server_name, medium.media_id, now_ms)
            noted.add_done_callback(_looked_at)

    # -- again and again

    async def prune(self) -> None:
        """Removes what was announced and never came, and the bytes that nothing refers to."""
        await self._engine.database.write(store.expired, self._engine.outside.now_ms() - _GRACE_MS)
        await self._keeping.collect()

    async def sweep(self) -> None:
        """Removes what crashes left behind."""
        await self._keeping.sweep(_LEFT_BEHIND_MS)


def _remove(tx: WriteTransaction, mxc: Mxc) -> None:
    medium = store.held(tx, *mxc)
    if medium is not None:
        store.delete(tx, [medium])


def checked_mxc(server_name: str, media_id: str) -> Mxc:
    """Raises `NotFound` for what is no URI: nothing else may become part of a path."""
    mxc = Mxc(server_name, media_id)
    if not is_valid_mxc(str(mxc)):
        raise NotFound(MISSING)
    return mxc


async def _receive(incoming: Incoming, chunks: AsyncIterator[bytes]) -> None:
    try:
        async for chunk in chunks:
            await incoming.write(chunk)
    except TooManyBytesError as error:
        raise TooLarge("The file is larger than this server takes.", headers={"Connection": "close"}) from error


def _awaited(medium: Medium | None, user_id: str) -> Medium:
    """A medium whose content this user may upload now."""
    if medium is None or medium.remote:
        raise NotFound(MISSING)
    if medium.user_id != user_id:
        raise Forbidden("Somebody else announced this file.")
    if medium.hash is not None or medium.expires_ms is None:
        raise MatrixError("There is content under this name already.", errcode="M_CANNOT_OVERWRITE_MEDIA", status=409)
    return medium


def _described(medium: Medium, upload: Upload, size: int) -> Medium:
    return medium._replace(
        size=size,
        content_type=content_types.checked(upload.content_type),
        file_name=content_types.checked_name(upload.file_name),
    )


def _judged(tx: WriteTransaction, medium: Medium, hash_: str) -> Medium:
    """The medium with its bytes; in quarantine if they are."""
    return medium._replace(hash=hash_, quarantined_by=store.quarantined_by(tx, hash_))


def _full() -> Forbidden:
    return Forbidden("Your files have reached the limit of your account.")


def _looked_at(noted: asyncio.Future[None]) -> None:
    if not noted.cancelled():
        noted.exception()  # knowing the hour is not worth a failed request
