"""Sending to a room: messages, state, redactions; and reading its present state."""

from __future__ import annotations

from weft.modules.delayed_events import DelayedEvents
from weft.modules.module import Module
from weft.modules.room_events.client_api import RoomEventsApi
from weft.modules.room_events.content_rules import check_content, check_server_acl
from weft.modules.room_events.sending import Sending
from weft.modules.room_events.state import RoomState

__all__ = ["RoomState", "Sending", "check_content", "check_server_acl", "module"]


def module(sending: Sending, state: RoomState, delayed: DelayedEvents) -> Module:
    return Module(name="room_events", routes=RoomEventsApi(sending, state, delayed).routes())
