"""Takes turns: each round of each scenario on the one server, then on the other, with the idle one suspended."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import mkdtemp

from benchmarks.side_by_side import synapse
from benchmarks.side_by_side.catalogue import SCENARIOS
from benchmarks.side_by_side.process import ServerProcess
from benchmarks.side_by_side.scenarios import Scale, Scenario
from benchmarks.side_by_side.synapse import Synapse
from benchmarks.side_by_side.targets import ROWS
from benchmarks.side_by_side.weft import Weft

Watch = Callable[[ServerProcess, str], None]


@dataclass(slots=True)
class Outcome:
    """The rounds of each row, by server; what a request of it cost the server in processor time, in milliseconds; the
    generator's largest share of a core while it drove Weft."""

    values: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    costs: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    busy: dict[str, float] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)

    def add(self, server: str, measured: dict[str, float], cost: dict[str, float]) -> None:
        for kept, fresh in ((self.values, measured), (self.costs, cost)):
            for row, value in fresh.items():
                kept.setdefault(row, {}).setdefault(server, []).append(value)


@dataclass(slots=True, kw_only=True)
class Run:
    """One run. `folder` keeps Synapse's virtual environment from run to run; what else is put there is removed."""

    folder: Path
    servers: Sequence[str]
    scenarios: Sequence[str]
    rounds: int
    scale: Scale
    pinned: bool
    #: Called when a server is about to be measured, for a profiler.
    watch: Watch | None = None
    outcome: Outcome = field(default_factory=Outcome)
    _server_core: int | None = None

    async def run(self) -> Outcome:
        """Raises what a scenario raises; every server is stopped and its folder removed in any case."""
        if self.pinned:
            self._server_core, generator_core = _two_cores()
            os.sched_setaffinity(0, {generator_core})
        python = synapse.install(self.folder / "venv") if "Synapse" in self.servers else None
        work = self._work_folder()
        try:
            for kinds in self._groups():
                await self._together(kinds, work, python)
        finally:
            shutil.rmtree(work, ignore_errors=True)
        return self.outcome

    def _work_folder(self) -> Path:
        self.folder.mkdir(parents=True, exist_ok=True)
        return Path(mkdtemp(prefix="run-", dir=self.folder)).absolute()

    def _groups(self) -> list[list[str]]:
        """Scenarios that share a pair of servers; one that wants new ones has a pair for itself."""
        shared = [name for name in self.scenarios if not SCENARIOS[name].alone]
        alone = [[name] for name in self.scenarios if SCENARIOS[name].alone]
        return [group for group in (shared, *alone) if group]

    async def _together(self, names: Sequence[str], work: Path, python: Path | None) -> None:
        servers: list[ServerProcess] = []
        place = work / names[0]
        if python is not None:
            servers.append(Synapse(place / "synapse", self._server_core, python))
        if "Weft" in self.servers:
            servers.append(Weft(place / "weft", self._server_core))
        try:
            for server in servers:
                server.prepare()
                first = await server.start()
                print(f"{server.name} {server.version()} answers, {first:.1f} s after its first start.", flush=True)
                self.outcome.versions[server.name] = server.version()
                server.suspend()
            for name in names:
                await self._scenario(name, servers)
        except Exception:
            for server in servers:
                print(f"--- {server.name} said:\n{server.tail()}", flush=True)
            raise
        finally:
            for server in servers:
                server.stop()

    async def _scenario(self, name: str, servers: Sequence[ServerProcess]) -> None:
        pairs = [(server, SCENARIOS[name](server, self.scale)) for server in servers]
        for server, scenario in pairs:
            server.resume()
            await scenario.prepare()
            server.suspend()
        for turn in range(self.rounds):
            for server, scenario in pairs if turn % 2 == 0 else reversed(pairs):
                await self._turn(name, server, scenario, turn)
        for server, scenario in pairs:
            await scenario.finish()
            if server.name == "Weft":
                self.outcome.busy.update(scenario.busy)

    async def _turn(self, name: str, server: ServerProcess, scenario: Scenario, turn: int) -> None:
        server.resume()
        if self.watch is not None:
            self.watch(server, f"{name}{turn}")
        try:
            measured = await scenario.measure(turn)
        finally:
            server.suspend()
        self.outcome.add(server.name, measured, scenario.cost)
        print(f"{name}, round {turn + 1}, {server.name}:", flush=True)
        for row, value in measured.items():
            cost = f"  ({scenario.cost[row]:.3g} ms of processor time each)" if row in scenario.cost else ""
            print(f"    {row:20} {value:10.4g} {ROWS[row].unit}{cost}", flush=True)


def _two_cores() -> tuple[int, int]:
    """One core for the server under measurement, one for the generator."""
    cores = sorted(os.sched_getaffinity(0))
    return cores[0], cores[-1]
