"""Deleting rooms: everybody of this server is taken out, then everything of the room is removed.

Users on other servers keep their copies; this server is then in the room no longer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Final

from weft.graph.build import Draft
from weft.http.call import Requester
from weft.modules.admin import blocks
from weft.modules.admin.jobs import Job, Jobs
from weft.modules.directory import store as directory_store
from weft.modules.membership import Memberships
from weft.modules.room_creation import RoomCreation
from weft.modules.room_creation.first_events import PRESETS, Plan, create_content, drafts, power_levels
from weft.protocol.api.synapse_admin.jobs import DeleteRoomRequest
from weft.protocol.errors import InvalidParam, MatrixError, NotFound, WeftError
from weft.protocol.identifiers import is_valid_room_id, parse_user_id
from weft.protocol.room_versions import DEFAULT_ROOM_VERSION
from weft.rooms.engine import Engine
from weft.rooms.room import Room
from weft.storage import rooms as room_store
from weft.storage.database import DatabaseError, WriteTransaction
from weft.storage.events import StoredEvent
from weft.storage.transaction_ids import TransactionKey

ACTION: Final = "shutdown_and_purge_room"

_NAME: Final = "Content Violation Notification"
_MESSAGE: Final = "Sharing illegal content on this server is not permitted and rooms in violation will be blocked."
#: How long other servers are given to hear that we leave, before what they would have to be told is removed.
_PATIENCE_SECONDS: Final = 20.0
_EVERY: Final = 50
_CONNECTED: Final = ("join", "invite", "knock")


class RoomDeletion:
    """`senders` are the followers that tell other servers of events."""

    def __init__(
        self,
        engine: Engine,
        jobs: Jobs,
        memberships: Memberships,
        creation: RoomCreation,
        senders: Sequence[str],
    ) -> None:
        self._engine = engine
        self._jobs = jobs
        self._memberships = memberships
        self._creation = creation
        self._senders = senders
        jobs.work[ACTION] = self._delete

    async def begin(self, requester: Requester, args: DeleteRoomRequest) -> str:
        """Closes the room at once and has it deleted; returns the job's id.

        Raises `InvalidParam`, and `NotFound` for a room that this server does not know.
        """
        if not is_valid_room_id(args.room_id):
            raise InvalidParam("This is not a room id.")
        if args.new_room_user_id is not None:
            parse_user_id(args.new_room_user_id)
            if not self._engine.is_local(args.new_room_user_id):
                raise InvalidParam("new_room_user_id must be a user of this server.")
        if await self._engine.rooms.find(args.room_id) is None:
            raise NotFound(f"Unknown room id {args.room_id}")
        arguments = {
            "new_room_user_id": args.new_room_user_id,
            "room_name": args.room_name or _NAME,
            "message": args.message or _MESSAGE,
            "purge": args.purge,
            "force_purge": args.force_purge,
        }

        def close(tx: WriteTransaction) -> None:
            blocks.block(tx, args.room_id, requester.user_id, lasting=args.block)

        return await self._jobs.begin(ACTION, args.room_id, requester.user_id, arguments, close)

    # -- the work

    async def _delete(self, job: Job) -> dict[str, Any]:
        done = {"kicked_users": [], "failed_to_kick_users": [], "local_aliases": [], "new_room_id": None, **job.result}
        try:
            room = await self._engine.rooms.find(job.subject)
            if room is not None:
                await self._empty(job, room, done)
            if "room" in done:
                await self._remove(int(done.pop("room")), job.subject)
        except DatabaseError:
            # It goes on later; the room stays closed.
            raise
        except Exception:
            await self._open(job.subject)
            raise
        await self._open(job.subject)
        return done

    async def _open(self, room_id: str) -> None:
        """The room was closed while it was being deleted; one that is blocked for good stays so."""
        await self._engine.database.write(blocks.unblock, room_id, lasting=False)

    async def _empty(self, job: Job, room: Room, done: dict[str, Any]) -> None:
        await self._shut_down(job, room, done)
        if not job.arguments["purge"]:
            return
        if done["failed_to_kick_users"] and not job.arguments["force_purge"]:
            raise MatrixError("Some users are still in the room, so it was not purged.")
        await self._tell_others(room)
        # What is left to be removed is known by this after a restart.
        done["room"] = room.number
        await self._jobs.note(job, done)
        await self._engine.database.write(self._part, room.number, room.id)

    async def _remove(self, room: int, room_id: str) -> None:
        removed = 1
        while removed:
            removed = await self._engine.database.write(self._engine.purging.remove_some, room, room_id)

    def _part(self, tx: WriteTransaction, room: int, room_id: str) -> None:
        row = room_store.by_number(tx, room)
        if row is not None and row.room_id == room_id:
            self._engine.purging.part(tx, room, room_id)

    async def _shut_down(self, job: Job, room: Room, done: dict[str, Any]) -> None:
        if job.arguments["new_room_user_id"] is not None and done["new_room_id"] is None:
            done["new_room_id"] = await self._make_room(job, done)
        if done["new_room_id"] is not None:
            await self._send_message(job, done["new_room_id"])
            done["local_aliases"] = done["local_aliases"] or await self._move_aliases(room, done["new_room_id"])
        done["failed_to_kick_users"] = []
        members = [user_id for user_id in room.members(*_CONNECTED) if self._engine.is_local(user_id)]
        for number, user_id in enumerate(members, 1):
            await self._take_out(room.id, user_id, done)
            if number % _EVERY == 0:
                await self._jobs.note(job, done)
        await self._jobs.note(job, done)

    async def _take_out(self, room_id: str, user_id: str, done: dict[str, Any]) -> None:
        try:
            # The new room first: who is still in the old one after a restart is moved again.
            if done["new_room_id"] is not None:
                await self._memberships.join(Requester(user_id=user_id), done["new_room_id"])
            await self._memberships.leave_for_good(user_id, room_id)
        except DatabaseError:
            raise
        except WeftError:
            done["failed_to_kick_users"].append(user_id)
        else:
            done["kicked_users"].append(user_id)

    async def _make_room(self, job: Job, done: dict[str, Any]) -> str:
        """The room in which the users are told what happened; only its maker can speak there."""
        creator: str = job.arguments["new_room_user_id"]
        version, preset = DEFAULT_ROOM_VERSION, PRESETS["public_chat"]
        plan = Plan(
            version=version,
            creator=creator,
            preset=preset,
            creation_content=create_content(version, creator, {}, ()),
            membership=await self._memberships.member_content(creator, "join"),
            power_levels=power_levels(version, creator, preset, (), {"users_default": -10}),
            name=job.arguments["room_name"],
        )

        def remember(tx: WriteTransaction, stored: Sequence[StoredEvent]) -> None:
            self._jobs.note_in(tx, job, {**done, "new_room_id": stored[0].event.room_id})

        return (await self._creation.create(version, drafts(plan), also=remember)).id

    async def _send_message(self, job: Job, room_id: str) -> None:
        creator: str = job.arguments["new_room_user_id"]
        content = {"msgtype": "m.text", "body": job.arguments["message"]}
        draft = Draft(type="m.room.message", sender=creator, content=content)
        once = TransactionKey(creator, "", f"deleted room/{room_id}", job.job_id)
        await self._engine.append.append(room_id, draft, transaction=once)

    async def _move_aliases(self, room: Room, new_room_id: str) -> list[str]:
        new = await self._engine.rooms.get(new_room_id)
        aliases = await self._engine.database.get(directory_store.aliases_of, room.number)
        await self._engine.database.write(directory_store.move_aliases, room.number, new.number)
        return aliases

    async def _tell_others(self, room: Room) -> None:
        """Waits, but not for ever, until the servers that answer have heard that we left."""
        if not self._engine.is_shared(room):
            return
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                for sender in self._senders:
                    await self._engine.followed(sender)
                # What was routed is on its way.
                await asyncio.sleep(1.0)
        except TimeoutError:
            return
