"""Measures Weft side by side with Synapse and says where it stands. `make bench` runs it.

    python -m benchmarks                                 everything; wants a quiet machine and a quarter of an hour
    python -m benchmarks --quick --rounds 1              a look
    python -m benchmarks --rows send,reading             some of it (see --help)
    python -m benchmarks --only Weft --profile profiles  one server, a flame graph of each round by py-spy

With --write the table goes into RESULTS.md, which says there what it means.
"""

from __future__ import annotations

import argparse
import asyncio
import subprocess
import sys
from pathlib import Path

import uvloop

from benchmarks.side_by_side import report
from benchmarks.side_by_side.catalogue import SCENARIOS
from benchmarks.side_by_side.process import ServerProcess
from benchmarks.side_by_side.run import Run, Watch
from benchmarks.side_by_side.scenarios import QUICK, Scale

_HERE = Path(__file__).parent


def main() -> None:
    options = _options()
    run = Run(
        folder=Path(options.folder),
        servers=[options.only] if options.only else ["Synapse", "Weft"],
        scenarios=options.rows.split(",") if options.rows else list(SCENARIOS),
        rounds=options.rounds,
        scale=QUICK if options.quick else Scale(),
        pinned=not options.unpinned,
        watch=_profiler(Path(options.profile)) if options.profile else None,
    )
    if unknown := set(run.scenarios) - SCENARIOS.keys():
        sys.exit(f"no such rows: {', '.join(sorted(unknown))}; there are {', '.join(SCENARIOS)}")
    try:
        uvloop.run(_bounded(run, 60 * options.minutes))
    finally:
        text = _text(run, options)
        print(f"\n{text}")
    if options.write:
        report.write(_HERE / "RESULTS.md", text)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Weft side by side with Synapse.")
    parser.add_argument("--rows", help=f"which work, of {','.join(SCENARIOS)}; default: all")
    parser.add_argument("--rounds", type=int, default=3, help="how often each is measured; medians count (default 3)")
    parser.add_argument("--quick", action="store_true", help="short rounds and small rooms: a look, not a result")
    parser.add_argument("--only", choices=["Synapse", "Weft"], help="measure one server alone")
    parser.add_argument("--unpinned", action="store_true", help="let servers and generator use every core")
    parser.add_argument("--minutes", type=float, default=60, help="the whole run ends by then (default 60)")
    parser.add_argument("--folder", default=".bench", help="where Synapse is installed and data is kept meanwhile")
    parser.add_argument("--profile", help="a folder for py-spy's profiles of Weft, one for each round")
    parser.add_argument("--write", action="store_true", help="put the table into RESULTS.md")
    return parser.parse_args()


async def _bounded(run: Run, seconds: float) -> None:
    async with asyncio.timeout(seconds):
        await run.run()


def _text(run: Run, options: argparse.Namespace) -> str:
    arguments = [argument for argument in sys.argv[1:] if argument != "--write"]
    outcome = run.outcome
    about = report.about(outcome.versions, arguments, rounds=options.rounds, pinned=run.pinned)
    text = f"{about}\n\n{report.table(outcome.values, outcome.costs, outcome.busy)}"
    missed = report.missed(outcome.values)
    return text + (f"\nMissed: {'; '.join(missed)}.\n" if missed else "")


def _profiler(folder: Path) -> Watch:
    """Runs py-spy, where it is installed, beside each round of Weft."""
    folder.mkdir(parents=True, exist_ok=True)

    def watch(server: ServerProcess, name: str) -> None:
        if server.name == "Weft":
            output = str(folder / f"{name}.txt")
            record = ["py-spy", "record", "--format", "raw", "--rate", "250", "--duration", "30", "--output", output]
            subprocess.Popen([*record, "--pid", str(server.pid)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    return watch


if __name__ == "__main__":
    main()
