"""A server as a process: started on loopback, suspended while the other is measured, weighed, and always stopped."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path

from benchmarks.side_by_side.load import Connection, RefusedError

#: Becomes the server: on its cores, and killed by the kernel should the generator die before it.
_LAUNCH = """
import ctypes, os, signal, sys
ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
os.sched_setaffinity(0, map(int, sys.argv[1].split(",")))
os.execvp(sys.argv[2], sys.argv[2:])
"""
#: Python keeps what it has compiled: pip has done that for Synapse, and Weft is started from its sources.
_ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
_START_SECONDS = 90.0
_STOP_SECONDS = 30.0
_TICKS = os.sysconf("SC_CLK_TCK")


class StartFailedError(Exception):
    """A server did not come up; the text is the end of what it said."""


class ServerProcess(ABC):
    """A server and its folder. `core` is the one core it may use, or None for all."""

    name: str

    def __init__(self, folder: Path, core: int | None) -> None:
        self.folder = folder
        self.port = free_port()
        self._core = core
        self._process: subprocess.Popen[bytes] | None = None
        #: What the server writes to standard output and standard error.
        self.output = folder / "output.log"
        #: Certificate authorities (PEM) by which other servers prove who they are; with one the server federates.
        self.trusts: Path | None = None
        #: What it finds in its environment besides ours.
        self.environment: dict[str, str] = {}

    @abstractmethod
    def version(self) -> str:
        """The server's version."""

    @abstractmethod
    def prepare(self) -> None:
        """Writes settings and keys into the folder."""

    def configure(self) -> None:
        """Writes settings anew, where they are in a file."""
        return

    @abstractmethod
    def command(self) -> Sequence[str]:
        """What starts the server in the foreground."""

    @abstractmethod
    def database(self) -> Path:
        """The SQLite file."""

    async def start(self) -> float:
        """Starts the server; the seconds until its first answer."""
        begun = time.perf_counter()
        self._process = self._spawn()
        await self._first_answer(self._process, begun + _START_SECONDS)
        return time.perf_counter() - begun

    def _spawn(self) -> subprocess.Popen[bytes]:
        cores = range(os.cpu_count() or 1) if self._core is None else {self._core}
        with self.output.open("ab") as output:
            return subprocess.Popen(
                [sys.executable, "-c", _LAUNCH, ",".join(map(str, cores)), *self.command()],
                cwd=self.folder,
                stdout=output,
                stderr=output,
                env={**_ENVIRONMENT, **self.environment},
            )

    async def _first_answer(self, process: subprocess.Popen[bytes], deadline: float) -> None:
        connection = Connection(self.port)
        while time.perf_counter() < deadline:
            if process.poll() is not None:
                raise StartFailedError(f"{self.name} ended with code {process.returncode}:\n{self.tail()}")
            try:
                await connection.get("/_matrix/client/versions")
            except (OSError, RefusedError):
                await asyncio.sleep(0.005)
            else:
                connection.close()
                return
        raise StartFailedError(f"{self.name} does not answer:\n{self.tail()}")

    def tail(self) -> str:
        """The end of what the server wrote."""
        return self.output.read_text(errors="replace")[-3000:] if self.output.exists() else ""

    def stop(self) -> None:
        """Lets the server end in its own way, and ends it where it does not."""
        process, self._process = self._process, None
        if process is None or process.poll() is not None:
            return
        process.send_signal(signal.SIGCONT)
        process.terminate()
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    async def restart(self) -> float:
        """Stops and starts; the seconds from start to first answer."""
        self.stop()
        return await self.start()

    def suspend(self) -> None:
        """Keeps the server from using any time until `resume`."""
        if self._process is not None:
            self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)

    @property
    def pid(self) -> int:
        if self._process is None:
            raise RuntimeError(f"{self.name} is not running")
        return self._process.pid

    def memory(self) -> int:
        """Resident bytes of the process and of those it started."""
        return sum(_resident(pid) for pid in (self.pid, *_children(self.pid)))

    def cpu_seconds(self) -> float:
        """What the process has used of the processor since its start."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def disk_bytes(self) -> int:
        """The size of the stopped server's database, its write-ahead log merged in, nothing else tidied."""
        file = self.database()
        connection = sqlite3.connect(file)
        try:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        finally:
            connection.close()
        return sum(one.stat().st_size for one in file.parent.glob(f"{file.name}*"))


def _resident(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _children(pid: int) -> list[int]:
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            found.extend((int(child), *_children(int(child))))
    return found


def free_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
