"""What the server lets this user do.

https://spec.matrix.org/v1.19/client-server-api/#capabilities-negotiation
"""

from __future__ import annotations

from typing import Literal

from msgspec import field

from weft.protocol.api.endpoint import Auth, Empty, Endpoint, Struct, client


class BooleanCapability(Struct):
    enabled: bool


class RoomVersionsCapability(Struct):
    default: str
    available: dict[str, Literal["stable", "unstable"]]


class ProfileFieldsCapability(Struct):
    """Without `allowed` every field may be set, but those that are `disallowed`."""

    enabled: bool
    allowed: list[str] | None = None
    disallowed: list[str] | None = None


class AccountModerationCapability(Struct):
    suspend: bool = False
    lock: bool = False


class Capabilities(Struct):
    change_password: BooleanCapability | None = field(default=None, name="m.change_password")
    room_versions: RoomVersionsCapability | None = field(default=None, name="m.room_versions")
    set_displayname: BooleanCapability | None = field(default=None, name="m.set_displayname")
    set_avatar_url: BooleanCapability | None = field(default=None, name="m.set_avatar_url")
    threepid_changes: BooleanCapability | None = field(default=None, name="m.3pid_changes")
    get_login_token: BooleanCapability | None = field(default=None, name="m.get_login_token")
    forget_forced_upon_leave: BooleanCapability | None = field(default=None, name="m.forget_forced_upon_leave")
    profile_fields: ProfileFieldsCapability | None = field(default=None, name="m.profile_fields")
    account_moderation: AccountModerationCapability | None = field(default=None, name="m.account_moderation")


class GetCapabilitiesResponse(Struct):
    capabilities: Capabilities


GET_CAPABILITIES = Endpoint(
    operation_id="getCapabilities",
    method="GET",
    paths=client("/capabilities"),
    request=Empty,
    response=GetCapabilitiesResponse,
    auth=Auth.SUSPENDED,
    rate_limit="lookup",
)

ENDPOINTS = (GET_CAPABILITIES,)
