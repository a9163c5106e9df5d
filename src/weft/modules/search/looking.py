"""Looking at matches with one user's eyes. Each room is asked for once in a search."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from weft.modules.events import Sight
from weft.modules.events.sight import Seen
from weft.modules.history.pages import wants
from weft.modules.history.service import History
from weft.modules.membership.viewing import View
from weft.modules.search.store import Match
from weft.protocol.errors import Forbidden
from weft.protocol.filters import EventFilter
from weft.rooms.engine import Engine


@dataclass(frozen=True, slots=True)
class Result:
    match: Match
    seen: Seen
    view: View


class Looker:
    """A user's eyes, for one search."""

    def __init__(self, engine: Engine, history: History, sight: Sight, user_id: str, chosen: EventFilter) -> None:
        self._engine = engine
        self._history = history
        self._sight = sight
        self._user_id = user_id
        self._chosen = chosen
        self._views: dict[str, View | None] = {}
        self._open: dict[str, bool] = {}

    async def visible(self, matches: Sequence[Match]) -> dict[str, Result]:
        """Those of the matches that the user may see and that the filter wants, by event id."""
        rooms: dict[str, list[str]] = {}
        for match in matches:
            rooms.setdefault(match.room_id, []).append(match.event_id)
        by_id = {match.event_id: match for match in matches}
        results: dict[str, Result] = {}
        for room_id, event_ids in rooms.items():
            view = await self.view(room_id)
            if view is None:
                continue
            events = await self._engine.rooms.events(event_ids)
            # The index may not have heard of a redaction yet.
            stored = [one for one in events.values() if one.redacted_by is None and wants(self._chosen, one)]
            for seen in await self._sight.of(view.room, self._user_id, stored):
                event_id = seen.stored.event.event_id
                results[event_id] = Result(by_id[event_id], seen, view)
        return results

    async def view(self, room_id: str) -> View | None:
        """A room that the user may look into; None for one that is closed to them."""
        if room_id not in self._views:
            try:
                self._views[room_id] = await self._history.view(room_id, self._user_id)
            except Forbidden:
                self._views[room_id] = None
        return self._views[room_id]

    async def is_open(self, view: View) -> bool:
        """Whether all of a room's history is the user's to see."""
        if view.room.id not in self._open:
            self._open[view.room.id] = await self._sight.is_open(view.room, self._user_id)
        return self._open[view.room.id]
