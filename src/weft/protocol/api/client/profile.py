"""Profiles: names, pictures and any other field.

https://spec.matrix.org/v1.19/client-server-api/#profiles
"""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta, field

from weft.protocol.api.endpoint import Auth, Body, Empty, Endpoint, Path, Struct, client
from weft.protocol.api.types import UserId

#: The key of a field. A name of more than 255 bytes is refused with an error of its own, so the bound here is wider.
KeyName = Annotated[str, Meta(min_length=1, max_length=1024)]


class GetUserProfileRequest(Struct):
    user_id: Path[UserId] = field(name="userId")


class ProfileFieldRequest(Struct):
    user_id: Path[UserId] = field(name="userId")
    key_name: Path[KeyName] = field(name="keyName")


class SetProfileFieldRequest(Struct):
    """The body has one key, `key_name`, with the field's new value."""

    user_id: Path[UserId] = field(name="userId")
    key_name: Path[KeyName] = field(name="keyName")
    value: Body[dict[str, Any]]


# Profiles are free-form: any server may have fields that we have never heard of.
GET_USER_PROFILE: Endpoint[GetUserProfileRequest, dict[str, Any]] = Endpoint(
    operation_id="getUserProfile",
    method="GET",
    paths=client("/profile/{userId}", unstable=("unstable/uk.tcpip.msc4133/profile/{userId}",)),
    request=GetUserProfileRequest,
    response=dict[str, Any],
    auth=Auth.NONE,
    rate_limit="lookup",
)

PROFILE_FIELD_PATHS = client(
    "/profile/{userId}/{keyName}", unstable=("unstable/uk.tcpip.msc4133/profile/{userId}/{keyName}",)
)

GET_PROFILE_FIELD: Endpoint[ProfileFieldRequest, dict[str, Any]] = Endpoint(
    operation_id="getProfileField",
    method="GET",
    paths=PROFILE_FIELD_PATHS,
    request=ProfileFieldRequest,
    response=dict[str, Any],
    auth=Auth.NONE,
    rate_limit="lookup",
)

# Guests may set and delete their display name alone; the profile module checks that.
SET_PROFILE_FIELD = Endpoint(
    operation_id="setProfileField",
    method="PUT",
    paths=PROFILE_FIELD_PATHS,
    request=SetProfileFieldRequest,
    response=Empty,
    auth=Auth.GUEST,
    rate_limit="profile",
)

DELETE_PROFILE_FIELD = Endpoint(
    operation_id="deleteProfileField",
    method="DELETE",
    paths=PROFILE_FIELD_PATHS,
    request=ProfileFieldRequest,
    response=Empty,
    auth=Auth.GUEST,
    rate_limit="profile",
)

ENDPOINTS = (GET_USER_PROFILE, GET_PROFILE_FIELD, SET_PROFILE_FIELD, DELETE_PROFILE_FIELD)
