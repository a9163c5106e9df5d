"""Whose an address is, asked by its hash.

https://spec.matrix.org/v1.19/identity-service-api/#association-lookup
"""

from __future__ import annotations

from weft.protocol.api.endpoint import Api, Auth, Empty, Endpoint, Struct, identity


class GetHashDetailsResponse(Struct):
    algorithms: list[str]
    lookup_pepper: str


class LookupUsersRequest(Struct):
    addresses: list[str]
    algorithm: str
    pepper: str


class LookupUsersResponse(Struct):
    """`mappings` has those of the addresses that somebody has, as they were asked for."""

    mappings: dict[str, str]


GET_HASH_DETAILS = Endpoint(
    operation_id="getHashDetails",
    method="GET",
    paths=identity("/hash_details"),
    request=Empty,
    response=GetHashDetailsResponse,
    auth=Auth.TOKEN,
    api=Api.IDENTITY,
    max_answer=1 << 16,
)

LOOKUP_USERS_V2 = Endpoint(
    operation_id="lookupUsersV2",
    method="POST",
    paths=identity("/lookup"),
    request=LookupUsersRequest,
    response=LookupUsersResponse,
    auth=Auth.TOKEN,
    api=Api.IDENTITY,
    max_answer=1 << 16,
)

ENDPOINTS = (GET_HASH_DETAILS, LOOKUP_USERS_V2)
