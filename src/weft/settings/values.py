"""What settings are made of: sections, what a person must know of a setting, sizes and lengths of time."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated

import msgspec

_SIZE = re.compile(r"([0-9]{1,15})\s*([KMGT]?)(?:i?B)?", re.IGNORECASE)
_SIZE_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
_DURATION = re.compile(r"([0-9]{1,12})\s*(ms|s|m|h|d)", re.IGNORECASE)
_DURATION_UNITS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


@dataclass(frozen=True, slots=True, kw_only=True)
class Doc:
    """What a person must know of a setting.

    `example` is the TOML shown where there is no default; `risk` says what goes wrong when the setting is used
    carelessly, and is shown wherever the setting is.
    """

    text: str
    example: str | None = None
    risk: str | None = None


class ByteSize(int):
    """A number of bytes, written as `"512M"`: K, M, G or T for powers of 1024, or no unit."""

    @classmethod
    def parse(cls, text: str) -> ByteSize:
        """Raises `ValueError` for what is no size."""
        match = _SIZE.fullmatch(text.strip())
        if match is None:
            raise ValueError(f'expected a size such as "512M" or "2G", got "{text}"')
        return cls(int(match[1]) * _SIZE_UNITS[match[2].upper()])

    def __str__(self) -> str:
        return _in_largest_unit(self, _SIZE_UNITS)


class Duration(int):
    """A number of milliseconds, written as `"90s"`, `"5m"`, `"12h"`, `"7d"` or `"250ms"`."""

    @classmethod
    def parse(cls, text: str) -> Duration:
        """Raises `ValueError` for what is no duration."""
        match = _DURATION.fullmatch(text.strip())
        if match is None:
            raise ValueError(f'expected a duration such as "90s", "5m" or "7d", got "{text}"')
        return cls(int(match[1]) * _DURATION_UNITS[match[2].lower()])

    def __str__(self) -> str:
        return _in_largest_unit(self, _DURATION_UNITS)


def _in_largest_unit(amount: int, units: dict[str, int]) -> str:
    unit = max((u for u, factor in units.items() if amount % factor == 0), key=units.__getitem__) if amount else ""
    return f"{amount // units[unit]}{unit}" if unit else f"{int(amount)}"


class Section(msgspec.Struct, frozen=True, kw_only=True):
    """The base of every section. Its docstring is what the reference page says of it."""


Port = Annotated[int, msgspec.Meta(ge=0, le=65535)]
Count = Annotated[int, msgspec.Meta(ge=1)]
