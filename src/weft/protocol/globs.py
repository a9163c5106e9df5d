"""Glob patterns: `*` is any run of characters, `?` is any one, everything else is itself.

Patterns come from users and from other servers, so that matching must take time linear in the text for each
pattern, whatever both are: every piece between stars is found once, at its first place, and never tried again.

Matching is by case; whoever wants otherwise folds the pattern and the text.

Rules: https://spec.matrix.org/v1.19/appendices/#glob-style-matching
"""

from __future__ import annotations

import re
import string
from collections.abc import Callable
from functools import lru_cache
from typing import Final

Matcher = Callable[[str], bool]

_WORD: Final = "[A-Za-z0-9_]"
_WORD_CHARACTERS: Final = frozenset(string.ascii_letters + string.digits + "_")
#: Holds wherever at least one neighbour is not part of a word.
_BOUNDARY: Final = f"(?:(?<!{_WORD})|(?!{_WORD}))"


def has_wildcards(pattern: str) -> bool:
    return "*" in pattern or "?" in pattern


@lru_cache(maxsize=4096)
def matcher(pattern: str) -> Matcher:
    """A test of whether a whole text matches."""
    if not has_wildcards(pattern):
        return pattern.__eq__
    return _whole(_pieces(pattern))


@lru_cache(maxsize=4096)
def star_matcher(pattern: str) -> Matcher:
    """The same where `*` is the only wildcard, as in the types of filters."""
    if "*" not in pattern:
        return pattern.__eq__
    return _whole([re.escape(piece) for piece in _split(pattern)])


@lru_cache(maxsize=4096)
def word_matcher(pattern: str) -> Matcher:
    """A test of whether some part of a text matches that neither starts nor ends inside a word.

    https://spec.matrix.org/v1.19/client-server-api/#conditions-1 (`event_match` on `content.body`)
    """
    first, *rest = _pieces(pattern)
    if not rest:
        return _test(f".*?{_BOUNDARY}{first}{_BOUNDARY}")
    *middle, last = rest
    start = f"(?>.*?{_BOUNDARY}{first})" + "".join(f"(?>.*?{piece})" for piece in middle)
    return _test(f"{start}.*?{last}{_BOUNDARY}")


def contains_word(text: str, literal: str) -> bool:
    """Whether a literal is in a text so that it neither starts nor ends inside a word."""
    start = text.find(literal)
    while start >= 0:
        if not _is_inside_word(text, start) and not _is_inside_word(text, start + len(literal)):
            return True
        start = text.find(literal, start + 1)
    return False


def _is_inside_word(text: str, place: int) -> bool:
    return 0 < place < len(text) and text[place - 1] in _WORD_CHARACTERS and text[place] in _WORD_CHARACTERS


def _whole(pieces: list[str]) -> Matcher:
    first, *rest = pieces
    if not rest:
        return _test(f"{first}\\Z")
    *middle, last = rest
    return _test(first + "".join(f"(?>.*?{piece})" for piece in middle) + f".*{last}\\Z")


def _pieces(pattern: str) -> list[str]:
    """The regular expressions of what stands between the stars; each matches texts of one length only."""
    return [".".join(re.escape(literal) for literal in piece.split("?")) for piece in _split(pattern)]


def _split(pattern: str) -> list[str]:
    """What stands between the stars, of which several in a row are one."""
    first, *rest = pattern.split("*")
    return [first] if not rest else [first, *filter(None, rest[:-1]), rest[-1]]


def _test(expression: str) -> Matcher:
    match = re.compile(expression, re.DOTALL).match
    return lambda text: match(text) is not None
