"""The declarations of `weft.settings` as a list that programs can walk.

A path is a tuple of names; `*` stands for a number in a list of sections: `("listeners", "*", "port")`.
"""

from __future__ import annotations

import types
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path as FilePath
from typing import Annotated, Literal, Union, get_args, get_origin, get_type_hints

import msgspec

from weft.settings import ByteSize, Doc, Duration, Limit, Section, Settings

Path = tuple[str, ...]
EACH = "*"


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting. `default` is None where there is none; `required` where it must be given with its section."""

    path: Path
    kind: object
    default: object
    required: bool
    doc: Doc

    @property
    def name(self) -> str:
        return self.path[-1]

    @property
    def variable(self) -> str:
        """The environment variable that sets it, `0` standing for any number."""
        return "WEFT_" + "_".join("0" if part == EACH else part for part in self.path).upper()


@dataclass(frozen=True, slots=True)
class Part:
    """A section: its own settings in order. `repeated`: there may be several."""

    path: Path
    kind: type[Section]
    repeated: bool
    settings: tuple[Setting, ...]

    @property
    def text(self) -> str:
        return " ".join((self.kind.__doc__ or "").split())


@cache
def parts() -> tuple[Part, ...]:
    """Every section in the order of declaration, the nameless one at the top first."""
    return tuple(_parts((), Settings, repeated=False))


def settings() -> Iterator[Setting]:
    """Every setting in the order of declaration."""
    for part in parts():
        yield from part.settings


def section_of(kind: object) -> type[Section] | None:
    """The section type that a field holds one of or a list of; None for a plain setting. A limit is plain: it is
    written on one line."""
    kind = unwrapped(kind)
    if get_origin(kind) is tuple:
        kind = get_args(kind)[0]
    return kind if isinstance(kind, type) and issubclass(kind, Section) and kind is not Limit else None


def unwrapped(kind: object) -> object:
    """The type without `Annotated` and `| None`."""
    while get_origin(kind) is Annotated:
        kind = get_args(kind)[0]
    if get_origin(kind) in (Union, types.UnionType):
        return unwrapped(next(arg for arg in get_args(kind) if arg is not type(None)))
    return kind


def is_list(kind: object) -> bool:
    return get_origin(unwrapped(kind)) is tuple


def choices(kind: object) -> tuple[str, ...]:
    """What a setting with a fixed set of values may be; empty for others."""
    kind = unwrapped(kind)
    return get_args(kind) if get_origin(kind) is Literal else ()


def in_words(kind: object) -> str:
    """What to write, for a person."""
    kind = unwrapped(kind)
    if get_origin(kind) is tuple:
        inner = get_args(kind)[0]
        return f"list of {quoted(choices(inner)) or _PLURALS.get(unwrapped(inner), 'tables')}"
    if choices(kind):
        return quoted(choices(kind))
    return _WORDS[kind]


def quoted(names: tuple[str, ...]) -> str:
    """`"a" or "b"`."""
    return " or ".join(f'"{name}"' for name in names)


_WORDS: dict[object, str] = {
    str: "string",
    bool: "true or false",
    int: "whole number",
    float: "number",
    ByteSize: "size",
    Duration: "duration",
    Limit: "limit",
    FilePath: "path",
}
_PLURALS: dict[object, str] = {str: "strings", FilePath: "paths"}


def kind_at(path: Path) -> object:
    """The declared type at a path (numbers as `*`); raises `KeyError` for what is not declared."""
    kind: object = Settings
    for part in path:
        section = section_of(kind) if kind is not Limit else Limit
        if part == EACH:
            if not is_list(kind):
                raise KeyError(part)
            kind = get_args(unwrapped(kind))[0]
        elif section is None and unwrapped(kind) is Limit:
            kind = hints(Limit)[part]
        elif section is None or is_list(kind):
            raise KeyError(part)
        else:
            kind = hints(section)[part]
    return kind


@cache
def hints(kind: type[Section]) -> dict[str, object]:
    """The fields of a section with their annotated types."""
    return get_type_hints(kind, include_extras=True)


def _parts(path: Path, kind: type[Section], *, repeated: bool) -> Iterator[Part]:
    here = (*path, EACH) if repeated else path
    own: list[Setting] = []
    below: list[Part] = []
    for field in msgspec.structs.fields(kind):
        annotation = hints(kind)[field.name]
        section, doc = section_of(annotation), _doc(annotation)
        if doc is not None:
            default = None if field.default is msgspec.NODEFAULT else field.default
            own.append(Setting((*here, field.name), annotation, default, field.required, doc))
        if section is not None:
            below.extend(_parts((*here, field.name), section, repeated=is_list(annotation)))
    yield Part(path, kind, repeated, tuple(own))
    yield from below


def _doc(annotation: object) -> Doc | None:
    if get_origin(annotation) is not Annotated:
        return None
    return next((extra for extra in get_args(annotation)[1:] if isinstance(extra, Doc)), None)
