"""Makes thumbnails. A program of its own: `python -I thumbnail_worker.py`, which imports nothing of Weft.

Pictures come from anybody, and what decodes them is large and written in C. Here a fault ends this process and nothing
else; memory is limited, and whoever asks kills the process when it takes too long. It is asked by lines of JSON on
standard input, answers with a line each, and ends when nobody asks for a while.

    {"source": "/a", "target": "/b", "width": 96, "height": 96, "crop": true, "animated": false,
     "declared": "image/png", "max_pixels": 60000000}
    {"type": "image/jpeg"}        the thumbnail is in the target
    {"type": …, "width": …}       for {"source": …, "look": true, "max_pixels": …}: what the picture is
    {"original": "image/png"}     the picture is not larger than what is asked for: take it as it is
    {"error": "unsuitable"}       it is no picture, or a broken one; "too large": it has too many pixels
"""

from __future__ import annotations

import contextlib
import io
import json
import resource
import select
import sys
from typing import Any, Final

from PIL import Image, ImageCms, ImageOps, ImageSequence

_TYPES: Final = {
    "JPEG": "image/jpeg",
    "MPO": "image/jpeg",
    "PNG": "image/png",
    "GIF": "image/gif",
    "WEBP": "image/webp",
}
_FORMATS: Final = ("JPEG", "PNG", "GIF", "WEBP")
_ANIMATED: Final = ("PNG", "GIF", "WEBP")
_MOST_FRAMES: Final = 400
_MOST_MEMORY: Final = 2 << 30
_MOST_WRITTEN: Final = 64 << 20
_IDLE_SECONDS: Final = 60
_ORIENTATION: Final = 0x0112
#: Orientations in which width and height are swapped.
_LYING: Final = (5, 6, 7, 8)

Size = tuple[int, int]
Box = tuple[float, float, float, float]


class TooLargeError(Exception):
    """More pixels than are looked at."""


def main() -> None:
    for limit, value in (
        (resource.RLIMIT_AS, _MOST_MEMORY),
        (resource.RLIMIT_FSIZE, _MOST_WRITTEN),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(limit, (value, value))
    # The size is judged here, by what is asked for.
    Image.MAX_IMAGE_PIXELS = None
    while select.select([sys.stdin], [], [], _IDLE_SECONDS)[0]:
        line = sys.stdin.readline()
        if not line:
            break
        sys.stdout.write(json.dumps(_answer(json.loads(line))) + "\n")
        sys.stdout.flush()


def _answer(asked: dict[str, Any]) -> dict[str, Any]:
    try:
        return _made(asked)
    except (TooLargeError, MemoryError):
        return {"error": "too large"}
    except Exception:  # whatever a broken picture has a decoder raise
        return {"error": "unsuitable"}


def _made(asked: dict[str, Any]) -> dict[str, Any]:
    with Image.open(asked["source"], formats=_FORMATS) as image:
        kind = _TYPES[image.format or ""]
        if image.width * image.height > asked["max_pixels"]:
            raise TooLargeError
        lies = image.getexif().get(_ORIENTATION) in _LYING
        size = (image.height, image.width) if lies else image.size
        if asked.get("look"):
            image.load()
            return {"type": kind, "width": size[0], "height": size[1]}
        frames = getattr(image, "n_frames", 1) if image.format in _ANIMATED else 1
        moves = frames > 1
        animated = moves and asked["animated"] and _is_bearable(image.size, frames, asked["max_pixels"])
        wanted = asked["width"], asked["height"]
        if _fits(size, wanted) and asked["declared"] == kind and (animated or not moves):
            image.load()
            return {"original": kind}
        target, part = _plan(size, wanted, crop=asked["crop"])
        if animated:
            return _save_animation(image, target, part, asked["target"])
        # A JPEG is decoded at a fraction of its size.
        scale = max(target[0] / (part[2] - part[0]) / size[0], target[1] / (part[3] - part[1]) / size[1])
        image.draft(None, (int(2 * scale * image.width) + 1, int(2 * scale * image.height) + 1))
        return _save(ImageOps.exif_transpose(image), target, part, asked["target"])


def _is_bearable(size: Size, frames: int, max_pixels: int) -> bool:
    return frames <= _MOST_FRAMES and size[0] * size[1] * frames <= max_pixels


def _fits(size: Size, wanted: Size) -> bool:
    return size[0] <= wanted[0] and size[1] <= wanted[1]


def _plan(size: Size, wanted: Size, *, crop: bool) -> tuple[Size, Box]:
    """The size of the thumbnail, and the part that it shows, in fractions of the picture. Never enlarges."""
    width, height = size
    across, down = float(width), float(height)
    if crop:
        across, down = min(across, down * wanted[0] / wanted[1]), min(down, across * wanted[1] / wanted[0])
    scale = min(1.0, wanted[0] / across, wanted[1] / down)
    target = max(1, round(across * scale)), max(1, round(down * scale))
    left, top = (1 - across / width) / 2, (1 - down / height) / 2
    return target, (left, top, 1 - left, 1 - top)


def _shrunk(image: Image.Image, target: Size, part: Box) -> Image.Image:
    has_alpha = image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info
    mode = "RGBA" if has_alpha else "RGB"
    plain = image if image.mode == mode else image.convert(mode)
    box = part[0] * plain.width, part[1] * plain.height, part[2] * plain.width, part[3] * plain.height
    shrunk = plain.resize(target, Image.Resampling.LANCZOS, box=box, reducing_gap=2.0)
    profile = image.info.get("icc_profile")
    if profile and image.mode in ("RGB", "RGBA", "P"):
        with contextlib.suppress(Exception):  # a profile that is none: the colours stay as they are
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            ImageCms.profileToProfile(shrunk, source, ImageCms.createProfile("sRGB"), inPlace=True)
    # Where and with what it was taken is nobody's business.
    shrunk.info = {}
    return shrunk


def _save(image: Image.Image, target: Size, part: Box, path: str) -> dict[str, str]:
    shrunk = _shrunk(image, target, part)
    if shrunk.mode == "RGBA" and shrunk.getchannel("A").getextrema() != (255, 255):
        shrunk.save(path, "PNG")
        return {"type": "image/png"}
    shrunk.convert("RGB").save(path, "JPEG", quality=82, optimize=True)
    return {"type": "image/jpeg"}


def _save_animation(image: Image.Image, target: Size, part: Box, path: str) -> dict[str, str]:
    frames: list[Image.Image] = []
    durations: list[int] = []
    loop = int(image.info.get("loop", 0))
    for frame in ImageSequence.Iterator(image):
        durations.append(max(20, min(60_000, int(frame.info.get("duration", 100)))))
        frames.append(_shrunk(frame, target, part))
    frames[0].save(
        path, "WEBP", save_all=True, append_images=frames[1:], duration=durations, loop=loop, quality=75, method=2
    )
    return {"type": "image/webp"}


if __name__ == "__main__":
    main()
