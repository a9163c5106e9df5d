"""Schedules of faults: every one must end with one truth on every server.

`make test` runs a handful, `make test-simulation` the rest; `make simulate SEEDS=7 ARGS=--trace` shows one.
"""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from weft.testing.simulation.run import simulate

#: Quick ones, and some in which Weft was wrong once.
QUICK = (1, 8, 28)
MANY = range(1000, 1200)


@pytest.mark.parametrize("seed", QUICK)
def test_a_few_schedules(seed: int) -> None:
    result = simulate(seed, actions=60)
    assert not result.problems, result.problems


@pytest.mark.slow
@pytest.mark.parametrize("seed", MANY)
def test_many_schedules(seed: int) -> None:
    result = simulate(seed)
    assert not result.problems, result.problems


def test_a_seed_is_one_run_byte_for_byte() -> None:
    """In processes that share nothing, whatever order of sets they would have had."""
    traces = [
        subprocess.run(
            [sys.executable, "-m", "weft.testing.simulation", "2", "--trace"],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.splitlines()
        for seed in ("1", "2")
    ]
    # All but the last line, which says how long it took.
    assert len(traces[0]) > 100
    assert traces[0][:-1] == traces[1][:-1]
    digests = {trace[-1].rpartition("  ok")[0].split()[-1] for trace in traces}
    assert len(digests) == 1
