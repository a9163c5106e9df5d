"""Percent-decoding of what becomes a value: UTF-8 without NUL, which no identifier holds and some databases refuse."""

from __future__ import annotations

from urllib.parse import unquote_to_bytes

from falcon.uri import decode


def percent_decoded(text: str, *, plus: bool = False) -> str | None:
    """The decoded text, or None if it is not such a text. With `plus`, a `+` is a space (queries)."""
    value = decode(text, unquote_plus=plus)
    if "\0" in value or ("\ufffd" in value and not _is_utf8(text)):
        return None
    return value


def _is_utf8(text: str) -> bool:
    """Whether U+FFFD was meant, and does not stand for what could not be read."""
    try:
        unquote_to_bytes(text).decode()
    except UnicodeDecodeError:
        return False
    return True
