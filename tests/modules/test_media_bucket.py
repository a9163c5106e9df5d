"""Media in a bucket of a server that speaks S3."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from tests.modules.conftest import Start
from tests.modules.pictures import opened, picture
from tests.modules.test_media import V1, download, files_of, try_upload, upload
from weft.testing import TestServer


class Bucket:
    """The bucket as its owner sees it."""

    def __init__(self, url: str, name: str) -> None:
        self.url = url
        self.name = name
        self.client: Any = boto3.client(
            "s3", endpoint_url=url, region_name="us-east-1", aws_access_key_id="key", aws_secret_access_key="secret"
        )
        self.client.create_bucket(Bucket=name)

    def names(self) -> list[str]:
        return [one["Key"] for one in self.client.list_objects_v2(Bucket=self.name).get("Contents", [])]

    def settings(self, folder: Path, **more: Any) -> dict[str, Any]:
        secret = folder / "s3.secret"
        secret.write_text("secret\n")
        storage = {
            "bucket": self.name,
            "endpoint": self.url,
            "access_key_id": "key",
            "secret_key_file": str(secret),
            "prefix": "weft/",
        }
        return {"media": {"object_storage": storage, **more}}


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def bucket(s3: str) -> Bucket:
    return Bucket(s3, f"media-{os.urandom(6).hex()}")


async def test_files_are_in_the_bucket_and_nowhere_else(bucket: Bucket, start_server: Start, tmp_path: Path) -> None:
    server = await start_server(bucket.settings(tmp_path))
    alice, bob = await server.user(), await server.user()
    for size in (0, 5, 262_145, 9_000_000):
        content = os.urandom(size)
        mxc = await upload(alice, content)
        assert (await download(bob, mxc)).body == content
        if size > 10:
            assert (await download(bob, mxc, range="bytes=3-200000")).body == content[3:200_001]
    same = await upload(bob, content)
    assert (await download(alice, same)).body == content
    assert len(bucket.names()) == 4
    assert all(key.startswith("weft/") for key in bucket.names())
    assert files_of(server) == []


async def test_thumbnails_are_made_of_them(bucket: Bucket, start_server: Start, tmp_path: Path) -> None:
    server = await start_server(bucket.settings(tmp_path))
    alice = await server.user()
    mxc = await upload(alice, picture((800, 600)))
    sizes = [(32, 32), (96, 96), (320, 240)]
    answers = await asyncio.gather(
        *(alice.get(f"{V1}/thumbnail/{mxc}", width=width, height=height, method="crop") for width, height in sizes)
    )
    assert [opened(answer.body).size for answer in answers] == sizes
    assert len(bucket.names()) == 4
    assert files_of(server) == []


async def test_an_object_that_is_gone(bucket: Bucket, start_server: Start, tmp_path: Path) -> None:
    server = await start_server(bucket.settings(tmp_path))
    alice = await server.user()
    mxc = await upload(alice, b"precious")
    bucket.client.delete_object(Bucket=bucket.name, Key=bucket.names()[0])
    (await download(alice, mxc)).refused(404, "M_NOT_FOUND")
    await upload(alice, b"precious")
    assert (await download(alice, mxc)).body == b"precious"


async def test_a_bucket_that_does_not_answer(bucket: Bucket, start_server: Start, tmp_path: Path) -> None:
    server = await start_server(bucket.settings(tmp_path))
    alice = await server.user()
    await upload(alice, b"before")
    total = await _rows(server)
    for key in bucket.names():
        bucket.client.delete_object(Bucket=bucket.name, Key=key)
    bucket.client.delete_bucket(Bucket=bucket.name)
    answer = await try_upload(alice, b"after")
    assert answer.status == 503
    assert await _rows(server) == total
    assert files_of(server) == []


async def test_what_a_crash_left_in_the_bucket_is_removed(bucket: Bucket, start_server: Start, tmp_path: Path) -> None:
    server = await start_server(bucket.settings(tmp_path))
    alice = await server.user()
    mxc = await upload(alice, b"kept")
    bucket.client.put_object(Bucket=bucket.name, Key="weft/ab/cdef", Body=b"left")
    (sweep,) = (
        task
        for module in server.server.modules
        for task in module.tasks
        if task.name == "files of media that a crash left behind"
    )
    await sweep.run()
    assert len(bucket.names()) == 2, "it may be on its way still"
    server.clock.advance(1_000 * 24 * 3600 * 10)
    await sweep.run()
    assert len(bucket.names()) == 1
    assert (await download(alice, mxc)).body == b"kept"


async def _rows(server: TestServer) -> int:
    count: int = await server.server.engine.database.read(lambda tx: tx.value("SELECT COUNT(*) FROM media"))
    return count
