"""Reports: what users tell the server's administrators.

An event can be reported by who is in its room and can see it. A room or a user can be reported by everybody, known to
this server or not: the answer is the same for all, so that nobody can find out that way what there is.

https://spec.matrix.org/v1.19/client-server-api/#reporting-content
"""

from __future__ import annotations

from typing import Final

from weft.modules.events import Sight
from weft.modules.reporting import store
from weft.modules.reporting.store import NewReport, ReportRow, Wanted
from weft.protocol.errors import NotFound
from weft.protocol.identifiers import parse_room_id, parse_user_id
from weft.rooms.engine import Engine
from weft.storage.events import StoredEvent

#: The specification had scores from -100 to 0; nobody needs to know how much more somebody sent.
_MAX_SCORE: Final = 100
_MAX_PAGE: Final = 1_000


class ReportingService:
    def __init__(self, engine: Engine, sight: Sight) -> None:
        self._engine = engine
        self._database = engine.database
        self._sight = sight

    async def report_event(
        self, reporter: str, room_id: str, event_id: str, *, reason: str | None, score: int | None
    ) -> None:
        """Raises `NotFound` unless the reporter is in the room and can see the event."""
        stored = await self._visible(reporter, room_id, event_id)
        if stored is None:
            raise NotFound("There is no such event in a room that you are in.")
        if score is not None:
            score = max(-_MAX_SCORE, min(score, _MAX_SCORE))
        report = NewReport(
            self._engine.outside.now_ms(), reporter, "event", room_id, event_id, stored.event.sender, reason, score
        )
        await self._database.write(store.insert, report)

    async def report_room(self, reporter: str, room_id: str, reason: str) -> None:
        """Raises `InvalidParam` for what is no room id."""
        parse_room_id(room_id)
        report = NewReport(self._engine.outside.now_ms(), reporter, "room", room_id=room_id, reason=reason)
        await self._database.write(store.insert, report)

    async def report_user(self, reporter: str, user_id: str, reason: str) -> None:
        """Raises `InvalidParam` for what is no user id."""
        parse_user_id(user_id)
        report = NewReport(self._engine.outside.now_ms(), reporter, "user", user_id=user_id, reason=reason)
        await self._database.write(store.insert, report)

    async def page(self, after: int | None, limit: int, *, newest_first: bool) -> tuple[list[ReportRow], int]:
        """The reports that follow the one numbered `after`, and how many there are in all."""
        rows = await self._database.read(store.page, after, limit, newest_first=newest_first)
        return rows, await self._database.read(store.total)

    async def of_events(
        self, wanted: Wanted, *, start: int, limit: int, newest_first: bool
    ) -> tuple[list[ReportRow], int]:
        """A page of the reports of events, and how many there are in all."""
        return await self._database.read(
            store.of_events, wanted, start=start, limit=min(limit, _MAX_PAGE), newest_first=newest_first
        )

    async def of_event(self, number: int) -> ReportRow:
        """A report of an event. Raises `NotFound`."""
        found = await self._database.get(store.of_event, number)
        if found is None:
            raise NotFound("There is no such report of an event.")
        return found

    async def delete(self, number: int) -> None:
        """Removes a report of an event. Raises `NotFound`."""
        if not await self._database.write(store.delete, number):
            raise NotFound("There is no such report of an event.")

    async def _visible(self, user_id: str, room_id: str, event_id: str) -> StoredEvent | None:
        room = await self._engine.rooms.find(room_id)
        if room is None or room.membership(user_id) != "join":
            return None
        stored = await self._engine.rooms.event(event_id)
        if stored is None or stored.room != room.number or not await self._sight.may_see(room, user_id, stored):
            return None
        return stored
