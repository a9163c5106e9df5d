"""Purging a room's past: messages up to a point are removed; state stays, and so does what builds on it.

What is removed is missing then, as in a room that was joined late: where somebody reads so far, other servers of the
room are asked for it, and may bring it back.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

from weft.http.call import Requester
from weft.modules.admin.jobs import Job, Jobs
from weft.protocol.api.synapse_admin.jobs import PurgeHistoryRequest
from weft.protocol.errors import InvalidParam, MissingParam, NotFound
from weft.protocol.identifiers import domain_of, is_valid_room_id
from weft.rooms.engine import Engine
from weft.rooms.room import Room
from weft.storage import purging
from weft.storage.purging import Place

ACTION: Final = "purge_history"
_BEGINNING: Final = (-1, 0)


class HistoryPurge:
    def __init__(self, engine: Engine, jobs: Jobs) -> None:
        self._engine = engine
        self._jobs = jobs
        jobs.work[ACTION] = self._purge

    async def begin(self, requester: Requester, args: PurgeHistoryRequest) -> str:
        """Has a room's past purged; returns the job's id.

        Raises `InvalidParam`, `MissingParam`, and `NotFound` where there is no such room or point.
        """
        if not is_valid_room_id(args.room_id):
            raise InvalidParam("This is not a room id.")
        room = await self._engine.rooms.find(args.room_id)
        if room is None:
            raise NotFound("Room not found")
        below = await self._depth(room, args)
        arguments = {"below": below, "delete_local_events": args.delete_local_events}
        return await self._jobs.begin(ACTION, room.id, requester.user_id, arguments)

    async def _depth(self, room: Room, args: PurgeHistoryRequest) -> int:
        """The depth below which messages are removed: that of an event which stays."""
        event_id = args.event_id or args.purge_up_to_event_id
        if event_id is not None:
            stored = await self._engine.rooms.event(event_id)
            if stored is None or stored.room != room.number or not stored.position:
                raise NotFound("There is no such event in the room.")
            return stored.event.depth
        if args.purge_up_to_ts is None:
            raise MissingParam("Name an event, or give purge_up_to_event_id or purge_up_to_ts.")
        depth = await self._engine.database.read(purging.first_after, room.number, args.purge_up_to_ts)
        if depth is None:
            raise NotFound("There is no event to be purged")
        return depth

    async def _purge(self, job: Job) -> dict[str, Any]:
        room = await self._engine.rooms.find(job.subject)
        if room is None:
            raise NotFound("The room was deleted meanwhile.")
        number, below = room.number, int(job.arguments["below"])
        keeps_local = not job.arguments["delete_local_events"]

        def is_kept(sender: str) -> bool:
            return keeps_local and self._engine.is_local_domain(domain_of(sender))

        count = int(job.result.get("removed", 0))
        place: Place | None = _BEGINNING
        while place is not None:
            removed = await self._engine.database.write(
                self._engine.purging.remove_messages, number, place, below, is_kept
            )
            count, place = count + removed.events, removed.upto
            await asyncio.sleep(0)
        place = _BEGINNING
        while place is not None:
            place = await self._engine.database.write(purging.note_gaps, number, place)
            await asyncio.sleep(0)
        return {"removed": count}
