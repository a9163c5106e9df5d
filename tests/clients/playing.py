"""Scenarios in JavaScript, played by Node against a running server.

A scenario asserts by itself; what it and its client have to say is on standard error. On standard output it asks for
what only the test can do: `restart` (the server).
"""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.clients.running import RunningWeft

_FOLDER: Final = Path(__file__).parent / "js"
_SECONDS: Final = 120.0


def scenarios(folder: str) -> list[str]:
    """The scenarios in a folder of `js`, as `play` knows them."""
    return sorted(f"{folder}/{file.stem}" for file in (_FOLDER / folder).glob("*.mjs"))


def play(scenario: str, weft: RunningWeft, environment: Mapping[str, str] | None = None) -> None:
    """Plays it to the end; fails if it does."""
    with _process(scenario, weft, environment or {}) as (process, stderr):
        assert process.stdin is not None
        assert process.stdout is not None
        for line in process.stdout:
            if line == "restart\n":
                weft.restart()
                process.stdin.write("restarted\n")
                process.stdin.flush()
        code = process.wait()
    assert code == 0, stderr.read_text(encoding="utf-8")


@contextmanager
def _process(
    scenario: str, weft: RunningWeft, environment: Mapping[str, str]
) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    stderr = weft.folder / f"{scenario.replace('/', '-')}.stderr"
    with stderr.open("w") as errors:
        process = subprocess.Popen(
            ["node", _FOLDER / "run.mjs", scenario],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env={**os.environ, "WEFT_URL": weft.url, **environment},
        )
    too_late = threading.Timer(_SECONDS, process.kill)
    too_late.start()
    try:
        with process:
            yield process, stderr
    finally:
        too_late.cancel()
        process.kill()
