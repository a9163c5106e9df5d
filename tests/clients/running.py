"""A Weft in a process of its own, as people run it: `weft init`, then `weft serve`.

It listens on a port of this machine, a free one unless it is told which, keeps its data in a folder of its own, lets
everybody register and limits nobody. Stopped and started again it answers at the same address, with the same data.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Final

SERVER_NAME: Final = "weft.test"
_START_SECONDS: Final = 30.0
_STOP_SECONDS: Final = 15.0
_COMMAND: Final = (sys.executable, "-c", "from weft.cli import main; main()")
_FOR_TESTS: Final = {
    "registration.mode": "open",
    "rate_limits.enabled": "false",
    "passwords.memory_cost": "1M",
    "passwords.time_cost": "1",
}


class NotRunning(Exception):
    """The server did not start, or ended by itself; the text is its log."""


class RunningWeft:
    """`sets` are settings that win over those for tests, spelled as for `--set`."""

    def __init__(
        self, folder: Path, sets: Mapping[str, str] | None = None, *, server_name: str = SERVER_NAME, port: int = 0
    ) -> None:
        self.folder = folder
        self.server_name = server_name
        self.log_file = folder / "weft.log"
        #: The homeserver address to give to a client.
        self.url = ""
        self._port = port
        self._sets = {**_FOR_TESTS, **(sets or {})}
        self._process: subprocess.Popen[str] | None = None
        self._run("init", "--data", str(folder), "--server-name", server_name)

    def start(self) -> None:
        """Returns once it answers. Raises `NotRunning`."""
        options = self._options(self.url.rpartition(":")[2] or str(self._port))
        with self.log_file.open("a") as log:
            self._process = subprocess.Popen(
                [*_COMMAND, "serve", "--data", str(self.folder), *options],
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env=_environment(),
            )
        self.url = self._wait_for_address(self._process)

    def stop(self) -> None:
        """Ends it as Ctrl-C does. Raises `NotRunning` if it had ended before or ends badly."""
        if self._process is None:
            return
        process, self._process = self._process, None
        process.send_signal(signal.SIGINT)
        try:
            code = process.wait(_STOP_SECONDS)
        finally:
            process.kill()
            process.wait()
            if process.stdout is not None:
                process.stdout.close()
        if code != 0:
            raise NotRunning(f"exit code {code}\n{self.log()}")

    def restart(self) -> None:
        self.stop()
        self.start()

    def command(self, *arguments: str) -> str:
        """What a command prints about this server while it runs. Raises `NotRunning` if it fails."""
        return self._run(*arguments, "--data", str(self.folder), *self._options(self.url.rpartition(":")[2]))

    def _options(self, port: str) -> list[str]:
        settings = {**self._sets, "listeners.0.port": port}
        return [part for name, value in settings.items() for part in ("--set", f"{name}={value}")]

    def log(self) -> str:
        """What it wrote to standard error, all its runs together."""
        return self.log_file.read_text(encoding="utf-8")

    def _wait_for_address(self, process: subprocess.Popen[str]) -> str:
        assert process.stdout is not None
        too_late = threading.Timer(_START_SECONDS, process.kill)
        too_late.start()
        try:
            for line in process.stdout:
                if found := re.search(r"Address\s+(https?://\S+)", line):
                    return found[1]
        finally:
            too_late.cancel()
        process.wait()
        process.stdout.close()
        self._process = None
        raise NotRunning(f"exit code {process.returncode}\n{self.log()}")

    def _run(self, *arguments: str) -> str:
        done = subprocess.run([*_COMMAND, *arguments], env=_environment(), capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise NotRunning(f"{done.stdout}{done.stderr}")
        return done.stdout


def _environment() -> dict[str, str]:
    """This process's, without settings of Weft that happen to be in it."""
    return {name: value for name, value in os.environ.items() if not name.startswith("WEFT_")}
