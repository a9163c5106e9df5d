"""Runs schedules from the command line: `python -m weft.testing.simulation 1-200 [--trace] [--graphs=FOLDER]`.

Of a seed that fails each server's copy of each room is drawn into the folder.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from weft.testing.simulation.run import Result, simulate


def seeds_of(text: str) -> range:
    """`7`, or `1-200`."""
    first, _, last = text.partition("-")
    return range(int(first), int(last or first) + 1)


def main() -> None:
    """One line for each seed, and the exit code 1 if any failed."""
    if os.environ.get("PYTHONHASHSEED") != "0":
        # The order of sets is part of what a seed means.
        arguments = [sys.executable, "-m", "weft.testing.simulation", *sys.argv[1:]]
        os.execve(sys.executable, arguments, {**os.environ, "PYTHONHASHSEED": "0"})
    words = [word for word in sys.argv[1:] if not word.startswith("--")]
    show = _say if "--trace" in sys.argv else None
    folder = next((word.partition("=")[2] for word in sys.argv if word.startswith("--graphs=")), "simulation-graphs")
    failed: list[Result] = []
    for text in words or ["1-20"]:
        for seed in seeds_of(text):
            result = simulate(seed, show=show)
            _say(str(result))
            if result.problems:
                failed.append(result)
                _draw(result, Path(folder))
    if failed:
        _say(f"{len(failed)} failed: {' '.join(str(result.seed) for result in failed)}")
        sys.exit(1)


def _draw(result: Result, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, drawing in result.graphs.items():
        (folder / name).write_text(drawing)
        _say(f"    {folder / name}")


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
