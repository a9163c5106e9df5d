"""Redacting what a user sent: messages, and the names and reasons in their own membership.

Each redaction is an event, in the name of the user where they are of this server, else in the administrator's.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

from weft.graph.build import Draft
from weft.http.call import Requester
from weft.modules.admin.jobs import Job, Jobs
from weft.protocol.api.synapse_admin.jobs import RedactUserRequest
from weft.protocol.errors import InvalidParam, MatrixError
from weft.protocol.identifiers import is_valid_room_id, parse_user_id
from weft.protocol.power_levels import PowerLevels
from weft.rooms.engine import Engine
from weft.storage import rooms as room_store
from weft.storage.database import Transaction

ACTION: Final = "redact_all_events"
_DEFAULT_LIMIT: Final = 1_000
#: Failures that are told of.
_MAX_TOLD: Final = 1_000
_EVERY: Final = 50


class UserRedaction:
    def __init__(self, engine: Engine, jobs: Jobs) -> None:
        self._engine = engine
        self._jobs = jobs
        jobs.work[ACTION] = self._redact

    async def begin(self, requester: Requester, args: RedactUserRequest) -> str:
        """Has what a user sent redacted; returns the job's id. Raises `InvalidParam`."""
        parse_user_id(args.user_id)
        if not all(is_valid_room_id(room_id) for room_id in args.rooms):
            raise InvalidParam("There is something among the rooms that is not a room id.")
        as_admin = args.use_admin or not self._engine.is_local(args.user_id)
        arguments = {
            "rooms": args.rooms,
            "reason": args.reason,
            "limit": args.limit or _DEFAULT_LIMIT,
            "sender": requester.user_id if as_admin else args.user_id,
            "after": args.after_ts,
            "before": args.before_ts,
        }
        return await self._jobs.begin(ACTION, args.user_id, requester.user_id, arguments)

    async def _redact(self, job: Job) -> dict[str, Any]:
        failed: dict[str, str] = {}
        for room_id in job.arguments["rooms"] or await self._rooms_of(job.subject):
            row = await self._engine.database.get(room_store.by_id, room_id)
            if row is None:
                continue
            found = await self._engine.database.read(
                _sent_by,
                row.room,
                job.subject,
                int(job.arguments["limit"]),
                job.arguments["after"],
                job.arguments["before"],
            )
            if refusal := await self._refusal(job, room_id):
                failed.update(dict.fromkeys(found[: _MAX_TOLD - len(failed)], refusal))
                continue
            for number, event_id in enumerate(found, 1):
                await self._redact_one(job, room_id, event_id, failed)
                if number % _EVERY == 0:
                    await self._jobs.note(job, {"failed_redactions": failed})
                await asyncio.sleep(0)
        return {"failed_redactions": failed}

    async def _refusal(self, job: Job, room_id: str) -> str | None:
        """Why whoever is to redact may not do it in a room. Redactions are sent all the same there, and do nothing."""
        sender = job.arguments["sender"]
        room = await self._engine.rooms.find(room_id)
        if room is None or room.membership(sender) != "join":
            return f"{sender} is not in the room."
        if sender == job.subject:
            return None
        create = await self._engine.rooms.state_event(room, "m.room.create")
        levels = await self._engine.rooms.state_event(room, "m.room.power_levels")
        if create is None or (of := PowerLevels.of(levels, create, room.version)).user(sender) < of.redact:
            return f"{sender} may not redact what others sent to the room."
        return None

    async def _rooms_of(self, user_id: str) -> list[str]:
        rows = await self._engine.database.read(room_store.memberships_of_user, user_id)
        return [row.room_id for row in rows]

    async def _redact_one(self, job: Job, room_id: str, event_id: str, failed: dict[str, str]) -> None:
        content = {"reason": job.arguments["reason"]} if job.arguments["reason"] else {}
        draft = Draft(type="m.room.redaction", sender=job.arguments["sender"], content=content, redacts=event_id)
        try:
            await self._engine.append.append(room_id, draft)
        except MatrixError as error:
            if len(failed) < _MAX_TOLD:
                failed[event_id] = error.message


def _sent_by(
    tx: Transaction, room: int, sender: str, limit: int, after_ms: int | None, before_ms: int | None
) -> list[str]:
    """The newest of what somebody sent to a room and that is not redacted, the newest first."""
    rows = tx.all(
        """SELECT event_id FROM events WHERE room = :room AND sender = :sender AND outcome = 0 AND redacted_by IS NULL
             AND ((state_key IS NULL AND type <> 'm.room.redaction') OR type = 'm.room.member')
             AND origin_server_ts >= :after AND origin_server_ts <= :before
           ORDER BY depth DESC, position DESC LIMIT :limit""",
        room=room,
        sender=sender,
        limit=limit,
        after=after_ms or 0,
        before=before_ms if before_ms is not None else 1 << 62,
    )
    return [event_id for (event_id,) in rows]
