"""What the commands need of the assembled server.

It is imported when a command needs it, so that `weft --help` does not load the whole server.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol, cast

from weft.protocol.api.client.room_inspection import CompareRoomResponse
from weft.server.config import Settings


class Accounts(Protocol):
    """Accounts, while no listener is open."""

    async def create(self, user_id: str, password: str, *, admin: bool | None) -> str:
        """Makes an account and returns its id; `admin` None: only if it is the first. Raises `MatrixError`."""

    async def set_password(self, user_id: str, password: str) -> None:
        """Sets a password and ends the account's sessions. Raises `MatrixError`."""


class Graph(Protocol):
    async def draw(self, room_id: str, limit: int) -> str:
        """A room's event graph as an SVG document. Raises `NotFound`."""


class Comparison(Protocol):
    async def compare(self, room_id: str, servers: Sequence[str]) -> CompareRoomResponse:
        """What other servers' copies of a room are like beside ours. Raises `NotFound`."""


class Inspection(Protocol):
    """Rooms, as an operator looks into them, while no listener is open."""

    @property
    def graph(self) -> Graph: ...

    @property
    def comparison(self) -> Comparison: ...


class Assembly(Protocol):
    """`weft.server.assembly`."""

    def run(self, settings: Settings, *, ready: Callable[[Sequence[str]], None]) -> None:
        """Serves until told to stop. `ready` is called with the client listeners' addresses once they answer."""

    def accounts(self, settings: Settings) -> AbstractAsyncContextManager[Accounts]:
        """The accounts of a server that is put together for as long as the context lasts."""

    def inspection(self, settings: Settings) -> AbstractAsyncContextManager[Inspection]:
        """The rooms of a server that is put together for as long as the context lasts."""

    async def forget_one_time_keys(self, settings: Settings) -> int:
        """Has every one-time key count as given away; how many there were."""


def assembly() -> Assembly:
    return cast("Assembly", importlib.import_module("weft.server.assembly"))
