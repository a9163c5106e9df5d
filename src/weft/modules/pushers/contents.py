"""What a gateway is told.

https://spec.matrix.org/v1.19/push-gateway-api/#post_matrixpushv1notify
"""

from __future__ import annotations

from typing import Any

import orjson

from weft.modules.events.user_rooms import UserRooms
from weft.modules.pushers.store import Pusher, Queued
from weft.modules.unread import Unread
from weft.protocol.api.push_gateway.notify import Counts, Device, Notification
from weft.rooms.engine import Engine


class Contents:
    def __init__(self, engine: Engine, unread: Unread, user_rooms: UserRooms) -> None:
        self._engine = engine
        self._unread = unread
        self._user_rooms = user_rooms

    async def of(self, pusher: Pusher, row: Queued) -> tuple[Notification, int] | None:
        """The notification and its count of unread events; None where there is nothing to tell any more."""
        data: dict[str, Any] = orjson.loads(pusher.data)
        data.pop("url", None)
        device = Device(app_id=pusher.app_id, pushkey=pusher.pushkey, pushkey_ts=pusher.set_ms // 1000, data=data)
        unread = await self._count(pusher.user_id)
        notification = Notification(devices=[device], counts=Counts(unread=unread))
        if not row.event_id:
            return (notification, unread) if unread != pusher.told_unread else None
        stored = (await self._engine.rooms.events([row.event_id])).get(row.event_id)
        if stored is None or stored.redacted_by is not None:
            return None
        event = stored.event
        notification.event_id, notification.room_id = event.event_id, event.room_id
        if data.get("format") == "event_id_only":
            return notification, unread
        device.tweaks = orjson.loads(row.tweaks)
        room = await self._engine.rooms.get(event.room_id)

        async def said(event_type: str, state_key: str, key: str) -> str | None:
            found = await self._engine.rooms.state_event(room, event_type, state_key)
            text = found.content.get(key) if found is not None else None
            return text if isinstance(text, str) and text else None

        notification.type, notification.sender, notification.content = event.type, event.sender, dict(event.content)
        notification.sender_display_name = await said("m.room.member", event.sender, "displayname")
        notification.room_name = await said("m.room.name", "", "name")
        notification.room_alias = await said("m.room.canonical_alias", "", "alias")
        if event.type == "m.room.member":
            notification.user_is_target = event.state_key == pusher.user_id
        urgent = event.type == "m.room.encrypted" or device.tweaks.get("sound") or device.tweaks.get("highlight")
        notification.prio = "high" if urgent else "low"
        return notification, unread

    async def _count(self, user_id: str) -> int:
        """How many events in all of a user's rooms are unread and notify."""
        seats = await self._user_rooms.of(user_id)
        joined = [room_id for room_id, seat in seats.items() if seat.membership == "join"]
        rooms = [await self._engine.rooms.get(room_id) for room_id in joined]
        await self._unread.have(user_id, rooms)
        return sum([(await self._unread.counts(user_id, room)).all_notify for room in rooms])
