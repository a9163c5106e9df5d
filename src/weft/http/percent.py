"""Percent-decoding of what becomes a value: UTF-8 without NUL, which no identifier holds and some databases refuse."""

from __future__ import annotations

from urllib.parse import unquote_to_bytes


def percent_decoded(text: str, *, plus: bool = False) -> str | None:
    """The decoded text, or None if it is not such a text. With `plus`, a `+` is a space (queries)."""
    if plus and "+" in text:
        text = text.replace("+", " ")
    if "%" in text or not text.isascii():
        try:
            text = unquote_to_bytes(text).decode()
        except UnicodeDecodeError:
            return None
    return None if "\0" in text else text
