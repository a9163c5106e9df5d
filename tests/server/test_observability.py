"""What is logged, as an operator finds it on standard error."""

from __future__ import annotations

import subprocess
import sys

import pytest

_PROGRAM = """
import sys, structlog
from weft.server.observability import configure_logging
from weft.settings import Logging

configure_logging(Logging(format=sys.argv[1]))

def fail(password):
    raise ValueError("no good")

try:
    fail("".join(["corr", "ect", "horse"]))
except ValueError:
    structlog.get_logger().exception("it failed", request_id="r1")
"""


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_trace_tells_the_place_and_no_values(form: str) -> None:
    done = subprocess.run([sys.executable, "-c", _PROGRAM, form], capture_output=True, text=True, check=True)
    assert "it failed" in done.stderr
    assert "r1" in done.stderr
    assert "ValueError: no good" in done.stderr
    assert "correcthorse" not in done.stdout + done.stderr
