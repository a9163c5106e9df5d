"""The `weft` command.

The core alone (`pip install weft`) has no use for it and lacks what it needs; then it says how to get the server.
"""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from types import TracebackType


def main() -> None:
    """Runs the command line and ends the process."""
    if find_spec("click") is None:
        sys.exit("weft: only the protocol library is installed here; the server comes with: pip install 'weft[server]'")
    sys.excepthook = _in_one_line
    from weft.cli.commands import weft

    weft()


def _in_one_line(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """What people see of a fault of ours; the trace is for those who ask."""
    if os.environ.get("WEFT_TRACEBACK"):
        sys.__excepthook__(kind, error, trace)
        return
    text = " ".join(str(error).split()) or kind.__name__
    sys.stderr.write(f"weft: {text} (a fault in Weft: {kind.__name__}; WEFT_TRACEBACK=1 shows where)\n")
