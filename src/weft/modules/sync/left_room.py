"""The sections of rooms that the user has left, or was put out of: up to that moment, and nothing after."""

from __future__ import annotations

from collections.abc import Collection

from weft.modules.events import EventForms, Sight, Viewer
from weft.modules.events.user_rooms import Seat
from weft.modules.sync.answer import Answer, event_list, json_object
from weft.modules.sync.joined_room import JoinedRooms, formed_state
from weft.modules.sync.room_state import RoomStates, StateQuery
from weft.modules.sync.timeline import Timelines
from weft.rooms.engine import Engine
from weft.rooms.room import Room
from weft.storage.events import StoredEvent
from weft.storage.positions import Vector


class LeftRooms:
    def __init__(
        self, engine: Engine, sight: Sight, forms: EventForms, timelines: Timelines, states: RoomStates
    ) -> None:
        self._engine = engine
        self._sight = sight
        self._timelines = timelines
        self._states = states
        self._joined = JoinedRooms(engine, sight, forms, timelines, states)

    async def add(
        self,
        answer: Answer,
        viewer: Viewer,
        room_id: str,
        seat: Seat,
        *,
        ignored: Collection[str],
        state_name: str,
    ) -> None:
        """Adds the section, if leaving is news to the client or it asked for rooms that are left."""
        if answer.since is not None and seat.position in answer.since and not answer.filter.include_leave:
            return
        room = await self._engine.rooms.get(room_id)
        left = await self._engine.rooms.event(seat.event_id)
        if left is None or left.snapshot is None:
            return
        was_in = await self._was_joined(room, answer.user_id)
        since = answer.since if was_in else None
        timeline = await self._timelines.of(
            room,
            answer.user_id,
            # What was said before the user left is not among the entries that concern them now.
            new=None,
            since=since or (None if was_in else _just_before(left)),
            upto=answer.upto,
            event_filter=answer.filter.room_timeline,
            ignored=ignored,
            until=left.order,
        )
        state: list[bytes] = []
        if was_in:
            target = await self._engine.rooms.snapshot(room, left.snapshot)
            query = StateQuery(
                user_id=viewer.user_id,
                device_id=viewer.device_id,
                filter=answer.filter,
                since=since,
                target=target,
                timeline=timeline.events,
                after=state_name != "state",
            )
            state = await self._states.of(room, query)
        answer.leave[room_id] = json_object(
            {
                "timeline": await self._joined.timeline_json(room, timeline, viewer, answer.filter),
                state_name: event_list(formed_state(state, answer.filter)),
            }
        )

    async def _was_joined(self, room: Room, user_id: str) -> bool:
        """Whether the user was in the room before; one who turned an invitation down was not."""
        return any(span.membership == "join" for span in await self._sight.spans(room, user_id))


def _just_before(stored: StoredEvent) -> Vector:
    """A cut that holds what the same writer wrote before an event."""
    return Vector().advanced([stored.position - 1])
