"""One run: a world is made, people act while things go wrong, then all is mended and looked at."""

from __future__ import annotations

import asyncio
import atexit
import gc
import random
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import structlog

from weft.modules.room_inspection.graph import RoomGraph
from weft.server.modules import TABLES
from weft.storage.open import open_database
from weft.testing.simulation.checks import check, converge
from weft.testing.simulation.device_checks import check_devices
from weft.testing.simulation.devices import Devices
from weft.testing.simulation.people import Crowd
from weft.testing.simulation.trouble import Trouble
from weft.testing.simulation.virtual_time import VirtualLoop, current_life, run
from weft.testing.simulation.world import Record, Watching, World

#: In how many of the runs there is a hostile server.
_LIARS: Final = 0.3


#: Events of a room that are drawn at most.
_DRAWN: Final = 1_000


@dataclass(frozen=True, slots=True)
class Result:
    seed: int
    #: The honest ones.
    servers: int
    #: How often a hostile one lied; None where there was none.
    lies: int | None
    versions: tuple[str, ...]
    actions: int
    faults: int
    #: Virtual time, and real time.
    lasted: float
    took: float
    digest: str
    problems: list[str] = field(default_factory=list)
    #: Where anything went wrong: each server's copy of each room's event graph as an SVG document, by a file's name.
    graphs: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        outcome = "ok" if not self.problems else f"FAILED ({len(self.problems)}): {self.problems[0][:300]}"
        return (
            f"seed {self.seed:<6} {self.servers} servers, versions {','.join(self.versions):<12} "
            f"{self.actions:4} actions, {self.faults:3} faults, "
            f"{'' if self.lies is None else f'{self.lies} lies, '}{self.lasted / 3600:6.1f} h in {self.took:5.2f} s  "
            f"{self.digest[:12]}  {outcome}"
        )


def simulate(seed: int, *, show: Callable[[str], None] | None = None, actions: int = 120) -> Result:
    """Runs one seed. `show` is given every line of the record as it is made."""
    started = time.perf_counter()
    record = Record(show)
    made: list[World] = []
    with tempfile.TemporaryDirectory(prefix="weft-simulation-") as folder:
        template = _template()

        async def main(loop: VirtualLoop) -> float:
            structlog.configure(processors=[Watching(record, loop)], cache_logger_on_first_use=False)
            world = World(seed, loop, Path(folder), template, record)
            made.append(world)
            await _play(world, actions)
            return loop.time()

        def failed(context: Mapping[str, Any]) -> None:
            life = current_life()
            if life is None or not life.is_over:
                record.problem(f"{context.get('message')}: {context.get('exception')!r}")

        chance = _latency(seed)
        try:
            lasted = run(main, latency=chance, on_error=failed)
        finally:
            structlog.reset_defaults()
        gc.collect()
    return Result(
        seed=seed,
        servers=len(made[0].machines),
        lies=made[0].liar.told if made[0].liar is not None else None,
        versions=tuple(made[0].rooms.values()),
        actions=record.actions,
        faults=record.faults,
        lasted=lasted,
        took=time.perf_counter() - started,
        digest=record.digest,
        problems=record.problems,
        graphs=record.graphs,
    )


async def _play(world: World, actions: int) -> None:
    chance = world.chance("world")
    servers = chance.choice([2, 3, 3, 3, 4])
    people = chance.choice([1, 2, 2, 3])
    for _ in range(servers):
        await world.add_machine(people, _latency(world.seed))
    if world.chance("liars").random() < _LIARS:
        await world.add_liar(_latency(world.seed))
    crowd, devices, trouble = Crowd(world), Devices(world), Trouble(world)
    await crowd.begin(chance.choice([1, 1, 2]))
    await devices.begin()
    trouble.start()
    writing = asyncio.create_task(devices.act(actions // 2))
    await crowd.act(actions)
    await writing
    await trouble.mend()
    await crowd.finish()
    await devices.finish()
    await converge(world)
    await check(world)
    await check_devices(world, devices)
    if world.record.problems:
        world.record.graphs = await _drawn(world)
    await world.stop()


async def _drawn(world: World) -> dict[str, str]:
    graphs: dict[str, str] = {}
    for number, room_id in enumerate(world.rooms):
        for machine in world.machines:
            engine = machine.server.engine
            if await engine.rooms.find(room_id) is not None:
                drawing = await RoomGraph(engine).draw(room_id, _DRAWN)
                graphs[f"seed-{world.seed}-room-{number}-{machine.name}.svg"] = drawing
    return graphs


def _latency(seed: int) -> Callable[[], float]:
    chance = random.Random(f"{seed}/latency")
    return lambda: chance.choice((0.0, 0.0001, 0.001, 0.02))


_made: dict[str, Path] = {}


def _template() -> Path:
    """An empty database with all tables, made once in a process."""
    if "template" not in _made:
        folder = Path(tempfile.mkdtemp(prefix="weft-simulation-template-"))

        async def make() -> None:
            await (await open_database(f"sqlite:{folder / 'weft.db'}", TABLES)).close()

        asyncio.run(make())
        _made["template"] = folder / "weft.db"
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return _made["template"]
