"""Files: a megabyte up, a megabyte down, and a thumbnail of what a phone's camera makes."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Iterator
from io import BytesIO
from itertools import count
from urllib.parse import urlencode

import orjson
from PIL import Image

from benchmarks.side_by_side.people import Person
from benchmarks.side_by_side.scenarios import Scenario

_PEOPLE = 4
_MEGABYTE = 1 << 20
#: Twelve megapixels.
_PHOTO = (4000, 3000)
_numbers = count()


class Media(Scenario):
    """Four people upload, then download what they uploaded; one uploads photos and looks at thumbnails."""

    rows = ("upload", "download", "thumbnail_p50")

    async def prepare(self) -> None:
        self._uploaders = await self._people(_PEOPLE)
        self._photo = _photo()
        self._megabyte = os.urandom(_MEGABYTE)

    async def measure(self, turn: int) -> dict[str, float]:
        mxcs: list[str] = []

        def uploader(person: Person) -> Callable[[], Awaitable[int]]:
            async def upload() -> int:
                mxcs.append(await self._upload(person, self._megabyte, "application/octet-stream"))
                return 1

            return upload

        def downloader(person: Person, names: Iterator[str]) -> Callable[[], Awaitable[int]]:
            async def download() -> int:
                body = await person.get(f"/_matrix/client/v1/media/download/{next(names)}")
                if len(body) != _MEGABYTE:
                    raise AssertionError(f"{len(body)} bytes came back")
                return 1

            return download

        uploads = await self._loop("upload", [uploader(person) for person in self._uploaders])
        names = _around(mxcs)
        downloads = await self._loop("download", [downloader(person, names) for person in self._uploaders])
        owner = self._uploaders[0]

        async def thumbnail() -> int:
            # Together: Synapse makes thumbnails when a picture is uploaded, Weft when somebody asks for one.
            mxc = await self._upload(owner, self._photo, "image/jpeg")
            query = urlencode({"width": 800, "height": 600, "method": "scale"})
            await owner.get(f"/_matrix/client/v1/media/thumbnail/{mxc}?{query}")
            return 1

        thumbnails = await self._loop("thumbnail_p50", [thumbnail])
        return {"upload": uploads.rate, "download": downloads.rate, "thumbnail_p50": thumbnails.percentile(50)}

    async def _upload(self, person: Person, content: bytes, content_type: str) -> str:
        # No two are the same: a server may keep equal files once.
        body = content + b"%16d" % next(_numbers) if content_type == "image/jpeg" else _marked(content)
        answer = await person.post("/_matrix/media/v3/upload", body, content_type)
        return str(orjson.loads(answer)["content_uri"]).removeprefix("mxc://")


def _marked(content: bytes) -> bytes:
    return b"%16d" % next(_numbers) + content[16:]


def _around(names: list[str]) -> Iterator[str]:
    """The names again and again."""
    return (names[number % len(names)] for number in count())


def _photo() -> bytes:
    """A JPEG as large as photos are, with as much in it."""
    small = Image.frombytes("RGB", (400, 300), os.urandom(400 * 300 * 3))
    into = BytesIO()
    small.resize(_PHOTO, Image.Resampling.BICUBIC).save(into, "JPEG", quality=88)
    return into.getvalue()
