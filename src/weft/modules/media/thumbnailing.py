"""Asks the program that makes thumbnails (`thumbnail_worker`)."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from weft.modules.media.workers import WorkerFailedError, Workers
from weft.protocol.errors import WeftError

#: Seconds for one thumbnail.
SECONDS: Final = 20.0
_PROGRAM: Final = Path(__file__).with_name("thumbnail_worker.py")


class UnsuitableError(WeftError):
    """No thumbnail can be made of it: it is no picture, a broken one, or one that takes too long."""


class TooManyPixelsError(WeftError):
    """It is larger than what thumbnails are made of."""


class Thumbnailer:
    """Makes up to `processes` thumbnails at a time."""

    def __init__(self, processes: int, *, seconds: float = SECONDS) -> None:
        self._workers = Workers(_PROGRAM, processes, seconds=seconds)

    async def make(self, asked: dict[str, Any]) -> dict[str, Any]:
        """What the worker answers. Raises `UnsuitableError`, `TooManyPixelsError`, and `NotNow` where too many wait."""
        try:
            answer = await self._workers.ask(asked)
        except WorkerFailedError as error:
            raise UnsuitableError("the decoder failed, or took too long") from error
        error_ = answer.get("error")
        if error_ == "too large":
            raise TooManyPixelsError("too many pixels")
        if error_ is not None:
            raise UnsuitableError(str(error_))
        return answer

    def close(self) -> None:
        """Ends the processes, also those at work."""
        self._workers.close()
