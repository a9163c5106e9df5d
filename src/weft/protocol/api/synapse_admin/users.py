"""Accounts, as administrators see and change them.

Times are milliseconds since 1970.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType, field

from weft.protocol.api.client.pushers import Pusher
from weft.protocol.api.client.registration import Username
from weft.protocol.api.endpoint import Empty, Path, Query, Raw, Struct
from weft.protocol.api.synapse_admin.declaring import Number, PageLimit, SearchTerm, admin
from weft.protocol.api.types import DisplayName, Password, UserId

UserOrder = Literal[
    "name",
    "is_guest",
    "admin",
    "user_type",
    "deactivated",
    "shadow_banned",
    "displayname",
    "avatar_url",
    "creation_ts",
    "last_seen_ts",
    "locked",
    "suspended",
]
UserType = Annotated[str, Meta(max_length=64)]
AvatarUrl = Annotated[str, Meta(max_length=1_000)]


class ListUsersRequest(Struct, kw_only=True):
    """`from_` is the `next_token` of the page before. `name` looks in names and localparts, `user_id` in whole ids."""

    from_: Query[Number] = field(default=0, name="from")
    limit: Query[PageLimit] = 100
    user_id: Query[SearchTerm | None] = None
    name: Query[SearchTerm | None] = None
    guests: Query[bool] = True
    admins: Query[bool | None] = None
    deactivated: Query[bool | None] = None
    locked: Query[bool] = False
    not_user_type: Query[Annotated[list[UserType], Meta(max_length=16)]] = field(default_factory=list)
    order_by: Query[UserOrder] = "name"
    dir: Query[Literal["f", "b"]] = "f"


class ListedUser(Struct, omit_defaults=False):
    name: str
    user_type: str | None
    is_guest: bool
    admin: bool
    deactivated: bool
    erased: bool
    shadow_banned: bool
    displayname: str | None
    avatar_url: str | None
    creation_ts: int
    last_seen_ts: int | None
    locked: bool
    suspended: bool


class ListUsersResponse(Struct):
    """`next_token` is absent on the last page."""

    users: list[ListedUser]
    total: int
    next_token: str | None = None


class AdministeredUserRequest(Struct):
    user_id: Path[UserId] = field(name="userId")


class Threepid(Struct):
    medium: Literal["email", "msisdn"]
    address: Annotated[str, Meta(max_length=500)]


class KeptThreepid(Struct):
    """Times are milliseconds since 1970."""

    medium: str
    address: str
    validated_at: int
    added_at: int


class FindUserByThreepidRequest(Struct):
    medium: Path[str]
    address: Path[Annotated[str, Meta(max_length=500)]]


class FoundUser(Struct):
    user_id: str


class ExternalId(Struct):
    auth_provider: Annotated[str, Meta(max_length=255)]
    external_id: Annotated[str, Meta(max_length=255)]


class FindUserByExternalIdRequest(Struct):
    provider: Path[Annotated[str, Meta(max_length=255)]]
    external_id: Path[Annotated[str, Meta(max_length=255)]] = field(name="externalId")


class UserPushersResponse(Struct):
    pushers: list[Pusher]
    total: int


class UserDetails(ListedUser, omit_defaults=False):
    """What is kept of an account. Fields of Synapse's that stand for nothing here are null or empty."""

    threepids: list[KeptThreepid]
    external_ids: list[ExternalId]
    appservice_id: None = None
    consent_server_notice_sent: None = None
    consent_version: None = None
    consent_ts: None = None


class PutUserRequest(Struct, kw_only=True):
    """What is absent stays as it is. An empty `displayname` or `avatar_url` takes it away."""

    user_id: Path[UserId] = field(name="userId")
    password: Password | None = None
    logout_devices: bool = True
    displayname: DisplayName | None = None
    avatar_url: AvatarUrl | None = None
    admin: bool | None = None
    deactivated: bool | None = None
    locked: bool | None = None
    suspended: bool | None = None
    user_type: UserType | UnsetType | None = UNSET
    threepids: Annotated[list[Threepid], Meta(max_length=50)] | None = None
    external_ids: Annotated[list[ExternalId], Meta(max_length=50)] | None = None


class DeactivateUserRequest(Struct):
    user_id: Path[UserId] = field(name="userId")
    erase: bool = False


class DeactivateUserResponse(Struct):
    id_server_unbind_result: Literal["success", "no-support"]


class ResetUserPasswordRequest(Struct, kw_only=True):
    user_id: Path[UserId] = field(name="userId")
    new_password: Password
    logout_devices: bool = True


class AdminFlag(Struct):
    admin: bool


class SetUserAdminRequest(Struct):
    user_id: Path[UserId] = field(name="userId")
    admin: bool


class SuspendUserRequest(Struct):
    user_id: Path[UserId] = field(name="userId")
    suspend: bool


class LoginAsUserRequest(Struct):
    """`valid_until_ms`: until when the token is good; without it, until it is logged out."""

    user_id: Path[UserId] = field(name="userId")
    valid_until_ms: Number | None = None


class LoginAsUserResponse(Struct):
    access_token: str


class CheckUsernameFreeRequest(Struct):
    username: Query[Username]


class CheckUsernameFreeResponse(Struct):
    available: bool


class UserJoinedRoomsResponse(Struct):
    joined_rooms: list[str]
    total: int


class UserMembershipsResponse(Struct):
    """By room id."""

    memberships: dict[str, str]


class UserAccountData(Struct):
    """Content by type; of rooms, by room id first."""

    global_: dict[str, msgspec.Raw] = field(name="global")
    rooms: dict[str, dict[str, msgspec.Raw]]


class UserAccountDataResponse(Struct):
    account_data: UserAccountData


class CountSinceRequest(Struct):
    user_id: Path[UserId] = field(name="userId")
    from_ts: Query[Number]


class SentInviteCountResponse(Struct):
    invite_count: int


class JoinedRoomCountResponse(Struct):
    cumulative_joined_room_count: int


class SetRatelimitOverrideRequest(Struct):
    """Both 0: no limit at all."""

    user_id: Path[UserId] = field(name="userId")
    messages_per_second: Number = 0
    burst_count: Number = 0


class RatelimitOverride(Struct):
    """Nothing is set where both are absent."""

    messages_per_second: int | None = None
    burst_count: int | None = None


LIST_USERS = admin("listUsers", "GET", "v2/users", request=ListUsersRequest, response=ListUsersResponse)
LIST_USERS_V3 = admin("listUsersV3", "GET", "v3/users", request=ListUsersRequest, response=ListUsersResponse)
GET_USER = admin("getUser", "GET", "v2/users/{userId}", request=AdministeredUserRequest, response=UserDetails)
PUT_USER = admin("putUser", "PUT", "v2/users/{userId}", request=PutUserRequest, response=Raw)
DEACTIVATE_USER = admin(
    "deactivateUser",
    "POST",
    "v1/deactivate/{userId}",
    request=DeactivateUserRequest,
    response=DeactivateUserResponse,
)
RESET_USER_PASSWORD = admin(
    "resetUserPassword", "POST", "v1/reset_password/{userId}", request=ResetUserPasswordRequest, response=Empty
)
GET_USER_ADMIN = admin(
    "getUserAdmin", "GET", "v1/users/{userId}/admin", request=AdministeredUserRequest, response=AdminFlag
)
SET_USER_ADMIN = admin("setUserAdmin", "PUT", "v1/users/{userId}/admin", request=SetUserAdminRequest, response=Empty)
SUSPEND_USER = admin("suspendUser", "PUT", "v1/suspend/{userId}", request=SuspendUserRequest, response=Raw)
LOGIN_AS_USER = admin(
    "loginAsUser", "POST", "v1/users/{userId}/login", request=LoginAsUserRequest, response=LoginAsUserResponse
)
FIND_USER_BY_THREEPID = admin(
    "findUserByThreepid",
    "GET",
    "v1/threepid/{medium}/users/{address}",
    request=FindUserByThreepidRequest,
    response=FoundUser,
)
FIND_USER_BY_EXTERNAL_ID = admin(
    "findUserByExternalId",
    "GET",
    "v1/auth_providers/{provider}/users/{externalId}",
    request=FindUserByExternalIdRequest,
    response=FoundUser,
)
LIST_USER_PUSHERS = admin(
    "listUserPushers",
    "GET",
    "v1/users/{userId}/pushers",
    request=AdministeredUserRequest,
    response=UserPushersResponse,
)
CHECK_USERNAME_FREE = admin(
    "checkUsernameFree",
    "GET",
    "v1/username_available",
    request=CheckUsernameFreeRequest,
    response=CheckUsernameFreeResponse,
)
USER_JOINED_ROOMS = admin(
    "userJoinedRooms",
    "GET",
    "v1/users/{userId}/joined_rooms",
    request=AdministeredUserRequest,
    response=UserJoinedRoomsResponse,
)
USER_MEMBERSHIPS = admin(
    "userMemberships",
    "GET",
    "v1/users/{userId}/memberships",
    request=AdministeredUserRequest,
    response=UserMembershipsResponse,
)
USER_ACCOUNT_DATA = admin(
    "userAccountData",
    "GET",
    "v1/users/{userId}/accountdata",
    request=AdministeredUserRequest,
    response=UserAccountDataResponse,
)
SENT_INVITE_COUNT = admin(
    "sentInviteCount",
    "GET",
    "v1/users/{userId}/sent_invite_count",
    request=CountSinceRequest,
    response=SentInviteCountResponse,
)
JOINED_ROOM_COUNT = admin(
    "joinedRoomCount",
    "GET",
    "v1/users/{userId}/cumulative_joined_room_count",
    request=CountSinceRequest,
    response=JoinedRoomCountResponse,
)
_RATELIMIT = "v1/users/{userId}/override_ratelimit"
GET_RATELIMIT_OVERRIDE = admin(
    "getRatelimitOverride", "GET", _RATELIMIT, request=AdministeredUserRequest, response=RatelimitOverride
)
SET_RATELIMIT_OVERRIDE = admin(
    "setRatelimitOverride", "POST", _RATELIMIT, request=SetRatelimitOverrideRequest, response=RatelimitOverride
)
DELETE_RATELIMIT_OVERRIDE = admin(
    "deleteRatelimitOverride", "DELETE", _RATELIMIT, request=AdministeredUserRequest, response=Empty
)

ENDPOINTS = (
    LIST_USERS,
    LIST_USERS_V3,
    GET_USER,
    PUT_USER,
    FIND_USER_BY_THREEPID,
    FIND_USER_BY_EXTERNAL_ID,
    LIST_USER_PUSHERS,
    DEACTIVATE_USER,
    RESET_USER_PASSWORD,
    GET_USER_ADMIN,
    SET_USER_ADMIN,
    SUSPEND_USER,
    LOGIN_AS_USER,
    CHECK_USERNAME_FREE,
    USER_JOINED_ROOMS,
    USER_MEMBERSHIPS,
    USER_ACCOUNT_DATA,
    SENT_INVITE_COUNT,
    JOINED_ROOM_COUNT,
    GET_RATELIMIT_OVERRIDE,
    SET_RATELIMIT_OVERRIDE,
    DELETE_RATELIMIT_OVERRIDE,
)
