"""The endpoints by which events are sent and state is read."""

from __future__ import annotations

from typing import Any

import msgspec

from weft.http.call import Call, Route, route
from weft.modules.delayed_events import DelayedEvents
from weft.modules.events import Viewer
from weft.modules.room_events.sending import Sending
from weft.modules.room_events.state import RoomState
from weft.protocol.api.client import room_events as api
from weft.protocol.api.endpoint import Raw


class RoomEventsApi:
    def __init__(self, sending: Sending, state: RoomState, delayed: DelayedEvents) -> None:
        self._sending = sending
        self._state = state
        self._delayed = delayed

    def routes(self) -> list[Route[Any, Any]]:
        return [
            route(api.SEND_MESSAGE, self.send_message),
            route(api.SET_ROOM_STATE_WITH_KEY, self.set_room_state_with_key),
            route(api.REDACT_EVENT, self.redact_event),
            route(api.GET_ROOM_STATE, self.get_room_state),
            route(api.GET_ROOM_STATE_WITH_KEY, self.get_room_state_with_key),
        ]

    async def send_message(self, call: Call[api.SendMessageRequest]) -> api.EventIdResponse | Raw:
        args = call.args
        if args.delay is not None:
            return _scheduled(
                await self._delayed.schedule(
                    call.requester,
                    args.room_id,
                    args.event_type,
                    args.content,
                    args.delay,
                    txn_id=args.txn_id,
                    sticky_ms=args.sticky_ms,
                )
            )
        event_id = await self._sending.send(
            call.requester, args.room_id, args.event_type, args.content, args.txn_id, args.ts, sticky_ms=args.sticky_ms
        )
        return api.EventIdResponse(event_id=event_id)

    async def set_room_state_with_key(self, call: Call[api.SetRoomStateWithKeyRequest]) -> api.EventIdResponse | Raw:
        args = call.args
        if args.delay is not None:
            return _scheduled(
                await self._delayed.schedule(
                    call.requester,
                    args.room_id,
                    args.event_type,
                    args.content,
                    args.delay,
                    state_key=args.state_key,
                    sticky_ms=args.sticky_ms,
                )
            )
        event_id = await self._sending.set_state(
            call.requester,
            args.room_id,
            args.event_type,
            args.state_key,
            args.content,
            args.ts,
            sticky_ms=args.sticky_ms,
        )
        return api.EventIdResponse(event_id=event_id)

    async def redact_event(self, call: Call[api.RedactEventRequest]) -> api.EventIdResponse:
        args = call.args
        event_id = await self._sending.redact(
            call.requester, args.room_id, args.event_id, args.reason, args.txn_id, args.ts
        )
        return api.EventIdResponse(event_id=event_id)

    async def get_room_state(self, call: Call[api.GetRoomStateRequest]) -> list[msgspec.Raw]:
        return await self._state.all(call.args.room_id, Viewer(call.user_id, call.device_id))

    async def get_room_state_with_key(self, call: Call[api.GetRoomStateWithKeyRequest]) -> msgspec.Raw:
        args = call.args
        viewer = Viewer(call.user_id, call.device_id)
        read = self._state.event if args.format == "event" else self._state.content
        return await read(args.room_id, viewer, args.event_type, args.state_key)


def _scheduled(delay_id: str) -> Raw:
    """The answer where an event is to be sent later: it has no id yet."""
    return Raw(body=msgspec.json.encode({"delay_id": delay_id}))
