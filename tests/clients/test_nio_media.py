"""matrix-nio, unmodified: files, plain and encrypted, and thumbnails.

It asks by the endpoints from before v1.11, so the server of these tests leaves those open.
"""

from __future__ import annotations

import io
import os
from collections.abc import AsyncIterator
from typing import Any

import pytest_asyncio
from nio import (
    AsyncClient,
    DownloadError,
    MemoryDownloadResponse,
    RoomMessageImage,
    ThumbnailResponse,
    UploadError,
    UploadResponse,
)
from nio.api import ResizingMethod
from nio.crypto import decrypt_attachment

from tests.clients.conftest import Starter
from tests.clients.nio_people import expect, register, room_of, send, sync_until, timeline
from tests.modules.pictures import opened, picture


@pytest_asyncio.fixture
async def people(start_weft: Starter) -> AsyncIterator[tuple[AsyncClient, AsyncClient]]:
    weft = start_weft({"media.authenticated": "false", "media.max_upload_size": "4M"})
    alice, bob = await register(weft.url, "alice"), await register(weft.url, "bob")
    yield alice, bob
    await alice.close()
    await bob.close()


async def test_a_picture_in_a_room(people: tuple[AsyncClient, AsyncClient]) -> None:
    alice, bob = people
    room_id = await room_of(alice, bob)
    content = picture((1200, 900), "JPEG")
    response, keys = await alice.upload(
        io.BytesIO(content), content_type="image/jpeg", filename="výlet.jpg", filesize=len(content)
    )
    uri = expect(UploadResponse, response).content_uri
    assert keys is None
    await send(alice, room_id, {"msgtype": "m.image", "body": "výlet.jpg", "url": uri, "info": {}})
    seen: list[str] = []

    def arrived(response: object) -> bool:
        seen.extend(event.url for event in timeline(response, room_id) if isinstance(event, RoomMessageImage))
        return bool(seen)

    await sync_until(bob, arrived)
    assert seen == [uri]
    found = expect(MemoryDownloadResponse, await bob.download(mxc=uri))
    assert (found.body, found.content_type, found.filename) == (content, "image/jpeg", "výlet.jpg")
    server_name, media_id = uri.removeprefix("mxc://").split("/")
    for method, size in ((ResizingMethod.crop, (96, 96)), (ResizingMethod.scale, (320, 240))):
        small = expect(ThumbnailResponse, await bob.thumbnail(server_name, media_id, *size, method))
        assert small.content_type == "image/jpeg"
        assert opened(small.body).size == size


async def test_an_encrypted_attachment(people: tuple[AsyncClient, AsyncClient]) -> None:
    alice, bob = people
    room_id = await room_of(alice, bob)
    content = os.urandom(1_500_000)
    response, keys = await alice.upload(
        io.BytesIO(content), content_type="image/png", filename="secret.png", encrypt=True, filesize=len(content)
    )
    uri = expect(UploadResponse, response).content_uri
    assert keys is not None
    file = {"url": uri, **keys}
    await send(alice, room_id, {"msgtype": "m.image", "body": "secret.png", "file": file, "info": {}})
    seen: list[dict[str, Any]] = []

    def arrived(response: object) -> bool:
        contents = [event.source["content"] for event in timeline(response, room_id)]
        seen.extend(content["file"] for content in contents if "file" in content)
        return bool(seen)

    await sync_until(bob, arrived)
    (told,) = seen
    found = expect(MemoryDownloadResponse, await bob.download(mxc=told["url"]))
    assert found.body != content
    assert decrypt_attachment(found.body, told["key"]["k"], told["hashes"]["sha256"], told["iv"]) == content


async def test_what_is_refused(people: tuple[AsyncClient, AsyncClient]) -> None:
    alice, _ = people
    large = bytes(4 * 1024 * 1024 + 1)
    response, _ = await alice.upload(io.BytesIO(large), content_type="image/png", filesize=len(large))
    assert expect(UploadError, response).status_code == "M_TOO_LARGE"
    missing = await alice.download(mxc=f"mxc://{(alice.user_id or '').partition(':')[2]}/unknown")
    assert expect(DownloadError, missing).status_code == "M_NOT_FOUND"
