"""Writes `constraints.txt`: every package that Weft needs in the end, at the version installed beside this Python.

After changing a dependency in pyproject.toml, in a fresh environment:

    scripts/make-venv .venv && .venv/bin/pip install -e '.[server,dev]' && .venv/bin/python scripts/constraints.py
"""

from __future__ import annotations

import re
from importlib.metadata import distribution
from pathlib import Path

from packaging.requirements import Requirement

_HEAD = "# Made by scripts/constraints.py: the versions that Weft is tested with.\n"
_EXTRAS = ("", "server", "dev")


def main() -> None:
    found: dict[str, str] = {}
    _follow("weft", frozenset(_EXTRAS), found)
    del found["weft"]
    lines = [f"{name}=={version}\n" for name, version in sorted(found.items())]
    Path(__file__).parents[1].joinpath("constraints.txt").write_text(_HEAD + "".join(lines), encoding="utf-8")


def _follow(name: str, extras: frozenset[str], found: dict[str, str]) -> None:
    package = distribution(name)
    known = _normal(name) in found
    if known and not extras:
        return
    found[_normal(name)] = package.version
    for text in package.requires or ():
        need = Requirement(text)
        wanted = need.marker is None or any(need.marker.evaluate({"extra": extra}) for extra in extras or {""})
        if wanted and not (_normal(need.name) in found and not need.extras):
            _follow(need.name, frozenset(need.extras), found)


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


if __name__ == "__main__":
    main()
