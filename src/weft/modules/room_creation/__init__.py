"""Making rooms, and replacing one by a new one of another version."""

from __future__ import annotations

from weft.modules.module import Module
from weft.modules.room_creation.client_api import RoomCreationApi
from weft.modules.room_creation.service import RoomCreation
from weft.modules.room_creation.upgrade import RoomUpgrade

__all__ = ["RoomCreation", "RoomUpgrade", "module"]


def module(creation: RoomCreation, upgrade: RoomUpgrade) -> Module:
    return Module(name="room_creation", routes=RoomCreationApi(creation, upgrade).routes())
