"""Thumbnails: sizes, shapes, animations; and pictures that are none, or mean ill."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.modules.conftest import Start
from tests.modules.pictures import (
    TYPES,
    animation,
    bomb,
    claimed_gif,
    claims,
    drawn,
    lying,
    opened,
    picture,
    see_through,
)
from tests.modules.test_media import OLD, V1, download, files_of, upload
from weft.modules.media.thumbnailing import Thumbnailer, UnsuitableError
from weft.modules.media.thumbnails import SIZES, size_for
from weft.testing import Answer, Client, TestServer


async def thumbnail(who: Client, mxc: str, width: int = 96, height: int = 96, **query: Any) -> Answer:
    """Cropped, unless `method` says otherwise."""
    return await who.get(f"{V1}/thumbnail/{mxc}", width=width, height=height, **{"method": "crop", **query})


def is_red(pixel: Any) -> bool:
    return bool(pixel[0] > 150 and pixel[2] < 90)


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize(
    ("size", "asked", "made"),
    [
        ((1000, 500), (96, 96, "crop"), (96, 96)),
        ((1000, 500), (320, 240, "scale"), (320, 160)),
        ((500, 1000), (320, 240, "scale"), (120, 240)),
        ((1000, 500), (300, 200, None), (320, 160)),
        ((1000, 500), (40, 40, "crop"), (96, 96)),
        ((1000, 500), (300, 200, "crop"), (320, 240)),
        ((5000, 50), (96, 96, "crop"), (50, 50)),
        ((3000, 10), (320, 240, "scale"), (320, 1)),
    ],
)
async def test_sizes(
    server: TestServer, kind: str, size: tuple[int, int], asked: tuple[int, int, str | None], made: tuple[int, int]
) -> None:
    alice = await server.user()
    mxc = await upload(alice, picture(size, kind), TYPES[kind])
    answer = await thumbnail(alice, mxc, asked[0], asked[1], method=asked[2])
    assert answer.status == 200, answer.body
    assert answer.headers["content-type"] in ("image/png", "image/jpeg")
    assert answer.headers["content-disposition"].startswith('inline; filename="thumbnail.')
    image = opened(answer.body).convert("RGB")
    assert image.size == made
    if min(made) > 9:
        assert is_red(image.getpixel((2, made[1] // 2)))
        assert not is_red(image.getpixel((made[0] - 3, made[1] // 2)))


@pytest.mark.parametrize("kind", TYPES)
async def test_what_is_small_stays_as_it_is(server: TestServer, kind: str) -> None:
    alice = await server.user()
    content = picture((60, 40), kind)
    mxc = await upload(alice, content, TYPES[kind])
    for method in ("crop", "scale"):
        answer = await thumbnail(alice, mxc, 96, 96, method=method)
        assert (answer.body, answer.headers["content-type"]) == (content, TYPES[kind])
    assert len(files_of(server)) == 1


async def test_any_wish_becomes_one_of_a_few_sizes(server: TestServer) -> None:
    alice = await server.user()
    mxc = await upload(alice, picture((1800, 1400)))
    before = len(files_of(server))
    for side in (1, 2, 10, 31, 32, 100, 300, 500, 1000, 3000, 2**31):
        for method in ("crop", "scale"):
            assert (await thumbnail(alice, mxc, side, side, method=method)).status == 200
    assert len(files_of(server)) - before <= len(SIZES)


@pytest.mark.parametrize(("width", "height"), [(0, 1), (1, 0), (-1, 5), (2**40, 1), ("x", 1), (1.5, 1), (None, 1)])
async def test_wishes_that_make_no_sense(server: TestServer, width: Any, height: Any) -> None:
    alice = await server.user()
    answer = await thumbnail(alice, await upload(alice, picture((100, 100))), width, height)
    assert answer.status == 400
    assert answer.json["errcode"] in ("M_UNKNOWN", "M_INVALID_PARAM", "M_MISSING_PARAM")


def test_the_nearest_shape_is_chosen() -> None:
    assert size_for(300, 220, "crop")[:2] == (320, 240)
    assert size_for(220, 220, "crop")[:2] == (256, 256)
    assert size_for(10, 10, "scale")[:2] == (320, 240)
    assert size_for(321, 10, "scale")[:2] == (640, 480)
    assert size_for(9999, 10, "scale")[:2] == (4096, 4096)


async def test_transparency_is_kept(server: TestServer) -> None:
    alice = await server.user()
    answer = await thumbnail(alice, await upload(alice, see_through((400, 400))))
    image = opened(answer.body)
    assert answer.headers["content-type"] == "image/png"
    assert image.getpixel((1, 1))[3] == 0
    assert image.getpixel((36, 36))[3] == 255


@pytest.mark.parametrize("mode", ["L", "P", "CMYK", "I;16", "1"])
async def test_pictures_of_other_modes(server: TestServer, mode: str) -> None:
    alice = await server.user()
    kind = "JPEG" if mode == "CMYK" else "PNG"
    content = picture((400, 300), kind, mode=mode)
    answer = await thumbnail(alice, await upload(alice, content, TYPES[kind]))
    assert opened(answer.body).size == (96, 96)


@pytest.mark.parametrize("orientation", [3, 6, 8])
async def test_pictures_are_turned_and_tell_nothing_else(server: TestServer, orientation: int) -> None:
    alice = await server.user()
    content = lying((1200, 600), orientation)
    assert b"A camera" in content
    answer = await thumbnail(alice, await upload(alice, content, "image/jpeg"), 320, 240, method="scale")
    image = opened(answer.body)
    assert image.size == (320, 160)
    assert is_red(image.getpixel((10, 80)))
    assert not is_red(image.getpixel((310, 80)))
    assert b"A camera" not in answer.body
    assert not image.getexif()


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
async def test_animations_move_for_who_asks(server: TestServer, kind: str) -> None:
    alice = await server.user()
    mxc = await upload(alice, animation((400, 300), kind), TYPES[kind])
    moving = await thumbnail(alice, mxc, 320, 240, method="scale", animated=True)
    assert moving.headers["content-type"] == "image/webp"
    image = opened(moving.body)
    assert (image.size, getattr(image, "n_frames", 1)) == ((320, 240), 4)
    for query in ({"animated": False}, {}):
        still = await thumbnail(alice, mxc, 320, 240, method="scale", **query)
        assert still.headers["content-type"] in ("image/png", "image/jpeg")
        assert getattr(opened(still.body), "n_frames", 1) == 1


async def test_a_small_animation(server: TestServer) -> None:
    alice = await server.user()
    content = animation((50, 50))
    mxc = await upload(alice, content, "image/gif")
    assert (await thumbnail(alice, mxc, animated=True)).body == content
    still = opened((await thumbnail(alice, mxc)).body)
    assert (still.size, getattr(still, "n_frames", 1)) == ((50, 50), 1)


async def test_an_animation_without_end_stands_still(start_server: Start) -> None:
    server = await start_server({"media": {"max_image_pixels": 100_000}})
    alice = await server.user()
    mxc = await upload(alice, animation((200, 200), frames=10), "image/gif")
    answer = await thumbnail(alice, mxc, animated=True)
    assert (answer.status, getattr(opened(answer.body), "n_frames", 1)) == (200, 1)


async def test_one_is_made_once(server: TestServer) -> None:
    alice = await server.user()
    mxc = await upload(alice, picture((1000, 800)))
    answers = await asyncio.gather(*(thumbnail(alice, mxc) for _ in range(6)))
    assert len({answer.body for answer in answers}) == 1
    assert len(files_of(server)) == 2
    etag = answers[0].headers["etag"]
    query = {"width": 96, "height": 96, "method": "crop"}
    again = await alice.request("GET", f"{V1}/thumbnail/{mxc}", query=query, headers={"if-none-match": etag})
    assert again.status == 304
    await server.restart()
    assert (await thumbnail(alice, mxc)).body == answers[0].body


async def test_without_a_token_after_the_freeze(server: TestServer) -> None:
    alice = await server.user()
    path = f"{OLD}/thumbnail/{await upload(alice, picture((300, 300)))}"
    (await server.client().get(path, width=32, height=32)).refused(404, "M_NOT_FOUND")


async def test_without_a_token(start_server: Start) -> None:
    server = await start_server({"media": {"authenticated": False}})
    alice = await server.user()
    path = f"{OLD}/thumbnail/{await upload(alice, picture((300, 300)))}"
    answer = await server.client().get(path, width=32, height=32, method="crop", allow_redirect=True)
    assert opened(answer.body).size == (32, 32)


SVG = b'<svg xmlns="http://www.w3.org/2000/svg" width="500" height="500"><script>alert(1)</script></svg>'
PNG = picture((500, 500))

HOSTILE: dict[str, tuple[bytes, str, int, str]] = {
    "nothing": (b"", "image/png", 400, "M_UNKNOWN"),
    "text": (b"not a picture", "image/png", 400, "M_UNKNOWN"),
    "svg": (SVG, "image/svg+xml", 400, "M_UNKNOWN"),
    "svg that is said to be png": (SVG, "image/png", 400, "M_UNKNOWN"),
    "html that is a picture too": (PNG + b"<script>alert(1)</script>", "text/html", 400, "M_UNKNOWN"),
    "an encrypted file": (bytes(range(256)) * 40, "application/octet-stream", 400, "M_UNKNOWN"),
    "a picture without a type": (PNG, "", 400, "M_UNKNOWN"),
    "pdf": (b"%PDF-1.7\n" * 50, "application/pdf", 400, "M_UNKNOWN"),
    "postscript": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "image/png", 400, "M_UNKNOWN"),
    "tiff": (b"II*\x00" + bytes(500), "image/png", 400, "M_UNKNOWN"),
    "bmp": (b"BM" + bytes(500), "image/png", 400, "M_UNKNOWN"),
    "cut off": (PNG[: len(PNG) // 2], "image/png", 400, "M_UNKNOWN"),
    "the first bytes only": (b"\x89PNG\r\n\x1a\n", "image/png", 400, "M_UNKNOWN"),
    "no pixels": (claims((0, 0)), "image/png", 400, "M_UNKNOWN"),
    "no rows": (claims((500, 500)), "image/png", 400, "M_UNKNOWN"),
    "huge dimensions": (claims((2**31 - 1, 2**31 - 1)), "image/png", 413, "M_TOO_LARGE"),
    "one huge dimension": (claims((2**31 - 1, 1)), "image/png", 413, "M_TOO_LARGE"),
    "a decompression bomb": (bomb(12_000), "image/png", 413, "M_TOO_LARGE"),
    "a gif of that kind": (claimed_gif((65_535, 65_535)), "image/gif", 413, "M_TOO_LARGE"),
}


@pytest.mark.parametrize("what", HOSTILE)
async def test_no_thumbnail_is_made_of(server: TestServer, what: str) -> None:
    alice = await server.user()
    content, content_type, status, errcode = HOSTILE[what]
    mxc = await upload(alice, content, content_type)
    before = len(files_of(server))
    for _ in range(2):
        (await thumbnail(alice, mxc)).refused(status, errcode)
    assert len(files_of(server)) == before
    # It can be had as what it is, and does not run.
    answer = await download(alice, mxc)
    assert answer.body == content
    assert answer.headers["content-security-policy"].startswith("sandbox")
    if not content_type.startswith("image/") or "svg" in content_type:
        assert answer.headers["content-disposition"].startswith("attachment")
    # And the server goes on.
    assert (await thumbnail(alice, await upload(alice, PNG))).status == 200


async def test_a_picture_that_is_also_something_else_is_made_anew(server: TestServer) -> None:
    """Only what is what it is said to be is given as it is."""
    alice = await server.user()
    content = picture((50, 50), "GIF") + b"<script>alert(1)</script>"
    answer = await thumbnail(alice, await upload(alice, content, "image/png"))
    assert b"script" not in answer.body
    assert opened(answer.body).size == (50, 50)


async def test_a_decoder_that_takes_too_long_is_ended(tmp_path: Any) -> None:
    thumbnailer = Thumbnailer(1, seconds=0.001)
    source = tmp_path / "picture.png"
    drawn((3000, 3000)).save(source)
    asked = {
        "source": str(source),
        "target": str(tmp_path / "made"),
        "width": 96,
        "height": 96,
        "crop": True,
        "animated": False,
        "declared": "image/png",
        "max_pixels": 60_000_000,
    }
    try:
        for _ in range(2):
            with pytest.raises(UnsuitableError):
                await thumbnailer.make(asked)
    finally:
        thumbnailer.close()
