"""What state resolution looks up, from the database, inside one transaction."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from weft.graph.outcome import Outcome
from weft.protocol.event import Event
from weft.protocol.state_resolution import StateEntry
from weft.storage import events
from weft.storage.database import Transaction


class TransactionReader:
    """Events that were not rejected, and the state events that name one in their `auth_events`."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx
        self._known: dict[str, Event] = {}

    def events(self, ids: Iterable[str]) -> Mapping[str, Event]:
        wanted = list(ids)
        missing = [event_id for event_id in wanted if event_id not in self._known]
        if missing:
            found = events.by_ids(self._tx, missing)
            self._known.update((i, s.event) for i, s in found.items() if s.outcome is not Outcome.REJECTED)
        return {event_id: self._known[event_id] for event_id in wanted if event_id in self._known}

    def auth_children(self, ids: Iterable[str]) -> Mapping[str, Iterable[StateEntry]]:
        return {event_id: events.auth_children(self._tx, event_id) for event_id in ids}
