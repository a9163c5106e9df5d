"""Pictures made for tests, right ones and hostile ones."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Sequence
from typing import Any, Final

from PIL import Image, ImageDraw

Size = tuple[int, int]
RED, BLUE, WHITE = (200, 30, 30), (30, 30, 200), (255, 255, 255)

TYPES: Final = {"PNG": "image/png", "JPEG": "image/jpeg", "GIF": "image/gif", "WEBP": "image/webp"}


def drawn(size: Size, *, mode: str = "RGB") -> Image.Image:
    """The left half red, the right half blue."""
    image = Image.new("RGB", size, BLUE)
    ImageDraw.Draw(image).rectangle((0, 0, size[0] // 2 - 1, size[1]), fill=RED)
    return image.convert("I").convert(mode) if mode == "I;16" else image.convert(mode)


def picture(size: Size, kind: str = "PNG", *, mode: str = "RGB", **save: Any) -> bytes:
    into = io.BytesIO()
    drawn(size, mode=mode).save(into, kind, **save)
    return into.getvalue()


def see_through(size: Size) -> bytes:
    """A PNG that is transparent but for a dot."""
    image = Image.new("RGBA", size, (0, 0, 0, 0))
    ImageDraw.Draw(image).rectangle((size[0] // 4, size[1] // 4, size[0] // 2, size[1] // 2), fill=(*RED, 255))
    into = io.BytesIO()
    image.save(into, "PNG")
    return into.getvalue()


def lying(size: Size, orientation: int) -> bytes:
    """A JPEG that is to be turned to be seen as `drawn`, with a place where it was taken."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x010F] = "A camera's maker"
    exif.get_ifd(0x8825)[1] = "N"
    image = drawn(size)
    back = {3: Image.Transpose.ROTATE_180, 6: Image.Transpose.ROTATE_90, 8: Image.Transpose.ROTATE_270}
    into = io.BytesIO()
    image.transpose(back[orientation]).save(into, "JPEG", exif=exif, quality=95)
    return into.getvalue()


def animation(size: Size, kind: str = "GIF", frames: int = 4) -> bytes:
    """Colours that change."""
    images = [Image.new("RGB", size, (40 * number % 256, 255 - number % 256, 90)) for number in range(frames)]
    into = io.BytesIO()
    images[0].save(into, kind, save_all=True, append_images=images[1:], duration=50, loop=0)
    return into.getvalue()


def opened(content: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(content))
    image.load()
    return image


def claims(size: Size, rows: Sequence[bytes] = ()) -> bytes:
    """A PNG of a few bytes that says it is so large."""
    header = struct.pack(">IIBBBBB", *size, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        _chunk(kind, body)
        for kind, body in ((b"IHDR", header), (b"IDAT", zlib.compress(b"".join(rows), 9)), (b"IEND", b""))
    )


def bomb(side: int) -> bytes:
    """A PNG of one colour and as many pixels as `side` squared, a thousandth of that in bytes."""
    into = io.BytesIO()
    Image.new("1", (side, side)).save(into, "PNG", optimize=True)
    return into.getvalue()


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def claimed_gif(size: Size) -> bytes:
    """A GIF of a few bytes that says it is so large."""
    screen = struct.pack("<HHBBB", *size, 0xF7, 0, 0) + bytes(3 * 256)
    return b"GIF89a" + screen + b"," + struct.pack("<HHHHB", 0, 0, *size, 0) + b"\x08\x01\x00\x00;"
