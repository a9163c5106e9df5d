"""Programs that look at what strangers send, in processes of their own: a few, started when needed, killed when they
take long.

Such a program imports nothing of Weft, limits what memory it takes, reads lines of JSON, and answers each with a line.
A fault in it, or in a library that it uses, ends that process and nothing else.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import select
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

from weft.protocol.errors import NotNow, WeftError

#: How many may wait for each process.
_MAX_WAITING: Final = 100


class WorkerFailedError(WeftError):
    """The process ended, or was ended because it took too long."""


class Workers:
    """Up to `processes` of a program, each with `seconds` for an answer."""

    def __init__(self, program: Path, processes: int, *, seconds: float) -> None:
        self._program = program
        self._seconds = seconds
        self._threads = ThreadPoolExecutor(processes, program.stem)
        self._idle: list[_Worker] = []
        self._at_work: set[_Worker] = set()
        self._most = processes * (_MAX_WAITING + 1)
        self._here = 0

    async def ask(self, asked: dict[str, Any]) -> dict[str, Any]:
        """The answer. Raises `WorkerFailedError`, and `NotNow` where too many wait."""
        if self._here >= self._most:
            raise NotNow("too much of this is being done", retry_after_ms=5_000)
        self._here += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, self._ask, asked)
        finally:
            self._here -= 1

    def close(self) -> None:
        """Ends the processes, also those at work."""
        for worker in [*self._at_work]:
            worker.kill()
        self._threads.shutdown(wait=True, cancel_futures=True)
        while self._idle:
            self._idle.pop().end()

    def _ask(self, asked: dict[str, Any]) -> dict[str, Any]:
        """In a thread."""
        while True:
            try:
                worker, is_new = self._idle.pop(), False
            except IndexError:
                worker, is_new = _Worker(self._program), True
            self._at_work.add(worker)
            answer = worker.ask(asked, self._seconds)
            self._at_work.discard(worker)
            if answer is not None:
                self._idle.append(worker)
                return answer
            took_long = worker.end()
            if is_new or took_long:
                raise WorkerFailedError("it failed, or took too long")
            # It ended because it was idle for long.


class _Worker:
    """One process."""

    def __init__(self, program: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-I", str(program)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd="/",
            env={},
        )

    def ask(self, asked: dict[str, Any], seconds: float) -> dict[str, Any] | None:
        """The answer; None if the process has ended, or does not answer in time."""
        stdin, stdout = self._process.stdin, self._process.stdout
        if stdin is None or stdout is None:
            raise RuntimeError("the worker has no pipes")
        try:
            stdin.write(json.dumps(asked).encode() + b"\n")
            stdin.flush()
        except OSError:
            return None
        answer = b""
        deadline = time.monotonic() + seconds
        while not answer.endswith(b"\n"):
            remaining = deadline - time.monotonic()
            if remaining <= 0 or not select.select([stdout], [], [], remaining)[0]:
                return None
            piece = os.read(stdout.fileno(), 65_536)
            if not piece:
                return None
            answer += piece
        decoded: dict[str, Any] = json.loads(answer)
        return decoded

    def kill(self) -> None:
        self._process.kill()

    def end(self) -> bool:
        """Ends the process; whether it was still at work."""
        was_at_work = self._process.poll() is None
        self.kill()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        self._process.wait()
        return was_at_work
