"""Media between Weft and Synapse: files, thumbnails, names, what is announced and comes later."""

from __future__ import annotations

import asyncio
import os

import pytest

from tests.interop.conftest import Pair
from tests.interop.people import Society
from tests.modules.pictures import opened, picture
from tests.modules.test_media import OLD, V1, download, upload


@pytest.mark.parametrize("size", [1, 70_000, 1_000_000])
async def test_files_of_the_other_side(pair: Pair, person: Society, size: int) -> None:
    for owner_at, viewer_at in ((pair.host, pair.guest), (pair.guest, pair.host)):
        owner, viewer = await person("owner", owner_at), await person("viewer", viewer_at)
        content = os.urandom(size)
        mxc = await upload(owner, content, "application/pdf", filename="zpráva 1.pdf")
        answer = await download(viewer, mxc)
        assert (answer.status, answer.body) == (200, content)
        headers = {name.lower(): value for name, value in answer.headers.items()}
        assert headers["content-type"] == "application/pdf"
        assert "attachment" in headers["content-disposition"]
        assert "zpr%C3%A1va%201.pdf" in headers["content-disposition"]


async def test_thumbnails_of_pictures_of_the_other_side(pair: Pair, person: Society) -> None:
    for owner_at, viewer_at in ((pair.host, pair.guest), (pair.guest, pair.host)):
        owner, viewer = await person("owner", owner_at), await person("viewer", viewer_at)
        mxc = await upload(owner, picture((1200, 900), "JPEG"), "image/jpeg", filename="p.jpg")
        for width, height, method in ((96, 96, "crop"), (320, 240, "scale")):
            answer = await viewer.get(f"{V1}/thumbnail/{mxc}", width=width, height=height, method=method)
            assert answer.status == 200, answer.body
            assert opened(answer.body).size == (width, height)


async def test_what_is_announced_comes_later(pair: Pair, person: Society) -> None:
    for owner_at, viewer_at in ((pair.host, pair.guest), (pair.guest, pair.host)):
        owner, viewer = await person("owner", owner_at), await person("viewer", viewer_at)
        mxc = (await owner.post("/_matrix/media/v1/create")).ok()["content_uri"].removeprefix("mxc://")
        waiting = asyncio.create_task(viewer.get(f"{V1}/download/{mxc}", timeout_ms=20_000))
        await asyncio.sleep(0.5)
        put = await owner.request("PUT", f"{OLD}/upload/{mxc}", body=b"at last", headers={"Content-Type": "text/plain"})
        assert put.status == 200
        answer = await waiting
        assert (answer.status, answer.body) == (200, b"at last")


async def test_what_there_is_not(pair: Pair, person: Society) -> None:
    for asked, viewer_at in ((pair.host, pair.guest), (pair.guest, pair.host)):
        viewer = await person("viewer", viewer_at)
        answer = await download(viewer, f"{asked.server_name}/unknown")
        assert answer.status == 404
        assert answer.json["errcode"] == "M_NOT_FOUND"
