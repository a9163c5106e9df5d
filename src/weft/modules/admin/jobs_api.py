"""The endpoints of what takes longer than a request: deleting rooms, purging history, redacting what somebody sent.

https://element-hq.github.io/synapse/latest/admin_api/rooms.html#delete-room-api
https://element-hq.github.io/synapse/latest/admin_api/purge_history_api.html
"""

from __future__ import annotations

from typing import Any

import msgspec

from weft.http.call import Call, Route, route
from weft.modules.admin import history_purge, room_deletion, user_redaction
from weft.modules.admin.blocks import RoomBlocks
from weft.modules.admin.history_purge import HistoryPurge
from weft.modules.admin.jobs import COMPLETE, FAILED, Job, Jobs
from weft.modules.admin.room_deletion import RoomDeletion
from weft.modules.admin.user_redaction import UserRedaction
from weft.protocol.api.synapse_admin import jobs as api
from weft.protocol.api.synapse_admin.rooms import AdministeredRoomRequest
from weft.protocol.errors import InvalidParam, MatrixError, NotFound
from weft.protocol.identifiers import is_valid_room_id
from weft.rooms.engine import Engine


class JobsApi:
    def __init__(
        self,
        engine: Engine,
        jobs: Jobs,
        blocks: RoomBlocks,
        deletion: RoomDeletion,
        purge: HistoryPurge,
        redaction: UserRedaction,
    ) -> None:
        self._engine = engine
        self._jobs = jobs
        self._blocks = blocks
        self._deletion = deletion
        self._purge = purge
        self._redaction = redaction

    def routes(self) -> list[Route[Any, Any]]:
        return [
            route(api.DELETE_ROOM, self.delete_room),
            route(api.DELETE_ROOM_V2, self.delete_room_v2),
            route(api.DELETION_STATUS, self.deletion_status),
            route(api.DELETIONS_OF_ROOM, self.deletions_of_room),
            route(api.PURGE_HISTORY, self.purge_history),
            route(api.PURGE_STATUS, self.purge_status),
            route(api.REDACT_USER, self.redact_user),
            route(api.REDACT_STATUS, self.redact_status),
            route(api.SCHEDULED_TASKS, self.scheduled_tasks),
        ]

    # -- rooms

    async def delete_room(self, call: Call[api.DeleteRoomRequest]) -> api.ShutdownRoom:
        """Answers when the room is gone. A room that is not known can be blocked this way, too."""
        args = call.args
        try:
            job_id = await self._deletion.begin(call.requester, args)
        except NotFound:
            if not args.block:
                raise
            await self._blocks.set(args.room_id, call.user_id, True)
            return _shutdown({})
        job = await self._jobs.ended(job_id)
        if job.status == FAILED:
            raise MatrixError(job.error or "The room could not be deleted.")
        return _shutdown(job.result)

    async def delete_room_v2(self, call: Call[api.DeleteRoomRequest]) -> api.DeleteRoomV2Response:
        return api.DeleteRoomV2Response(delete_id=await self._deletion.begin(call.requester, call.args))

    async def deletion_status(self, call: Call[api.DeletionRequest]) -> api.Deletion:
        return _deletion(await self._jobs.one(call.args.delete_id, room_deletion.ACTION))

    async def deletions_of_room(self, call: Call[AdministeredRoomRequest]) -> api.DeletionsOfRoomResponse:
        if not is_valid_room_id(call.args.room_id):
            raise InvalidParam("This is not a room id.")
        found = await self._jobs.of(room_deletion.ACTION, call.args.room_id)
        if not found:
            raise NotFound(f"No delete task for room_id '{call.args.room_id}' found")
        return api.DeletionsOfRoomResponse(results=[_deletion(job) for job in found])

    # -- history

    async def purge_history(self, call: Call[api.PurgeHistoryRequest]) -> api.PurgeHistoryResponse:
        return api.PurgeHistoryResponse(purge_id=await self._purge.begin(call.requester, call.args))

    async def purge_status(self, call: Call[api.PurgeStatusRequest]) -> api.PurgeStatusResponse:
        job = await self._jobs.one(call.args.purge_id, history_purge.ACTION)
        return api.PurgeStatusResponse(status=_status(job), error=job.error)

    # -- what somebody sent

    async def redact_user(self, call: Call[api.RedactUserRequest]) -> api.RedactUserResponse:
        return api.RedactUserResponse(redact_id=await self._redaction.begin(call.requester, call.args))

    async def redact_status(self, call: Call[api.RedactStatusRequest]) -> api.RedactStatusResponse:
        job = await self._jobs.one(call.args.redact_id, user_redaction.ACTION)
        return msgspec.convert(
            {
                "status": "completed" if job.status == COMPLETE else job.status,
                "failed_redactions": job.result.get("failed_redactions", {}),
                "error": job.error,
            },
            api.RedactStatusResponse,
        )

    # -- all of them

    async def scheduled_tasks(self, call: Call[api.ScheduledTasksRequest]) -> api.ScheduledTasksResponse:
        args = call.args
        found = [
            job
            for job in await self._jobs.of(args.action_name, args.resource_id)
            if (args.job_status is None or job.status == args.job_status)
            and (args.max_timestamp is None or job.changed_ms <= args.max_timestamp)
        ]
        tasks = [
            api.ScheduledTask(
                id=job.job_id,
                action=job.action,
                status=_status(job),
                timestamp_ms=job.changed_ms,
                resource_id=job.subject,
                result=job.result or None,
                error=job.error,
            )
            for job in found
        ]
        return api.ScheduledTasksResponse(scheduled_tasks=tasks)


def _status(job: Job) -> api.Status:
    status: api.Status = msgspec.convert(job.status, api.Status)
    return status


def _deletion(job: Job) -> api.Deletion:
    return api.Deletion(
        delete_id=job.job_id,
        room_id=job.subject,
        status=_status(job),
        shutdown_room=_shutdown(job.result),
        error=job.error,
    )


def _shutdown(result: dict[str, Any]) -> api.ShutdownRoom:
    return api.ShutdownRoom(
        kicked_users=result.get("kicked_users", []),
        failed_to_kick_users=result.get("failed_to_kick_users", []),
        local_aliases=result.get("local_aliases", []),
        new_room_id=result.get("new_room_id"),
    )
