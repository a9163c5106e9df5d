"""What of the log concerns whom, and when those who wait are answered."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain

from weft.modules.events.user_rooms import Seat
from weft.modules.module import SyncPart
from weft.modules.sync.echoes import Echoes
from weft.modules.sync.turns import Turns
from weft.rooms.engine import Engine
from weft.storage.events import StoredEvent
from weft.storage.positions import Entry, Vector


class Waking:
    """Wakes the users whom committed entries concern. Both ways of syncing wait here, and take turns here."""

    def __init__(self, engine: Engine, parts: Sequence[SyncPart]) -> None:
        self._engine = engine
        self._part_of_kind: dict[str, list[SyncPart]] = {}
        for part in parts:
            for kind in part.kinds:
                self._part_of_kind.setdefault(kind, []).append(part)
        self._echoes = Echoes(engine.log.wake)
        self._turns = Turns()

    async def ready(self, user_id: str, since: Vector | None) -> None:
        """Returns when it is the user's turn to be answered with what is beyond a vector."""
        await self._echoes.wait(user_id)
        if self._engine.log.head != since:
            await self._turns.take()

    def concerns(self, entry: Entry, user_id: str, seats: Mapping[str, Seat]) -> bool:
        """Whether a user who has these rooms may have to hear of an entry."""
        named = [w for part in self._part_of_kind.get(entry.kind, ()) if (w := part.wakes(entry)) is not None]
        if named:
            return any(user_id in users for users in named)
        if entry.room is None:
            return entry.user_id == user_id
        stored = entry.payload
        if isinstance(stored, StoredEvent) and entry.kind == "event" and stored.event.state_key == user_id:
            return True
        room_id = self._engine.rooms.room_id_now(entry.room)
        seat = seats.get(room_id) if room_id is not None else None
        if seat is None:
            return room_id is None
        return seat.membership == "join"

    def wake(self, entries: Sequence[Entry]) -> None:
        """Wakes the waiting users whom committed entries concern."""
        log = self._engine.log
        if not log.waiting:
            return
        for entry in entries:
            named = [w for part in self._part_of_kind.get(entry.kind, ()) if (w := part.wakes(entry)) is not None]
            chosen: Iterable[object] = chain.from_iterable(named) if named else self._ordinarily_concerned(entry)
            sender = _sender(entry)
            if sender is not None:
                self._echoes.sent(sender)
                chosen = [key for key in chosen if key != sender]
            log.wake(chosen)

    def _ordinarily_concerned(self, entry: Entry) -> Iterable[object]:
        if entry.room is None:
            return (entry.user_id,) if entry.user_id is not None else ()
        room_id = self._engine.rooms.room_id_now(entry.room)
        room = self._engine.rooms.cached(room_id) if room_id is not None else None
        waiting = self._engine.log.waiting
        if room is None:
            return list(waiting)
        stored = entry.payload
        about = stored.event.state_key if isinstance(stored, StoredEvent) else None
        if len(room.joined_local) <= len(waiting):
            concerned: list[object] = list(room.joined_local)
        else:
            concerned = [key for key in waiting if key in room.joined_local]
        if about is not None:
            concerned.append(about)
        return concerned


def _sender(entry: Entry) -> str | None:
    stored = entry.payload
    return stored.event.sender if entry.kind == "event" and isinstance(stored, StoredEvent) else None
