"""What the fields of a request type say: their names, where they travel, what of their types matters.

Decoder and encoder of requests read the same.
"""

from __future__ import annotations

import re
import types
import typing
from functools import cache
from typing import Any, Final, get_args, get_origin

import msgspec

from weft.protocol.api.endpoint import In


class Field:
    """A field of a request type: its names, where it travels, and what of its type matters."""

    __slots__ = ("info", "is_list", "is_mapping", "is_plain_text", "name", "place", "wire")

    def __init__(self, info: msgspec.structs.FieldInfo) -> None:
        self.info = info
        self.name = info.name
        self.wire = info.encode_name
        self.place = place_of(info.type)
        kinds = {get_origin(kind) or kind for kind in alternatives(info.type)}
        self.is_list = bool(kinds & {list, tuple, set, frozenset})
        #: In the query: every parameter that no other field names.
        self.is_mapping = dict in kinds
        self.is_plain_text = info.required and info.type == typing.Annotated[str, self.place]


def place_of(annotation: Any) -> In | None:
    """Where a field travels; the mark may stand on one alternative (`Query[str] | None`)."""
    marks = [mark for mark in getattr(annotation, "__metadata__", ()) if isinstance(mark, In)]
    if marks:
        return marks[0]
    if get_origin(annotation) in _UNIONS:
        return next((place for each in get_args(annotation) if (place := place_of(each))), None)
    return None


def alternatives(annotation: Any) -> list[Any]:
    """The types of a union, without the marks."""
    if hasattr(annotation, "__metadata__"):
        return alternatives(annotation.__origin__)
    if get_origin(annotation) in _UNIONS:
        return [kind for each in get_args(annotation) for kind in alternatives(each)]
    return [annotation]


@cache
def snake(name: str) -> str:
    """A parameter's name as its field is called."""
    return _CAPITAL.sub(r"_\1", name).lower()


_UNIONS: Final = (typing.Union, types.UnionType)
#: A parameter in the template of a path.
TEMPLATE: Final = re.compile(r"\{(\w+)\}")
_CAPITAL: Final = re.compile(r"(?<=[a-z0-9])([A-Z])")
