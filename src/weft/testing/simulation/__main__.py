"""Runs schedules from the command line: `python -m weft.testing.simulation 1-200 [--trace]`."""

from __future__ import annotations

import sys

from weft.testing.simulation.run import Result, simulate


def seeds_of(text: str) -> range:
    """`7`, or `1-200`."""
    first, _, last = text.partition("-")
    return range(int(first), int(last or first) + 1)


def main() -> None:
    """One line for each seed, and the exit code 1 if any failed."""
    words = [word for word in sys.argv[1:] if not word.startswith("--")]
    show = _say if "--trace" in sys.argv else None
    failed: list[Result] = []
    for text in words or ["1-20"]:
        for seed in seeds_of(text):
            result = simulate(seed, show=show)
            _say(str(result))
            if result.problems:
                failed.append(result)
    if failed:
        _say(f"{len(failed)} failed: {' '.join(str(result.seed) for result in failed)}")
        sys.exit(1)


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
