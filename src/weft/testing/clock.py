"""Time that stands still until a test moves it."""

from __future__ import annotations


class Clock:
    """Milliseconds since the epoch. Each reading is one later than the last, so that no two things happen at once."""

    def __init__(self, now_ms: int = 1_700_000_000_000) -> None:
        self._now_ms = now_ms

    def __call__(self) -> int:
        self._now_ms += 1
        return self._now_ms

    @property
    def seconds(self) -> float:
        return self._now_ms / 1000

    def advance(self, seconds: float) -> None:
        self._now_ms += int(seconds * 1000)
