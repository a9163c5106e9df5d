"""Canonical JSON: the one spelling of a value that hashes and signatures are made over.

Two dialects. The strict one is room version 6's and later, and everything outside rooms: integers within
±(2^53-1) and no floats. The lax one is for events of room versions 1 to 5, which may hold any number. Both
refuse what has no spelling in UTF-8 (lone surrogates), keys that are not strings, infinities, and nesting
deeper than `MAX_DEPTH`. Of duplicate keys the last one counts.

A value is checked once, where it enters: `decode` returns checked values, and `encode_checked` trusts them.

Rules: https://spec.matrix.org/v1.19/appendices/#canonical-json
       https://spec.matrix.org/v1.19/rooms/v6/#canonical-json
"""

from __future__ import annotations

import json
import math
from typing import Any, Final

import orjson

from weft.protocol.errors import BadJson, NotJson

MAX_INTEGER: Final = 2**53 - 1
#: Containers within containers. The encoder ends at 254; what wraps an event on its way needs a few of these.
MAX_DEPTH: Final = 200
#: Digits of the longest integer that the lax dialect reads; Python's own limit is 4,300.
_MAX_DIGITS: Final = 1_000

_SORTED: Final = orjson.OPT_SORT_KEYS


def encode(value: Any) -> bytes:
    """The canonical form of a value that may have come from anywhere. Raises `BadJson` if it has none."""
    _check_tree(value, strict=True, foreign=False)
    return encode_checked(value)


def encode_checked(value: Any) -> bytes:
    """The canonical form of a value that `decode`, `check` or our own code vouches for.

    `orjson.Fragment` is spliced as it is: its bytes must be canonical already.
    """
    try:
        return orjson.dumps(value, option=_SORTED)
    except TypeError as error:
        raise BadJson(f"The value has no canonical JSON form: {error}.") from None


def encode_lax(value: Any) -> bytes:
    """The canonical form where numbers are free: integers of any size, floats as the shortest decimal that reads back.

    That is the form over which the servers of such rooms have always computed their hashes.
    """
    if _check_tree(value, strict=False, foreign=True):
        return encode_checked(value)
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"), sort_keys=True).encode()
    except ValueError:
        raise BadJson("A number is too long.") from None


def decode(data: bytes | bytearray | memoryview | str) -> Any:
    """Reads JSON whose value is canonical (its spelling need not be). Raises `NotJson` or `BadJson`."""
    value = _parse(data)
    _check_tree(value, strict=True, foreign=False)
    return value


def decode_lax(data: bytes | bytearray | memoryview | str) -> Any:
    """Reads JSON with any finite numbers, integers exactly. Raises `NotJson` or `BadJson`."""
    value = _parse(data)
    if _check_tree(value, strict=False, foreign=False):
        return value
    # A float may be what became of an integer beyond 64 bits: read such documents again, slowly and exactly.
    text = data if isinstance(data, str) else bytes(data).decode()
    try:
        value = json.loads(text, parse_int=_exact_integer, parse_float=_exact_float)
    except (ValueError, RecursionError) as error:
        raise NotJson(f"The content is not valid JSON: {error}.") from None
    _check_tree(value, strict=False, foreign=False)
    return value


def canonical_lax(data: bytes | bytearray | memoryview | str) -> bytes:
    """The canonical form of a JSON text in which numbers are free. Raises `NotJson` or `BadJson`."""
    value = _parse(data)
    if _check_tree(value, strict=False, foreign=False):
        return encode_checked(value)
    return encode_lax(decode_lax(data))


def check(value: Any) -> None:
    """Raises `BadJson` unless `encode` would accept this parsed value."""
    _check_tree(value, strict=True, foreign=True)


def check_lax(value: Any) -> None:
    """Raises `BadJson` unless `encode_lax` would accept this parsed value."""
    _check_tree(value, strict=False, foreign=True)


def _parse(data: bytes | bytearray | memoryview | str) -> Any:
    try:
        return orjson.loads(data)
    except ValueError as error:
        raise NotJson(f"The content is not valid JSON: {error}.") from None


def _exact_integer(digits: str) -> int:
    if len(digits) > _MAX_DIGITS:
        raise BadJson("A number is too long.")
    return int(digits)


def _exact_float(digits: str) -> float | int:
    """`1e10` is an integer in other clothes; beyond the safe range it stays the float that it looks like."""
    number = float(digits)
    if not math.isfinite(number):
        raise BadJson("A number is too large.")
    if "." not in digits and number.is_integer() and abs(number) <= MAX_INTEGER:
        return int(number)
    return number


def _check_tree(value: Any, *, strict: bool, foreign: bool) -> bool:
    """Walks a value level by level; raises `BadJson`, or says whether its numbers are all plain 53-bit integers.

    `foreign` is for values that neither left a parser nor are about to meet the encoder, which look for bad
    keys and lone surrogates themselves.
    """
    plain = True
    level: list[Any] = [[value]]
    for _ in range(MAX_DEPTH + 1):
        below: list[Any] = []
        for container in level:
            if foreign and type(container) is dict:
                _check_keys(container)
            for member in container.values() if type(container) is dict else container:
                kind = type(member)
                if kind is str:
                    if foreign:
                        _check_text(member)
                elif kind is dict or kind is list:
                    below.append(member)
                elif kind is int:
                    if not -MAX_INTEGER <= member <= MAX_INTEGER:
                        plain = _check_number(member, strict)
                elif kind is float:
                    plain = _check_number(member, strict)
                elif kind is not bool and member is not None:
                    raise BadJson(f"JSON has no {kind.__name__}.")
        if not below:
            return plain
        level = below
    raise BadJson(f"The JSON is nested deeper than {MAX_DEPTH} levels.")


def _check_keys(mapping: dict[Any, Any]) -> None:
    for key in mapping:
        if type(key) is not str:
            raise BadJson("A key of a JSON object is not a string.")
        _check_text(key)


def _check_text(text: str) -> None:
    if text.isascii():
        return
    try:
        text.encode()
    except UnicodeEncodeError:
        raise BadJson("A string holds a lone surrogate.") from None


def _check_number(number: float, strict: bool) -> bool:
    """Always False, where it returns: the number at hand is not a plain one."""
    if strict:
        raise BadJson("Numbers must be integers between -(2^53-1) and 2^53-1.")
    if type(number) is float and not math.isfinite(number):
        raise BadJson("JSON has no infinity, and no NaN.")
    return False
