"""The events that a user was notified of, newest first, for a page that lists them.

They are found by asking the push rules about what happened in the user's rooms, as far back as `_PER_ROOM` events of
each room; nothing is stored.

https://spec.matrix.org/v1.19/client-server-api/#listing-notifications
"""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from weft.http.call import Call
from weft.modules.events import EventForms, Sight, Viewer
from weft.modules.events.user_rooms import UserRooms
from weft.modules.receipts.store import Place
from weft.modules.receipts.threads import MAIN
from weft.modules.unread.noted import Noted
from weft.modules.unread.service import Unread
from weft.modules.unread.tally import Reader
from weft.protocol.api.client import push_rules as api
from weft.protocol.push_rules import Actions
from weft.rooms.engine import Engine
from weft.storage.database import Transaction
from weft.storage.events import StoredEvent
from weft.storage.positions import Moment

_DEFAULT_LIMIT = 20
_MAX_LIMIT = 100
#: How many of a room's newest events are looked through, and how many are looked at closely for one page.
_PER_ROOM = 1_000
_LOOKED_AT = 1_000
_BATCH = 100
#: Begins the tokens.
_LETTER = "n"


class _Candidate(NamedTuple):
    cursor: Moment
    event_id: str


class _Judge(NamedTuple):
    """What decides about the events of one room."""

    reader: Reader
    floor: Place
    places: dict[str, Place]


class Notifications:
    def __init__(
        self, engine: Engine, unread: Unread, *, user_rooms: UserRooms, forms: EventForms, sight: Sight
    ) -> None:
        self._engine = engine
        self._unread = unread
        self._user_rooms = user_rooms
        self._forms = forms
        self._sight = sight

    async def get(self, call: Call[api.GetNotificationsRequest]) -> api.GetNotificationsResponse:
        args = call.args
        limit = max(1, min(_DEFAULT_LIMIT if args.limit is None else args.limit, _MAX_LIMIT))
        start = Moment.parse(_LETTER, args.from_) if args.from_ else Moment(1 << 62, 0)
        seats = await self._user_rooms.of(call.user_id)
        rooms = [seat.number for seat in seats.values() if seat.membership == "join"]
        candidates = await self._engine.database.read(_candidates, rooms, call.user_id, start)
        viewer = Viewer(call.user_id, call.device_id)
        judges: dict[int, _Judge] = {}
        found: list[api.Notification] = []
        looked_at = 0
        last: Moment | None = None
        while candidates and len(found) < limit and looked_at < _LOOKED_AT:
            batch, candidates = candidates[:_BATCH], candidates[_BATCH:]
            stored = await self._engine.rooms.events([candidate.event_id for candidate in batch])
            for index, candidate in enumerate(batch):
                last = candidate.cursor
                one = stored.get(candidate.event_id)
                told = await self._told(one, viewer, judges, args.only == "highlight") if one is not None else None
                if told is not None:
                    found.append(told)
                if len(found) == limit:
                    candidates = batch[index + 1 :] + candidates
                    break
            looked_at += len(batch)
        more = last.spell(_LETTER) if candidates and last is not None else None
        return api.GetNotificationsResponse(notifications=found, next_token=more)

    async def _told(
        self, stored: StoredEvent, viewer: Viewer, judges: dict[int, _Judge], highlights: bool
    ) -> api.Notification | None:
        """The event as a notification, if it is one."""
        if stored.redacted_by is not None:
            return None
        room = await self._engine.rooms.get(stored.event.room_id)
        judge = judges.get(stored.room)
        if judge is None:
            reader = await self._unread.reader(viewer.user_id, room)
            judge = judges[stored.room] = _Judge(reader, *await self._unread.read_up_to(viewer.user_id, room))
        noted = (await self._unread.noted.of(room, [stored]))[0]
        actions = _actions(judge.reader, noted)
        if actions is None or (highlights and not actions.highlight):
            return None
        if not await self._sight.may_see(room, viewer.user_id, stored):
            return None
        await self._unread.noted.find_threads([noted])
        return api.Notification(
            room_id=stored.event.room_id,
            event=(await self._forms.many([stored], viewer, with_room_id=False))[0],
            actions=actions.json,
            read=stored.order <= max(judge.floor, judge.places.get(noted.thread or MAIN, judge.floor)),
            ts=stored.event.origin_server_ts,
        )


def _actions(reader: Reader, noted: Noted) -> Actions | None:
    event = noted.stored.event
    if event.state_key is None and event.sender in reader.ignored:
        return None
    return reader.judge(noted.flat)


def _candidates(tx: Transaction, rooms: Collection[int], user_id: str, start: Moment) -> list[_Candidate]:
    """Events of others before a place in the list, newest first."""
    found: list[_Candidate] = []
    for room in rooms:
        rows = tx.all(
            """SELECT origin_server_ts, position, event_id FROM (
                   SELECT origin_server_ts, position, event_id, sender, redacted_by, outcome FROM events
                   WHERE room = :room ORDER BY depth DESC, position DESC LIMIT :look_at) newest
               WHERE outcome = 0 AND sender <> :user_id AND redacted_by IS NULL
                 AND (origin_server_ts, position) < (:ts, :position)
               ORDER BY origin_server_ts DESC, position DESC LIMIT :limit""",
            room=room,
            look_at=_PER_ROOM,
            user_id=user_id,
            ts=start.ms,
            position=start.position,
            limit=_LOOKED_AT,
        )
        found += [_Candidate(Moment(max(0, ts), position), event_id) for ts, position, event_id in rows]
    found.sort(reverse=True)
    return found[:_LOOKED_AT]
