"""The sample `weft.toml` and the reference page, both made from the declarations."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from weft.server.config import declared
from weft.settings import ByteSize, Duration, Limit

_WIDTH = 100
_PAGE_WIDTH = 118

_SAMPLE_HEAD = """\
# The settings of a Weft server. Every one is here; those behind a # have the value shown, unless it says "for example".
# Any of them can also be given as an environment variable (WEFT_DATABASE_URL=...) or on the command
# line (--set database.url=...). A name that Weft does not know is refused, so a slip is not silent.
"""

_PAGE_HEAD = """\
# Settings

<!-- Made by `make docs` from src/weft/settings/: change it there. -->

Weft reads one file, `weft.toml`, in the data folder. `weft init` writes it with every setting explained;
`weft config check` says what is wrong with it. A name that Weft does not know is refused.

Each setting can also be given as an environment variable, and on the command line as `--set name=value`
(numbers choose from a list: `--set listeners.0.port=9000`). The command line wins over the environment, the
environment over the file, the file over the defaults. Other variables that begin with `WEFT_` are left alone;
`weft doctor` lists them.

Sizes are written as `"512M"` (K, M, G, T: powers of 1024), durations as `"90s"`, `"5m"`, `"12h"` or `"7d"`, limits as
`{ per_second = 2, burst = 20 }`. Secrets are read from files, so that this file can be shown to others.
"""


def sample(chosen: Mapping[str, Any] | None = None) -> str:
    """The file that `weft init` writes. `chosen` maps a spelled path (`server.names`) to the value that is set in it;
    everything else stands behind a `#`."""
    blocks = [_SAMPLE_HEAD]
    blocks.extend("\n".join(_sample_part(part, chosen or {})) for part in declared.parts() if _has_a_table(part))
    return "\n".join(blocks)


def page() -> str:
    """`docs/settings.md`."""
    blocks = [_PAGE_HEAD]
    blocks.extend("\n".join(_page_part(part)) for part in declared.parts())
    return "\n".join(blocks)


def toml(value: object) -> str:
    """A value as TOML on one line."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, ByteSize | Duration | Path):
        return _string(str(value))
    if isinstance(value, int | float):
        return f"{value:g}" if isinstance(value, float) else f"{value}"
    if isinstance(value, str):
        return _string(value)
    if isinstance(value, Limit):
        return f"{{ per_second = {toml(value.per_second)}, burst = {value.burst} }}"
    if isinstance(value, tuple | list):
        return f"[{', '.join(toml(inner) for inner in value)}]"
    raise TypeError(f"a {type(value).__name__} has no place in the settings")


def _string(text: str) -> str:
    plain = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{plain}"'


def _has_a_table(part: declared.Part) -> bool:
    """Lists of small things inside a section are shown on one line there; only listeners have tables of their own."""
    return not part.repeated or len(part.path) == 1


def _sample_part(part: declared.Part, chosen: Mapping[str, Any]) -> Iterator[str]:
    if part.path:
        yield from _comment(part.text)
        yield f"[[{part.path[0]}]]" if part.repeated else f"[{'.'.join(part.path)}]"
        yield ""
    for setting in part.settings:
        yield from _comment(setting.doc.text)
        if setting.doc.risk:
            yield from _comment(f"Risk: {setting.doc.risk}")
        yield _line(setting, chosen)
        yield ""


def _line(setting: declared.Setting, chosen: Mapping[str, Any]) -> str:
    spelled = ".".join(setting.path)
    if spelled in chosen:
        return f"{setting.name} = {toml(chosen[spelled])}"
    if setting.doc.example is not None:
        return f"# for example: {setting.name} = {setting.doc.example}"
    return f"# {setting.name} = {toml(setting.default)}"


def _comment(text: str) -> Iterator[str]:
    for line in textwrap.wrap(text, _WIDTH - 2, break_long_words=False, break_on_hyphens=False):
        yield f"# {line}"


def _page_part(part: declared.Part) -> Iterator[str]:
    if part.path:
        name = ".".join(part.path)
        yield f"## `[[{name}]]`" if part.repeated else f"## `[{name}]`"
        yield ""
        yield _wrapped(part.text)
        yield ""
    for setting in part.settings:
        yield f"### `{'.'.join(p for p in setting.path if p != declared.EACH)}`"
        yield ""
        yield f"{_kind(setting)} Environment: `{setting.variable}`."
        yield ""
        yield _wrapped(setting.doc.text)
        if setting.doc.example is not None:
            yield f"For example `{setting.name} = {setting.doc.example}`."
        yield ""
        if setting.doc.risk:
            yield _wrapped(f"**Risk.** {setting.doc.risk}")
            yield ""


def _wrapped(text: str) -> str:
    return textwrap.fill(text, _PAGE_WIDTH, break_long_words=False, break_on_hyphens=False)


def _kind(setting: declared.Setting) -> str:
    kind = declared.in_words(setting.kind)
    words = f"{kind[0].upper()}{kind[1:]}"
    if setting.required:
        return f"{words}; must be given."
    if setting.default is None or setting.default == ():
        return f"{words}; none by default."
    return f"{words}; default `{toml(setting.default)}`."
