"""How deep JSON nests, found out without parsing it."""

from __future__ import annotations

from itertools import accumulate
from typing import Final

from weft.protocol.canonical_json import MAX_DEPTH
from weft.protocol.errors import BadJson

_NOT_BRACKETS: Final = bytes(set(range(256)) - set(b"[]{}"))
_STEPS: Final = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}


def check_nesting(json: bytes) -> None:
    """Raises `BadJson` for JSON that nests deeper than `MAX_DEPTH`."""
    if _count(b"[", json) + _count(b"{", json) > MAX_DEPTH and _depth(json) > MAX_DEPTH:
        raise BadJson("The JSON nests too deep.")


def _count(bracket: bytes, json: bytes) -> int:
    """As `json.count(bracket)`, which looks at each byte by itself: where there are few, this is four times as fast."""
    return len(json) - len(json.replace(bracket, b""))


def _depth(json: bytes) -> int:
    if b"\\" in json:
        # Left to right, as they are read: what is escaped ends no string.
        json = json.replace(b"\\\\", b"").replace(b'\\"', b"")
    # Every other part lies between strings.
    brackets = b"".join(json.split(b'"')[::2]).translate(None, _NOT_BRACKETS)
    return max(accumulate(map(_STEPS.__getitem__, brackets)), default=0)
