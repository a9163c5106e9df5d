"""The endpoints of key backups: for all keys, a room's, and one. All are the same with a narrower scope.

https://spec.matrix.org/v1.19/client-server-api/#server-side-key-backups
"""

from __future__ import annotations

from typing import Any

import msgspec

from weft.http.call import Call, Route, route
from weft.modules.key_backup.service import KeyBackups
from weft.modules.key_backup.store import BackupRow, KeyRow
from weft.protocol.api.client import key_backup as api
from weft.protocol.api.endpoint import Empty
from weft.protocol.errors import InvalidParam, NotFound


class KeyBackupApi:
    def __init__(self, backups: KeyBackups) -> None:
        self._backups = backups

    def routes(self) -> list[Route[Any, Any]]:
        return [
            route(api.POST_ROOM_KEYS_VERSION, self.create),
            route(api.GET_ROOM_KEYS_VERSION_CURRENT, self.current),
            route(api.GET_ROOM_KEYS_VERSION, self.one),
            route(api.PUT_ROOM_KEYS_VERSION, self.update),
            route(api.DELETE_ROOM_KEYS_VERSION, self.delete),
            route(api.GET_ROOM_KEYS, self.get_keys),
            route(api.PUT_ROOM_KEYS, self.put_keys),
            route(api.DELETE_ROOM_KEYS, self.delete_keys),
            route(api.GET_ROOM_KEYS_BY_ROOM_ID, self.get_keys_of_room),
            route(api.PUT_ROOM_KEYS_BY_ROOM_ID, self.put_keys_of_room),
            route(api.DELETE_ROOM_KEYS_BY_ROOM_ID, self.delete_keys_of_room),
            route(api.GET_ROOM_KEY_BY_SESSION_ID, self.get_key),
            route(api.PUT_ROOM_KEY_BY_SESSION_ID, self.put_key),
            route(api.DELETE_ROOM_KEY_BY_SESSION_ID, self.delete_key),
        ]

    # -- backups

    async def create(self, call: Call[api.PostRoomKeysVersionRequest]) -> api.PostRoomKeysVersionResponse:
        version = await self._backups.create(call.user_id, call.args.algorithm, call.args.auth_data)
        return api.PostRoomKeysVersionResponse(version=version)

    async def current(self, call: Call[Empty]) -> api.GetRoomKeysVersionResponse:
        return _shown(await self._backups.find(call.user_id, None))

    async def one(self, call: Call[api.GetRoomKeysVersionRequest]) -> api.GetRoomKeysVersionResponse:
        return _shown(await self._backups.find(call.user_id, call.args.version))

    async def update(self, call: Call[api.PutRoomKeysVersionRequest]) -> Empty:
        args = call.args
        if call.raw_json.get("version") not in (None, args.version):
            raise InvalidParam("The version in the body is not the one in the path.")
        await self._backups.update(call.user_id, args.version, args.algorithm, args.auth_data)
        return Empty()

    async def delete(self, call: Call[api.GetRoomKeysVersionRequest]) -> Empty:
        await self._backups.delete(call.user_id, call.args.version)
        return Empty()

    # -- all keys

    async def get_keys(self, call: Call[api.RoomKeysRequest]) -> api.GetRoomKeysResponse:
        rooms: dict[str, api.StoredRoom] = {}
        for row in await self._backups.keys(call.user_id, call.args.version):
            rooms.setdefault(row.room_id, api.StoredRoom(sessions={})).sessions[row.session_id] = _key(row)
        return api.GetRoomKeysResponse(rooms=rooms)

    async def put_keys(self, call: Call[api.PutRoomKeysRequest]) -> api.RoomKeysUpdateResponse:
        rooms = {room_id: room.sessions for room_id, room in call.args.rooms.items()}
        return _state(await self._backups.put(call.user_id, call.args.version, rooms))

    async def delete_keys(self, call: Call[api.RoomKeysRequest]) -> api.RoomKeysUpdateResponse:
        return _state(await self._backups.delete_keys(call.user_id, call.args.version))

    # -- a room's

    async def get_keys_of_room(self, call: Call[api.RoomKeysByRoomIdRequest]) -> api.StoredRoom:
        rows = await self._backups.keys(call.user_id, call.args.version, call.args.room_id)
        return api.StoredRoom(sessions={row.session_id: _key(row) for row in rows})

    async def put_keys_of_room(self, call: Call[api.PutRoomKeysByRoomIdRequest]) -> api.RoomKeysUpdateResponse:
        args = call.args
        return _state(await self._backups.put(call.user_id, args.version, {args.room_id: args.sessions}))

    async def delete_keys_of_room(self, call: Call[api.RoomKeysByRoomIdRequest]) -> api.RoomKeysUpdateResponse:
        return _state(await self._backups.delete_keys(call.user_id, call.args.version, call.args.room_id))

    # -- one

    async def get_key(self, call: Call[api.RoomKeyBySessionIdRequest]) -> api.StoredKey:
        args = call.args
        rows = await self._backups.keys(call.user_id, args.version, args.room_id, args.session_id)
        if not rows:
            raise NotFound("That key is not in the backup.")
        return _key(rows[0])

    async def put_key(self, call: Call[api.PutRoomKeyBySessionIdRequest]) -> api.RoomKeysUpdateResponse:
        args = call.args
        key = api.KeyBackupData(
            first_message_index=args.first_message_index,
            forwarded_count=args.forwarded_count,
            is_verified=args.is_verified,
            session_data=args.session_data,
        )
        return _state(await self._backups.put(call.user_id, args.version, {args.room_id: {args.session_id: key}}))

    async def delete_key(self, call: Call[api.RoomKeyBySessionIdRequest]) -> api.RoomKeysUpdateResponse:
        args = call.args
        return _state(await self._backups.delete_keys(call.user_id, args.version, args.room_id, args.session_id))


def _shown(row: BackupRow) -> api.GetRoomKeysVersionResponse:
    return api.GetRoomKeysVersionResponse(
        algorithm=row.algorithm,
        auth_data=msgspec.Raw(row.auth_data),
        count=row.keys,
        etag=str(row.etag),
        version=str(row.version),
    )


def _state(row: BackupRow) -> api.RoomKeysUpdateResponse:
    return api.RoomKeysUpdateResponse(count=row.keys, etag=str(row.etag))


def _key(row: KeyRow) -> api.StoredKey:
    return api.StoredKey(
        first_message_index=row.first_message_index,
        forwarded_count=row.forwarded_count,
        is_verified=bool(row.is_verified),
        session_data=msgspec.Raw(row.session_data),
    )
