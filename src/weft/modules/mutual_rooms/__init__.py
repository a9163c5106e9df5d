"""The rooms that two people share. https://spec.matrix.org/v1.19/client-server-api/#mutual-rooms"""

from __future__ import annotations

from weft.modules.events import UserRooms
from weft.modules.module import Module
from weft.modules.mutual_rooms.client_api import MutualRoomsApi

__all__ = ["module"]


def module(user_rooms: UserRooms) -> Module:
    return Module(name="mutual_rooms", routes=MutualRoomsApi(user_rooms).routes())
