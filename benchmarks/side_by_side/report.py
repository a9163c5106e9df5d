"""The table of a run, and where it is kept."""

from __future__ import annotations

import os
import platform
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median

from benchmarks.side_by_side.targets import ROWS, Row

#: Rounds by row; a server's name to its values.
Results = Mapping[str, Mapping[str, Sequence[float]]]

_BEGIN = "<!-- side by side: begin -->"
_END = "<!-- side by side: end -->"


def table(results: Results, costs: Results, busy: Mapping[str, float]) -> str:
    """Medians side by side, in Markdown. `busy` is the generator's share of a core while it drove Weft."""
    head = "| work | unit | Synapse | Weft | times better | at least | aim | by processor time | generator |"
    rule = "| --- | --- | --- | --- | --- | --- | --- | --- | --- |"
    lines = [_line(row, results[key], costs.get(key, {}), busy.get(key)) for key, row in ROWS.items() if key in results]
    return "\n".join([head, rule, *lines, ""])


def missed(results: Results) -> list[str]:
    """The rows whose "at least" is not met, with what they came to."""
    found = []
    for key, row in ROWS.items():
        times = _times(row, results.get(key, {}))
        if row.at_least is not None and times is not None and times < row.at_least:
            found.append(f"{row.title}: {_number(times)} × where {_number(row.at_least)} × is asked")
    return found


def about(versions: Mapping[str, str], arguments: Sequence[str], *, rounds: int, pinned: bool) -> str:
    """What a reader has to know to judge the table."""
    where = (
        "each server on one core, the generator on another"
        if pinned
        else "servers and generator free to use every core"
    )
    servers = ", ".join(f"{name} {version}" for name, version in versions.items())
    command = shlex.join(["python", "-m", "benchmarks", *arguments])
    machine = f"Python {platform.python_version()}, {os.cpu_count()} cores"
    return f"`{command}`: {servers}; {machine}, {where}; medians of {rounds} rounds."


def write(file: Path, text: str) -> None:
    """Puts the text where the last run's was, or at the end."""
    page = file.read_text() if file.exists() else "# Results\n"
    section = f"{_BEGIN}\n{text.strip()}\n{_END}"
    if _BEGIN in page:
        before, _, rest = page.partition(_BEGIN)
        page = before + section + rest.partition(_END)[2]
    else:
        page = f"{page.rstrip()}\n\n## Side by side with Synapse\n\n{section}\n"
    file.write_text(page)


def _line(
    row: Row, values: Mapping[str, Sequence[float]], costs: Mapping[str, Sequence[float]], busy: float | None
) -> str:
    times = _times(row, values)
    cells = [
        row.title,
        row.unit,
        *(_number(median(values[name])) if name in values else "" for name in ("Synapse", "Weft")),
        _verdict(row, times),
        *(f"{_number(target)} ×" if target else "" for target in (row.at_least, row.aim)),
        f"{_number(median(costs['Synapse']) / median(costs['Weft']))} ×" if {"Synapse", "Weft"} <= costs.keys() else "",
        f"{busy:.0%}" if busy else "",
    ]
    return f"| {' | '.join(cells)} |"


def _times(row: Row, values: Mapping[str, Sequence[float]]) -> float | None:
    if not {"Synapse", "Weft"} <= values.keys():
        return None
    return row.times_better(median(values["Synapse"]), median(values["Weft"]))


def _verdict(row: Row, times: float | None) -> str:
    if times is None:
        return ""
    shown = f"{_number(times)} ×"
    return f"**{shown}** (missed)" if row.at_least is not None and times < row.at_least else shown


def _number(value: float) -> str:
    """Three figures that mean something."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.3g}"
