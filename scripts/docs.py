"""Makes the pages of `docs/` that are made from code; `--check` only says whether they are current."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from weft.server.config import reference

_ROOT = Path(__file__).parents[1]
_PAGES: dict[str, Callable[[], str]] = {"docs/settings.md": reference.page}


def main(arguments: list[str]) -> None:
    stale = [name for name, make in _PAGES.items() if _text(_ROOT / name) != make()]
    if "--check" in arguments:
        if stale:
            sys.exit(f"Not current, run `make docs`: {', '.join(stale)}")
        return
    for name in stale:
        (_ROOT / name).write_text(_PAGES[name](), encoding="utf-8")
        print(f"{name} made anew.")


def _text(file: Path) -> str | None:
    return file.read_text(encoding="utf-8") if file.exists() else None


if __name__ == "__main__":
    main(sys.argv[1:])
