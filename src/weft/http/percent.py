"""Percent-decoding of what becomes a value: UTF-8 without NUL, which no identifier holds and some databases refuse."""

from __future__ import annotations

from functools import lru_cache
from typing import Final
from urllib.parse import unquote_to_bytes

#: Room ids, filters and the like come again and again. Longer texts are not remembered.
_SHORT: Final = 256


def percent_decoded(text: str, *, plus: bool = False) -> str | None:
    """The decoded text, or None if it is not such a text. With `plus`, a `+` is a space (queries)."""
    if text.isascii() and "%" not in text and not (plus and "+" in text):
        return None if "\0" in text else text
    return _remembered(text, plus) if len(text) <= _SHORT else _decoded(text, plus)


def _decoded(text: str, plus: bool) -> str | None:
    if plus:
        text = text.replace("+", " ")
    try:
        text = unquote_to_bytes(text).decode()
    except UnicodeDecodeError:
        return None
    return None if "\0" in text else text


_remembered: Final = lru_cache(maxsize=2_048)(_decoded)
