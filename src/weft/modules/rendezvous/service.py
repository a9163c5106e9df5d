"""Sessions in which one device hands another what it needs to sign in. They are few, small and short.

Whoever knows a session's id reads and writes it: its messages are encrypted for the two devices.
"""

from __future__ import annotations

from typing import Final

from weft.http.call import Requester
from weft.modules.module import Task
from weft.modules.rendezvous import store
from weft.modules.rendezvous.store import Session
from weft.protocol.api.client.rendezvous import MAX_DATA
from weft.protocol.errors import Forbidden, MatrixError, NotFound, TooLarge
from weft.rooms.engine import Engine

#: How long a session lasts. Nothing prolongs it.
LIFETIME_MS: Final = 2 * 60 * 1000
#: More are not kept: the oldest make room.
MOST_SESSIONS: Final = 1_000


class ConcurrentWrite(MatrixError):
    """The other device was faster; `session` has what it wrote."""

    errcode, status = "IO_ELEMENT_MSC4388_CONCURRENT_WRITE", 409

    def __init__(self, session: Session) -> None:
        super().__init__("Somebody else has written since; read what they wrote first.")
        self.session = session


class Rendezvous:
    """`creators` says who may make sessions: everybody, users who are logged in, or nobody."""

    def __init__(self, engine: Engine, creators: str) -> None:
        self._database = engine.database
        self._outside = engine.outside
        self._creators = creators
        self.tasks = [Task(name="expired rendezvous sessions", every_seconds=60, run=self.prune)]

    def may_create(self, requester: Requester | None) -> bool:
        if self._creators == "users":
            return requester is not None and not requester.is_guest
        return self._creators == "everyone"

    async def create(self, requester: Requester | None, data: str) -> Session:
        """Raises `Forbidden` and `TooLarge`."""
        if not self.may_create(requester):
            raise Forbidden("You can't begin to sign in by a QR code here; begin on a device that is signed in.")
        _check(data)
        now_ms = self._outside.now_ms()
        session = Session(self._outside.token(32), data, 1, now_ms, now_ms + LIFETIME_MS)
        await self._database.write(store.insert, session, MOST_SESSIONS)
        return session

    async def get(self, id_: str) -> Session:
        """Raises `NotFound` where there is none, or none any more."""
        found = await self._database.get(store.find, id_, self._outside.now_ms())
        if found is None:
            raise _gone()
        return found

    async def update(self, id_: str, sequence: int, data: str) -> Session:
        """Writes the next message after the one of `sequence`; the same one once more changes nothing.

        Raises `NotFound`, `TooLarge` and `ConcurrentWrite`.
        """
        _check(data)
        session = await self._database.write(store.update, id_, sequence, data, self._outside.now_ms())
        if session is None:
            raise _gone()
        if (session.sequence, session.data) != (sequence + 1, data):
            raise ConcurrentWrite(session)
        return session

    async def delete(self, id_: str) -> None:
        """Raises `NotFound`."""
        if not await self._database.write(store.delete, id_, self._outside.now_ms()):
            raise _gone()

    def left_ms(self, session: Session) -> int:
        """How long a session still lasts."""
        return max(0, session.expires_ms - self._outside.now_ms())

    async def prune(self) -> None:
        """Removes what has expired."""
        await self._database.write(store.prune, self._outside.now_ms())


def _check(data: str) -> None:
    if len(data.encode()) > MAX_DATA:
        raise TooLarge(f"A message may have {MAX_DATA} bytes.")


def _gone() -> NotFound:
    return NotFound("There is no such session; it may have ended. Show a new QR code.")
