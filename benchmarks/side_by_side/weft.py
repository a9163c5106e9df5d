"""Weft, of this tree, with the settings that it starts with, but for limits, registration and the password hash."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.side_by_side.process import ServerProcess
from weft import __version__


class Weft(ServerProcess):
    """Weft on SQLite."""

    name = "Weft"

    def version(self) -> str:
        return __version__

    def command(self) -> Sequence[str]:
        sets = {
            "listeners.0.port": str(self.port),
            "registration.mode": "open",
            "rate_limits.enabled": "false",
            "passwords.memory_cost": "64K",
            "passwords.time_cost": "1",
            "logging.level": "warning",
        }
        if self.trusts is not None:
            sets |= {
                "federation.enabled": "true",
                "federation.private_addresses": "true",
                "federation.extra_ca_files": json.dumps([str(self.trusts)]),
            }
        options = [part for name, value in sets.items() for part in ("--set", f"{name}={value}")]
        return [*_program(), "serve", "--data", str(self.folder), *options]

    def database(self) -> Path:
        return self.folder / "weft.db"

    def prepare(self) -> None:
        make = [*_program(), "init", "--data", str(self.folder), "--server-name", "localhost"]
        subprocess.run(make, check=True, stdout=subprocess.DEVNULL, timeout=60)


def _program() -> list[str]:
    return [sys.executable, "-c", "from weft.cli import main; main()"]
