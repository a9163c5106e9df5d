"""What goes wrong in a run: the network gets bad, ways are cut, servers crash in the middle of a write, days pass."""

from __future__ import annotations

import asyncio
from typing import Final

from weft.testing.network import Faults
from weft.testing.simulation.machine import Machine
from weft.testing.simulation.world import World

_HOUR: Final = 3600.0


class Trouble:
    """Makes trouble until told to stop; `mend` then undoes all of it."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._chance = world.chance("trouble")
        self._slow: dict[str, float] = {}
        self._task: asyncio.Task[None] | None = None
        self._restarts: dict[asyncio.Task[None], None] = {}
        world.network.on_request.append(self._slowed)

    def start(self) -> None:
        for machine in self._world.machines:
            machine.on_crash = lambda machine=machine: self._crashed(machine)  # type: ignore[misc]
        self._task = asyncio.create_task(self._go_on())

    async def mend(self) -> None:
        """From here on everything works."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        self._world.network.faults = Faults()
        self._world.network.mend_all()
        self._slow.clear()
        for machine in self._world.machines:
            machine.crash_in = None
        while self._restarts:
            await asyncio.wait(list(self._restarts))
        for machine in self._world.machines:
            if not machine.is_up:
                await machine.start()
        self._world.note("-", "all is well")

    async def _go_on(self) -> None:
        kinds = {
            self._network: 6,
            self._cut: 4,
            self._part: 3,
            self._mend: 5,
            self._crash: 5,
            self._slow_down: 2,
            self._days: 1,
        }
        while True:
            await asyncio.sleep(self._chance.expovariate(1 / 8))
            kind = self._chance.choices(list(kinds), list(kinds.values()))[0]
            self._world.record.faults += 1
            kind()

    # -- the network

    def _network(self) -> None:
        chance = self._chance
        faults = Faults(
            loss=chance.choice([0.0, 0.05, 0.3]),
            answer_loss=chance.choice([0.0, 0.05, 0.3]),
            duplication=chance.choice([0.0, 0.1, 0.5]),
            delay=(0.0, chance.choice([0.01, 0.5, 4.0, 20.0])),
        )
        self._world.network.faults = faults
        self._world.note("-", f"the network: {faults}")

    def _cut(self) -> None:
        """One direction only."""
        one, other = self._chance.sample(self._world.names, 2)
        self._world.network.cut(one, other)
        self._world.note("-", f"{one} no longer reaches {other}")

    def _part(self) -> None:
        names = self._chance.sample(self._world.names, len(self._world.names))
        at = self._chance.randrange(1, len(names))
        self._world.network.part(names[:at], names[at:])
        self._world.note("-", f"{names[:at]} and {names[at:]} are parted")

    def _mend(self) -> None:
        self._world.network.mend_all()
        self._slow.clear()
        self._world.note("-", "the network is mended")

    def _slow_down(self) -> None:
        name = self._chance.choice(self._world.names)
        self._slow[name] = self._chance.choice([2.0, 25.0, 90.0])
        self._world.note("-", f"{name} answers after {self._slow[name]} s")

    async def _slowed(self, request: object) -> None:
        destination = getattr(request, "destination", "")
        if seconds := self._slow.get(destination):
            await asyncio.sleep(seconds)

    # -- servers

    def _crash(self) -> None:
        machine = self._chance.choice(self._world.machines)
        if machine.is_up:
            machine.crash_in = self._chance.randrange(12)

    def _crashed(self, machine: Machine) -> None:
        self._world.note(machine.name, "crashes")
        after = self._chance.choice([0.1, 5.0, 60.0])
        task = asyncio.get_running_loop().create_task(self._restart(machine, after))
        self._restarts[task] = None
        task.add_done_callback(lambda done: self._restarts.pop(done, None))

    async def _restart(self, machine: Machine, after: float) -> None:
        await asyncio.sleep(after)
        await machine.start()
        self._world.note(machine.name, "is back")

    # -- time

    def _days(self) -> None:
        """Whatever is cut off stays so for long. Timers that came due meanwhile ring once."""
        hours = self._chance.choice([1, 8, 30, 24 * 5])
        self._world.loop.skip(hours * _HOUR)
        self._world.note("-", f"{hours} hours pass")
