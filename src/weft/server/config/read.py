"""From a `weft.toml`, the environment and `--set` to a frozen `Settings`.

Order, the later winning: defaults, file, environment, `--set`. Every problem names its place: the line of the file,
the variable or the option.
"""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import msgspec

from weft.server.config import checks, declared
from weft.server.config.errors import SettingsError
from weft.settings import ByteSize, Duration, Limit, RateLimits, Section, Settings

AnySection = TypeVar("AnySection", bound=Section)
Values = dict[str, Any]
#: A place in the tree: names, and numbers in lists.
Place = tuple[str | int, ...]

_ENVIRONMENT_ONLY = frozenset({"WEFT_DATA", "WEFT_CONFIG"})


class Sources:
    """The values so far and where each came from."""

    def __init__(self, values: Mapping[str, Any], *, text: str = "", file: str = "settings") -> None:
        self.values: Values = deepcopy(dict(values))
        self._text = text
        self._file = file
        self._origins: dict[Place, str] = {}

    def lay(self, place: Place, value: str, origin: str) -> None:
        """Puts one value, written as text, over what is there."""
        try:
            kind = declared.kind_at(_pattern(place))
        except KeyError:
            raise SettingsError([f"{origin}: {_unknown(place)}"]) from None
        try:
            _put(self.values, place, _from_text(kind, value))
        except (tomllib.TOMLDecodeError, ValueError) as error:
            raise SettingsError([f"{origin}: {spelled(place)}: {error}"]) from None
        self._origins[place] = origin

    def where(self, place: Place) -> str:
        """The place of a value, for a message."""
        for length in range(len(place), 0, -1):
            if origin := self._origins.get(place[:length]):
                return origin
        line = line_of(self._text, place)
        return f"{self._file}, line {line}" if line else self._file


def load(file: Path, *, environ: Mapping[str, str] | None = None, sets: Sequence[str] = ()) -> Settings:
    """The settings of `file`, over them `environ` (default: this process's), over them `sets` (`"a.b=c"`).

    Raises `SettingsError` with every problem that could be found.
    """
    try:
        text = file.read_text(encoding="utf-8")
        values = tomllib.loads(text)
    except FileNotFoundError:
        raise SettingsError([f"{file} does not exist: make it with weft init"]) from None
    except OSError as error:
        raise SettingsError([f"{file} can't be read: {error.strerror}"]) from None
    except UnicodeDecodeError:
        raise SettingsError([f"{file} is not UTF-8 text"]) from None
    except tomllib.TOMLDecodeError as error:
        raise SettingsError([f"{file} is not TOML: {error}"]) from None
    sources = Sources(values, text=text, file=str(file))
    for name, value, place in variables(os.environ if environ is None else environ):
        sources.lay(place, value, f"environment variable {name}")
    for item in sets:
        _lay_option(sources, item)
    return _freeze(sources, file.absolute().parent)


def from_values(values: Mapping[str, Any], *, base: Path) -> Settings:
    """The settings in a mapping shaped as the TOML file is; relative paths start at `base`."""
    return _freeze(Sources(values), base.absolute())


def read_secret(file: Path) -> str:
    """The one line of a secret's file."""
    try:
        secret = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError([f"the secret in {file} can't be read: {error}"]) from None
    if not secret:
        raise SettingsError([f"the secret's file {file} is empty"])
    return secret


def database_url(settings: Settings) -> str:
    """The database's address, complete: the whole path of SQLite's file, PostgreSQL's password from its file."""
    if settings.is_sqlite:
        return f"sqlite:{settings.sqlite_file}"
    url, file = settings.database.url, settings.database.password_file
    if file is None:
        return url
    query = "&" if "?" in url else "?"
    return f"{url}{query}password={quote(read_secret(file), safe='')}"


def variables(environ: Mapping[str, str]) -> Iterator[tuple[str, str, Place]]:
    """The environment variables that are settings: name, value, place. Others are somebody else's (systems that
    start containers put their own WEFT_… there); `unknown_variables` lists them."""
    patterns = _variable_patterns()
    for name in sorted(environ):
        for pattern, path in patterns:
            if match := pattern.fullmatch(name):
                numbers = iter(match.groups())
                yield name, environ[name], tuple(int(next(numbers)) if p == declared.EACH else p for p in path)
                break


def unknown_variables(environ: Mapping[str, str]) -> list[str]:
    """Variables that look like ours and are not."""
    known = {name for name, _, _ in variables(environ)} | _ENVIRONMENT_ONLY
    return sorted(name for name in environ if name.startswith("WEFT_") and name not in known)


def spelled(place: Place) -> str:
    """`listeners.0.port`, as `--set` takes it."""
    return ".".join(str(part) for part in place)


def line_of(text: str, place: Place) -> int | None:
    """The line of a TOML text where a value is written, or the innermost table around it."""
    best: tuple[int, int] | None = None
    table: Place = ()
    counts: dict[Place, int] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if header := _HEADER.match(line):
            table = _keys(header[2])
            if header[1] == "[[":
                counts[table] = counts.get(table, -1) + 1
                table = (*table, counts[table])
            found = table
        elif key := _KEY.match(line):
            found = (*table, *_keys(key[1]))
        else:
            continue
        if place[: len(found)] == found and (best is None or len(found) > best[0]):
            best = len(found), number
    return best[1] if best else None


_HEADER = re.compile(r"\s*(\[\[?)\s*([^\[\]]+?)\s*\]")
_KEY = re.compile(r"\s*([\w.\"'-]+(?:\s*\.\s*[\w\"'-]+)*)\s*=")


def _keys(text: str) -> Place:
    return tuple(part.strip().strip("\"'") for part in text.split("."))


def _variable_patterns() -> list[tuple[re.Pattern[str], declared.Path]]:
    return [
        (
            re.compile("WEFT_" + "_".join(r"(\d+)" if p == declared.EACH else p.upper() for p in setting.path)),
            setting.path,
        )
        for setting in declared.settings()
    ]


def _lay_option(sources: Sources, item: str) -> None:
    name, equals, value = item.partition("=")
    if not equals:
        raise SettingsError([f'--set {item}: write it as name=value, for example --set database.url="sqlite:weft.db"'])
    place: Place = tuple(int(part) if part.isdecimal() else part for part in name.strip().split("."))
    sources.lay(place, value, f"--set {name.strip()}")


def _pattern(place: Place) -> declared.Path:
    return tuple(declared.EACH if isinstance(part, int) else part for part in place)


def _from_text(kind: object, text: str) -> Any:
    """A value written on the command line or in the environment: strings as they are, the rest as in TOML."""
    plain = declared.unwrapped(kind)
    if declared.is_list(kind) and not text.lstrip().startswith("["):
        return [part.strip() for part in text.split(",") if part.strip()]
    if plain in (bool, int, float, Limit) or declared.is_list(kind) or declared.section_of(kind):
        return tomllib.loads(f"value = {text}")["value"]
    return text


def _put(values: Values, place: Place, value: Any) -> None:
    node: Any = values
    for index, part in enumerate(place[:-1]):
        if isinstance(part, int):
            node = _element(node, part)
        else:
            node = node.setdefault(part, [{}] if isinstance(place[index + 1], int) else {})
        if not isinstance(node, dict | list):
            raise ValueError("what is there is not a section")
    if not isinstance(node, dict):
        raise ValueError("name a setting of that section")
    node[str(place[-1])] = value


def _element(values: Any, number: int) -> Any:
    if not isinstance(values, list) or number > len(values):
        raise ValueError(f"there is no number {number}: the first is 0, and a new one comes after the last")
    if number == len(values):
        values.append({})
    return values[number]


def _freeze(sources: Sources, base: Path) -> Settings:
    problems = [f"{sources.where(place)}: {_unknown(place)}" for place in _undeclared(sources.values, ())]
    if problems:
        raise SettingsError(problems)
    _complete_limits(sources.values)
    try:
        settings = msgspec.convert(sources.values, Settings, dec_hook=_decode)
    except msgspec.ValidationError as error:
        raise SettingsError([_explained(sources, error)]) from None
    settings = _with_absolute_paths(settings, base)
    problems = [f"{sources.where(place)}: {spelled(place)}: {text}" for place, text in checks.problems(settings)]
    if problems:
        raise SettingsError(problems)
    return settings


def _complete_limits(values: Values) -> None:
    """A limit of which only one half is given keeps the other."""
    given = values.get("rate_limits")
    if not isinstance(given, dict):
        return
    for name, limit in given.items():
        if isinstance(limit, dict) and name in RateLimits.__struct_fields__:
            default = getattr(RateLimits(), name)
            given[name] = {**msgspec.to_builtins(default), **limit}


def _undeclared(value: Any, place: Place) -> Iterator[Place]:
    """The keys that no setting has."""
    if isinstance(value, dict):
        for name, inner in value.items():
            here = (*place, name)
            try:
                declared.kind_at(_pattern(here))
            except KeyError:
                yield here
            else:
                yield from _undeclared(inner, here)
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            if isinstance(inner, dict):
                yield from _undeclared(inner, (*place, number))


def _unknown(place: Place) -> str:
    """Says what there is instead: a near name in the same section, or the same name elsewhere."""
    paths = {setting.path for setting in declared.settings()} | {part.path for part in declared.parts()}
    pattern = _pattern(place)
    siblings = {
        path[len(pattern) - 1]
        for path in paths
        if len(path) >= len(pattern) and path[: len(pattern) - 1] == pattern[:-1]
    }
    near = difflib.get_close_matches(str(place[-1]), siblings, n=1)
    if near:
        return f'there is no setting "{spelled(place)}"; the nearest is "{spelled((*place[:-1], near[0]))}"'
    everywhere = difflib.get_close_matches(spelled(pattern), {spelled(path) for path in paths}, n=1)
    same_name = sorted(spelled(path) for path in paths if path and path[-1] == place[-1])
    hint = next(iter(same_name or everywhere), None)
    return f'there is no setting "{spelled(place)}"' + (f'; the nearest is "{hint}"' if hint else "")


def _decode(kind: type[Any], value: Any) -> Any:
    if kind is Path and isinstance(value, str) and value:
        return Path(value)
    if kind is Path:
        raise ValueError("expected a path")
    if kind is ByteSize and type(value) is int:
        return ByteSize(value)
    if kind in (ByteSize, Duration) and isinstance(value, str):
        return kind.parse(value)
    raise ValueError('expected a duration such as "5m"' if kind is Duration else 'expected a size such as "512M"')


_PLACE = re.compile(r"(.*) - at `\$(.*)`", re.DOTALL)
_STEP = re.compile(r"\.(\w+)|\[(\d+)\]")


def _explained(sources: Sources, error: msgspec.ValidationError) -> str:
    match = _PLACE.fullmatch(str(error))
    text, steps = (match[1], match[2]) if match else (str(error), "")
    place: Place = tuple(name or int(number) for name, number in _STEP.findall(steps))
    if text.startswith("Invalid enum value") and (allowed := declared.choices(declared.kind_at(_pattern(place)))):
        text = f"expected {declared.quoted(allowed)}"
    for code, words in _IN_WORDS:
        text = text.replace(code, words)
    return f"{sources.where(place)}: {spelled(place)}: {text}" if place else text


_IN_WORDS = (
    ("Expected", "expected"),
    ("Object missing required field", "needs"),
    (" | null`", "`"),
    ("`int`", "a whole number"),
    ("`float`", "a number"),
    ("`bool`", "true or false"),
    ("`str`", "a string"),
    ("`array`", "a list"),
    ("`object`", "a table"),
)


def _with_absolute_paths(settings: Settings, base: Path) -> Settings:
    data_dir = base / settings.server.data_dir
    server = msgspec.structs.replace(settings.server, data_dir=data_dir)
    return _absolute_section(msgspec.structs.replace(settings, server=server), data_dir)


def _absolute_section(section: AnySection, base: Path) -> AnySection:
    changed = {name: _absolute(getattr(section, name), base) for name in section.__struct_fields__}
    return msgspec.structs.replace(section, **changed)


def _absolute(value: object, base: Path) -> object:
    """`value` with every relative path in it starting at `base`."""
    if isinstance(value, Path):
        return base / value
    if isinstance(value, tuple):
        return tuple(_absolute(inner, base) for inner in value)
    return _absolute_section(value, base) if isinstance(value, Section) else value
