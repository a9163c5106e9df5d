"""The words of a text: what is put into the index, and what is looked for in it.

A word is a run of letters, digits and marks, without regard to case. Scripts that put no spaces between words (Chinese,
Japanese, Korean, Thai and their like) are cut into single characters and pairs; looked for are the pairs. Pure.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from enum import IntEnum
from functools import lru_cache
from itertools import pairwise
from typing import Final, NamedTuple

#: Of one text.
MAX_WORDS: Final = 10_000
#: Of one query.
MAX_WANTED: Final = 64
_MAX_LENGTH: Final = 64
_ASCII_WORD: Final = re.compile("[a-z0-9]+")

_UNSPACED: Final = (
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x1000, 0x109F),  # Burmese
    (0x1100, 0x11FF),  # Hangul letters
    (0x1780, 0x17FF),  # Khmer
    (0x2E80, 0x2FDF),  # radicals
    (0x3005, 0x3007),
    (0x3021, 0x3029),
    (0x3040, 0x31FF),  # kana, Bopomofo, Hangul letters
    (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF),
    (0xA960, 0xA97F),
    (0xAC00, 0xD7FF),  # Hangul
    (0xF900, 0xFAFF),
    (0x1B000, 0x1B16F),
    (0x20000, 0x3FFFF),
)


class Wanted(NamedTuple):
    """What a query asks for: every one of `words`. `shown` are its words as people would mark them in a text."""

    words: list[str]
    shown: list[str]


class _Kind(IntEnum):
    GAP = 0
    SPACED = 1
    UNSPACED = 2
    #: Goes with the character before it.
    MARK = 3


def words_of(text: str) -> list[str]:
    """Every word of a text, in order."""
    found: list[str] = []
    for is_unspaced, units in _runs(text):
        if is_unspaced:
            found += units
            found += [one + other for one, other in pairwise(units)]
        else:
            found.append("".join(units))
        if len(found) >= MAX_WORDS:
            break
    return [word[:_MAX_LENGTH] for word in found[:MAX_WORDS]]


def wanted_by(query: str) -> Wanted:
    """What a query asks for."""
    words: dict[str, None] = {}
    shown: dict[str, None] = {}
    for is_unspaced, units in _runs(query):
        run = "".join(units)
        shown[run[:_MAX_LENGTH]] = None
        pairs = [one + other for one, other in pairwise(units)] if is_unspaced else []
        for word in pairs or [run]:
            words[word[:_MAX_LENGTH]] = None
        if len(words) >= MAX_WANTED:
            break
    return Wanted(list(words)[:MAX_WANTED], list(shown))


def _runs(text: str) -> Iterator[tuple[bool, list[str]]]:
    """The runs of characters of one kind that make words, each character with its marks."""
    if text.isascii():
        for word in _ASCII_WORD.findall(text.lower()):
            yield False, [word]
        return
    run: list[str] = []
    run_kind = _Kind.GAP
    for character in _plain(text):
        kind = _kind(character)
        if kind is _Kind.MARK:
            if run:
                run[-1] += character
            continue
        if kind is not run_kind and run:
            yield run_kind is _Kind.UNSPACED, run
            run = []
        run_kind = kind
        if kind is not _Kind.GAP:
            run.append(character)
    if run:
        yield run_kind is _Kind.UNSPACED, run


def _plain(text: str) -> str:
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())


@lru_cache(maxsize=8192)
def _kind(character: str) -> _Kind:
    category = unicodedata.category(character)[0]
    if category == "M":
        return _Kind.MARK
    if category not in "LN":
        return _Kind.GAP
    code = ord(character)
    return _Kind.UNSPACED if any(first <= code <= last for first, last in _UNSPACED) else _Kind.SPACED
