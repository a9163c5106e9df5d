"""Other servers' media: fetched when somebody here wants to see it, kept in a cache of so many bytes.

A server may send anything, for ever, or send us elsewhere: size, time and addresses are bounded. Of several who want
the same at the same time one fetches it.

https://spec.matrix.org/v1.19/server-server-api/#content-repository
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Final, NamedTuple

import msgspec

from weft.federation.peer import Peers
from weft.http.client import AnswerTooLong, HttpClient, Refused
from weft.modules.media import content_types, store
from weft.modules.media.files import Incoming, TooManyBytesError
from weft.modules.media.keeping import Keeping
from weft.modules.media.metrics import MediaMetrics
from weft.modules.media.multipart import Parts, boundary_of, small
from weft.modules.media.store import Medium
from weft.protocol.api.client import media as client_api
from weft.protocol.api.federation import media as federation_api
from weft.protocol.errors import MatrixError, NotFound, PeerError
from weft.protocol.identifiers import Mxc
from weft.rooms.engine import Engine
from weft.settings import Media as MediaSettings
from weft.storage.database import WriteTransaction

#: Seconds for one file, besides what the other server may wait for it to be uploaded.
SECONDS: Final = 120.0
#: What is fetched at the same time; more wait.
_AT_ONCE: Final = 24
#: Bytes that an answer may have besides the content.
_AROUND: Final = 64 << 10
_MOST_REDIRECTS: Final = 3
_MISSING: Final = "There is no such media."


class Arriving(NamedTuple):
    """A content that is being sent, and what is said of it."""

    pieces: AsyncIterator[bytes]
    content_type: str | None
    file_name: str | None


class RemoteMedia:
    """`web` is what redirects are followed with, by its guard to public addresses only."""

    def __init__(
        self,
        engine: Engine,
        settings: MediaSettings,
        keeping: Keeping,
        metrics: MediaMetrics,
        *,
        peers: Peers,
        web: HttpClient,
        origin: str,
    ) -> None:
        self._engine = engine
        self._settings = settings
        self._keeping = keeping
        self._metrics = metrics
        self._peers = peers
        self._web = web
        self._origin = origin
        self._limit = min(settings.max_remote_size, settings.remote_cache)
        self._fetching: dict[Mxc, asyncio.Task[Medium]] = {}
        self._places = asyncio.Semaphore(_AT_ONCE)

    async def fetch(self, mxc: Mxc, timeout_ms: int) -> Medium:
        """Brings a medium here; it may be in quarantine. Who asks while it is on its way waits for the same.

        Raises `NotFound`, `M_TOO_LARGE` (502), `M_NOT_YET_UPLOADED`, `Unreachable`, `NotNow` and `PeerError`.
        """
        task = self._fetching.get(mxc)
        if task is None:
            task = self._fetching[mxc] = asyncio.create_task(self._fetched(mxc, timeout_ms))
            task.add_done_callback(lambda done: self._ended(mxc, done))
        return await asyncio.shield(task)

    async def close(self) -> None:
        """Ends what is under way."""
        tasks = list(self._fetching.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._web.close()

    def _ended(self, mxc: Mxc, task: asyncio.Task[Medium]) -> None:
        self._fetching.pop(mxc, None)
        if task.cancelled():
            return
        error = task.exception()
        self._metrics.fetches["fetched" if error is None else type(error).__name__] += 1

    async def _fetched(self, mxc: Mxc, timeout_ms: int) -> Medium:
        try:
            async with self._places, self._keeping.incoming(self._limit) as incoming:
                try:
                    arrived = await self._received(incoming, self._by_federation(mxc, timeout_ms))
                except Refused as refused:
                    if (refused.status, refused.errcode) != (404, "M_UNRECOGNIZED"):
                        raise
                    arrived = await self._received(incoming, self._from_old_server(mxc, timeout_ms))
                medium = await self._kept(mxc, incoming, arrived)
        except Refused as refused:
            raise _translated(refused) from refused
        except (TooManyBytesError, AnswerTooLong) as error:
            raise _too_large() from error
        # What made room for it.
        await self._keeping.collect()
        return medium

    async def _received(self, incoming: Incoming, source: AbstractAsyncContextManager[Arriving]) -> Arriving:
        async with source as arriving:
            async for piece in arriving.pieces:
                await incoming.write(piece)
            return arriving

    @asynccontextmanager
    async def _by_federation(self, mxc: Mxc, timeout_ms: int) -> AsyncIterator[Arriving]:
        """As servers send it today: with metadata, or the address where it is."""
        async with self._peers.stream(
            federation_api.GET_CONTENT,
            federation_api.GetContentRequest(media_id=mxc.media_id, timeout_ms=timeout_ms),
            origin=self._origin,
            destination=mxc.server_name,
            timeout=SECONDS + timeout_ms / 1000,
            max_bytes=self._limit + _AROUND,
        ) as reply:
            parts = Parts(reply.chunks, boundary_of(reply.headers.get("Content-Type", "")))
            await parts.headers()
            _check_metadata(await small(parts.body()))
            headers = await parts.headers()
            location = headers.get("location")
            if location is None:
                yield _arriving(parts.body(), headers)
                return
        async with self._from_elsewhere(location, headers) as arriving:
            yield arriving

    @asynccontextmanager
    async def _from_elsewhere(self, location: str, headers: Mapping[str, str]) -> AsyncIterator[Arriving]:
        """From the address that the server named, which may be anybody's."""
        async with self._web.stream(
            "GET", location, timeout=SECONDS, max_bytes=self._limit, max_redirects=_MOST_REDIRECTS
        ) as reply:
            if reply.status != 200:
                raise PeerError(f"media is said to be where the answer is {reply.status}", permanent=False)
            yield _arriving(reply.chunks, {**headers, **{name.lower(): value for name, value in reply.headers.items()}})

    @asynccontextmanager
    async def _from_old_server(self, mxc: Mxc, timeout_ms: int) -> AsyncIterator[Arriving]:
        """As it was before v1.11: from the clients' endpoint, unsigned."""
        async with self._peers.stream(
            client_api.GET_CONTENT,
            client_api.GetContentRequest(
                server_name=mxc.server_name, media_id=mxc.media_id, timeout_ms=timeout_ms, allow_remote=False
            ),
            origin=self._origin,
            destination=mxc.server_name,
            timeout=SECONDS + timeout_ms / 1000,
            max_bytes=self._limit,
        ) as reply:
            yield _arriving(reply.chunks, {name.lower(): value for name, value in reply.headers.items()})

    async def _kept(self, mxc: Mxc, incoming: Incoming, arrived: Arriving) -> Medium:
        now_ms = self._engine.outside.now_ms()

        def write(tx: WriteTransaction, hash_: str) -> tuple[Medium, int]:
            medium = Medium(
                server_name=mxc.server_name,
                media_id=mxc.media_id,
                remote=True,
                hash=hash_,
                size=incoming.size,
                content_type=content_types.checked(arrived.content_type),
                file_name=arrived.file_name,
                user_id=None,
                created_ms=now_ms,
                used_ms=now_ms,
                expires_ms=None,
                authenticated=self._settings.authenticated,
                protected=False,
                quarantined_by=store.quarantined_by(tx, hash_),
            )
            if store.add(tx, medium):
                store.charge(tx, store.REMOTE, medium.size, None)
                return medium, store.evict(tx, self._settings.remote_cache, but=mxc)
            # Another process was quicker, or it came into quarantine meanwhile.
            store.discard(tx, [hash_])
            return store.find(tx, *mxc) or medium, 0

        medium, evicted = await self._keeping.keep(incoming, write)
        self._metrics.evicted += evicted
        return medium


def _arriving(pieces: AsyncIterator[bytes], headers: Mapping[str, str]) -> Arriving:
    return Arriving(pieces, headers.get("content-type"), content_types.name_in(headers.get("content-disposition")))


def _check_metadata(body: bytes) -> None:
    try:
        metadata = msgspec.json.decode(body)
    except (ValueError, RecursionError):
        metadata = None
    if not isinstance(metadata, dict):
        raise PeerError("media came with metadata that is no JSON object")


def _translated(refused: Refused) -> Exception:
    """What another server refused, in the terms of who asked here."""
    if refused.errcode == "M_NOT_YET_UPLOADED":
        return MatrixError("The content has not been uploaded yet.", errcode=refused.errcode, status=504)
    if refused.errcode == "M_TOO_LARGE" or refused.status == 413:
        return _too_large()
    return NotFound(_MISSING) if refused.status < 500 else refused


def _too_large() -> MatrixError:
    return MatrixError("The file is too large to be fetched.", errcode="M_TOO_LARGE", status=502)
