"""What a room shows of itself to somebody who may join it."""

from __future__ import annotations

from weft.modules.module import Module
from weft.modules.room_summary.client_api import RoomSummaryApi
from weft.modules.room_summary.remote import RemoteRooms, Told
from weft.modules.room_summary.service import RoomSummaries

__all__ = ["RemoteRooms", "RoomSummaries", "Told", "module"]


def module(summaries: RoomSummaries) -> Module:
    return Module(name="room_summary", routes=RoomSummaryApi(summaries).routes())
