"""Device lists of other servers' users: asked for when somebody here wants to know, then kept up by what servers tell.

A list is good as long as its user and somebody here have shared a room ever since it was asked for: so long their
server owes us every change. When a change was missed the list is marked, in the transaction in which that is noticed,
and asked for anew: by the next one who wants to know, or in a little while.

https://spec.matrix.org/v1.19/server-server-api/#device-management
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from functools import partial
from itertools import islice
from typing import Any, Final

import orjson
import structlog

from weft.modules.devices import device_lists
from weft.modules.events import UserRooms
from weft.modules.keys import foreign, remote_store
from weft.modules.keys.device_store import KeyedDevice
from weft.modules.keys.own_users import Known, shown
from weft.modules.keys.remote_store import RemoteList
from weft.modules.keys.signing_store import MASTER, SELF_SIGNING
from weft.modules.module import Task
from weft.protocol.api.federation.devices import GET_USER_DEVICES, GetUserDevicesRequest, GetUserDevicesResponse
from weft.protocol.errors import NotNow, PeerError, Unreachable
from weft.protocol.identifiers import domain_of
from weft.rooms.engine import Engine
from weft.rooms.room import Room
from weft.storage.database import Transaction, WriteTransaction
from weft.storage.positions import HISTORY_END, Vector

log = structlog.get_logger(__name__)

#: How many lists are asked for anew at a time, by the task and by one client.
_AT_ONCE: Final = 20
#: Of the people here who share a room with somebody, those that are looked at.
_LOOKED_AT: Final = 50
_TIMEOUT: Final = 30.0


class RemoteLists:
    def __init__(self, engine: Engine, user_rooms: UserRooms) -> None:
        self._engine = engine
        self._database = engine.database
        self._user_rooms = user_rooms
        self._asking: dict[str, asyncio.Task[Known]] = {}
        self.tasks = [Task(name="stale device lists", every_seconds=5, run=self.ask_for_stale)]

    # -- looking

    async def known(self, users: Collection[str]) -> Known:
        """What is known for sure of some users; the others have no place in it."""
        rows = {row.user_id: row for row in await self._database.get(remote_store.of_users, users)}
        good = [user_id for user_id, row in rows.items() if not row.stale and await self.is_good(row)]
        found = Known(device_keys={user_id: {} for user_id in good})
        if good:
            for device in await self._database.get(remote_store.devices_of, good):
                if device.keys is not None:
                    found.device_keys[device.user_id][device.device_id] = shown(device, names=True)
        for user_id in good:
            for usage, key in ((MASTER, rows[user_id].master_key), (SELF_SIGNING, rows[user_id].self_signing_key)):
                if key is not None:
                    found.of_usage(usage)[user_id] = orjson.loads(key)
        return found

    async def shares_a_room(self, user_id: str) -> bool:
        """Whether a user is in a room with anybody here."""
        return await self._shares(user_id, None)

    async def is_good(self, row: RemoteList) -> bool:
        """Whether a user has shared a room with somebody here ever since the list was asked for."""
        return await self._shares(row.user_id, Vector.parse(row.cut))

    async def _shares(self, user_id: str, since: Vector | None) -> bool:
        seats = dict(await self._user_rooms.of(user_id))
        for room_id, seat in seats.items():
            if seat.membership != "join" or (since is not None and seat.position not in since):
                continue
            room = self._engine.rooms.cached(room_id) or await self._engine.rooms.find(room_id)
            if room is None or room.membership(user_id) != "join" or not room.joined_local:
                continue
            if since is None or await self._has_been_in(room, since):
                return True
        return False

    async def _has_been_in(self, room: Room, since: Vector) -> bool:
        """Whether anybody here has been in a room all the time."""
        for other in list(islice(room.joined_local, _LOOKED_AT)):
            seat = (await self._user_rooms.of(other)).get(room.id)
            if seat is None or seat.membership != "join" or seat.position <= HISTORY_END:
                # In it by its history only, when the room was entered anew: a join of which this server never knew.
                continue
            if seat.position in since:
                return True
        return False

    # -- asking

    async def ask(self, user_id: str, origin: str) -> Known:
        """Asks a user's server for the list, and follows it from now on; those who ask at the same time share that.

        Raises what `Peers.call` does.
        """
        task = self._asking.get(user_id)
        if task is None:
            task = self._asking[user_id] = asyncio.create_task(self._ask(user_id, origin))
            task.add_done_callback(partial(self._asked, user_id))
        return await asyncio.shield(task)

    def _asked(self, user_id: str, task: asyncio.Task[Known]) -> None:
        self._asking.pop(user_id, None)
        if not task.cancelled():
            task.exception()  # perhaps nobody waits any more

    async def _ask(self, user_id: str, origin: str) -> Known:
        cut = self._engine.log.head
        before = await self._database.get(device_lists.position_of, user_id)
        answer = await self._engine.remote.federation.peers.call(
            GET_USER_DEVICES,
            GetUserDevicesRequest(user_id=user_id),
            origin=origin,
            destination=domain_of(user_id),
            timeout=_TIMEOUT,
            remember_failure=False,
        )
        row, devices = _read(user_id, answer, cut)
        if await self.shares_a_room(user_id):
            await self._database.write(_take_list, row, devices, before)
        found = Known(device_keys={user_id: {d.device_id: shown(d, names=True) for d in devices if d.keys is not None}})
        for usage, key in ((MASTER, row.master_key), (SELF_SIGNING, row.self_signing_key)):
            if key is not None:
                found.of_usage(usage)[user_id] = orjson.loads(key)
        return found

    async def ask_for_stale(self) -> None:
        """Asks for some of the lists anew that are marked, of servers that may answer."""
        users = await self._database.read(remote_store.stale, _AT_ONCE)
        if not users:
            return
        await self._database.write(remote_store.tried, users, self._engine.outside.now_ms())
        peers = self._engine.remote.federation.peers
        origin = next(iter(self._engine.server_names))
        for user_id in users:
            if not await self.shares_a_room(user_id):
                await self._database.write(remote_store.drop, user_id)
            elif peers.enabled and peers.is_available(domain_of(user_id)):
                try:
                    await self.ask(user_id, origin)
                except (Unreachable, NotNow, PeerError) as error:
                    log.info("a device list can't be had just now", user_id=user_id, reason=str(error)[:200])


def _read(user_id: str, answer: GetUserDevicesResponse, cut: Vector) -> tuple[RemoteList, list[KeyedDevice]]:
    """What of an answer may be believed."""
    devices = {
        one.device_id: foreign.stored_device(user_id, one.device_id, one.keys, one.device_display_name)
        for one in answer.devices[: foreign.MOST_DEVICES]
        if foreign.is_device_id(one.device_id)
    }
    master = foreign.signing_key(answer.master_key, user_id, MASTER)
    self_signing = foreign.signing_key(answer.self_signing_key, user_id, SELF_SIGNING)
    row = RemoteList(
        user_id,
        answer.stream_id,
        cut.spell(),
        0,
        master.key if master is not None else None,
        self_signing.key if self_signing is not None else None,
    )
    return row, list(devices.values())


def _take_list(tx: WriteTransaction, row: RemoteList, devices: Sequence[KeyedDevice], before: int) -> None:
    """Keeps a list. `before`: where in the log the newest change was told before the list was asked for."""
    held = remote_store.hold(tx, row.user_id)
    # What was told meanwhile may be in the list, or not.
    told_meanwhile = device_lists.position_of(tx, row.user_id) != before
    is_news = held is not None and _content(tx, held) != (
        row.master_key,
        row.self_signing_key,
        sorted(devices, key=lambda device: device.device_id),
    )
    remote_store.put(tx, row._replace(stale=int(told_meanwhile)))
    remote_store.replace_devices(tx, row.user_id, devices)
    if is_news:
        device_lists.changed(tx, row.user_id, "")


def _content(tx: Transaction, row: RemoteList) -> tuple[Any, ...]:
    return row.master_key, row.self_signing_key, remote_store.devices_of(tx, [row.user_id])
