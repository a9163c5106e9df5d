"""What administrators ask for and takes longer than a request. Times are milliseconds since 1970."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, field

from weft.protocol.api.endpoint import Path, Query, Struct
from weft.protocol.api.synapse_admin.declaring import JobId, Number, admin
from weft.protocol.api.synapse_admin.rooms import AdministeredRoomRequest
from weft.protocol.api.types import EventId, Reason, RoomId, UserId

Status = Literal["scheduled", "active", "complete", "failed"]


# -- deleting rooms


class DeleteRoomRequest(Struct, kw_only=True):
    """`new_room_user_id`: who makes a room to which the users are moved, with a name and a first message.

    `block`: nobody gets into the deleted room any more. `purge`: everything of it is removed; with `force_purge` also
    where somebody could not be taken out.
    """

    room_id: Path[RoomId] = field(name="roomId")
    new_room_user_id: UserId | None = None
    room_name: Annotated[str, Meta(max_length=255)] | None = None
    message: Annotated[str, Meta(max_length=16_384)] | None = None
    block: bool = False
    purge: bool = True
    force_purge: bool = False


class ShutdownRoom(Struct, omit_defaults=False):
    kicked_users: list[str]
    failed_to_kick_users: list[str]
    local_aliases: list[str]
    new_room_id: str | None


class DeleteRoomV2Response(Struct):
    delete_id: str


class DeletionRequest(Struct):
    delete_id: Path[JobId] = field(name="deleteId")


class Deletion(Struct):
    """`error` is there where it failed."""

    delete_id: str
    room_id: str
    status: Status
    shutdown_room: ShutdownRoom
    error: str | None = None


class DeletionsOfRoomResponse(Struct):
    results: list[Deletion]


# -- purging history


class PurgeHistoryRequest(Struct, kw_only=True):
    """Up to the event that is named, or to what came after a time. Messages of this server's users stay, as a rule."""

    room_id: Path[RoomId] = field(name="roomId")
    event_id: Path[EventId | None] = field(name="eventId", default=None)
    purge_up_to_event_id: EventId | None = None
    purge_up_to_ts: Number | None = None
    delete_local_events: bool = False


class PurgeHistoryResponse(Struct):
    purge_id: str


class PurgeStatusRequest(Struct):
    purge_id: Path[JobId] = field(name="purgeId")


class PurgeStatusResponse(Struct):
    status: Status
    error: str | None = None


# -- redacting what somebody sent


class RedactUserRequest(Struct, kw_only=True):
    """In these rooms, or in all that the user is in. `limit`: of how many of the newest events in each room.

    `use_admin`: in the administrator's name, and not in the user's own.
    """

    user_id: Path[UserId] = field(name="userId")
    rooms: Annotated[list[RoomId], Meta(max_length=10_000)]
    reason: Reason | None = None
    limit: Annotated[int, Meta(ge=1, le=1_000_000)] | None = None
    use_admin: bool = False
    after_ts: Number | None = None
    before_ts: Number | None = None


class RedactUserResponse(Struct):
    redact_id: str


class RedactStatusRequest(Struct):
    redact_id: Path[JobId] = field(name="redactId")


class RedactStatusResponse(Struct):
    """`failed_redactions`: why an event could not be redacted, by its id."""

    status: Literal["scheduled", "active", "completed", "failed"]
    failed_redactions: dict[str, str]
    error: str | None = None


# -- all of them


class ScheduledTasksRequest(Struct):
    action_name: Query[Annotated[str, Meta(max_length=64)] | None] = None
    resource_id: Query[Annotated[str, Meta(max_length=255)] | None] = None
    job_status: Query[Literal["scheduled", "active", "complete", "cancelled", "failed"] | None] = field(
        default=None, name="status"
    )
    max_timestamp: Query[Number | None] = None


class ScheduledTask(Struct, omit_defaults=False):
    id: str
    action: str
    status: Status
    timestamp_ms: int
    resource_id: str | None
    result: dict[str, Any] | None
    error: str | None


class ScheduledTasksResponse(Struct):
    scheduled_tasks: list[ScheduledTask]


DELETE_ROOM = admin("deleteRoom", "DELETE", "v1/rooms/{roomId}", request=DeleteRoomRequest, response=ShutdownRoom)
DELETE_ROOM_V2 = admin(
    "deleteRoomV2", "DELETE", "v2/rooms/{roomId}", request=DeleteRoomRequest, response=DeleteRoomV2Response
)
DELETION_STATUS = admin(
    "deletionStatus", "GET", "v2/rooms/delete_status/{deleteId}", request=DeletionRequest, response=Deletion
)
DELETIONS_OF_ROOM = admin(
    "deletionsOfRoom",
    "GET",
    "v2/rooms/{roomId}/delete_status",
    request=AdministeredRoomRequest,
    response=DeletionsOfRoomResponse,
)
PURGE_HISTORY = admin(
    "purgeHistory",
    "POST",
    "v1/purge_history/{roomId}",
    "v1/purge_history/{roomId}/{eventId}",
    request=PurgeHistoryRequest,
    response=PurgeHistoryResponse,
)
PURGE_STATUS = admin(
    "purgeStatus",
    "GET",
    "v1/purge_history_status/{purgeId}",
    request=PurgeStatusRequest,
    response=PurgeStatusResponse,
)
REDACT_USER = admin(
    "redactUser", "POST", "v1/user/{userId}/redact", request=RedactUserRequest, response=RedactUserResponse
)
REDACT_STATUS = admin(
    "redactStatus",
    "GET",
    "v1/user/redact_status/{redactId}",
    request=RedactStatusRequest,
    response=RedactStatusResponse,
)
SCHEDULED_TASKS = admin(
    "scheduledTasks", "GET", "v1/scheduled_tasks", request=ScheduledTasksRequest, response=ScheduledTasksResponse
)

ENDPOINTS = (
    DELETE_ROOM,
    DELETE_ROOM_V2,
    DELETION_STATUS,
    DELETIONS_OF_ROOM,
    PURGE_HISTORY,
    PURGE_STATUS,
    REDACT_USER,
    REDACT_STATUS,
    SCHEDULED_TASKS,
)
