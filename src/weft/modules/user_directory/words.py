"""Names as words: folded, so that case, accents, width and composition make no difference.

Scripts without spaces (Chinese, Japanese, Thai …) come out as long words; because every ending of a word is a term of
its own, any part of them is found.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

_MAX_NAME = 256
_MAX_WORD = 64
_MAX_TERMS = 400
#: Accents of alphabets; the marks of other scripts tell letters apart.
_ACCENTS = re.compile("[\u0300-\u036f]")
_PIECES = re.compile(r"\w+|[^\w\s]")


def fold(text: str) -> str:
    """The text without differences that people don't see as such."""
    apart = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", text[:_MAX_NAME]).casefold())
    return unicodedata.normalize("NFC", _ACCENTS.sub("", apart))


def words(text: str) -> list[str]:
    """The words of a text, folded; a pictograph is a word."""
    pieces = _PIECES.findall(fold(text))
    return [piece[:_MAX_WORD] for piece in pieces if piece[0].isalnum() or piece[0] == "_" or _is_symbol(piece)]


def terms(names: Iterable[str]) -> dict[str, bool]:
    """What is indexed for some names: every word (True) and every ending of one (False)."""
    found: dict[str, bool] = {}
    whole = [word for name in names for word in words(name)]
    for word in whole:
        found[word] = True
    for word in whole:
        for start in range(1, len(word)):
            if len(found) >= _MAX_TERMS:
                return found
            found.setdefault(word[start:], False)
    return found


def _is_symbol(piece: str) -> bool:
    return unicodedata.category(piece) == "So"
