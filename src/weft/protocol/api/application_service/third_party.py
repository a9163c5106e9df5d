"""https://spec.matrix.org/v1.19/application-service-api/#third-party-networks"""

from __future__ import annotations

from msgspec import field

from weft.protocol.api.endpoint import Api, Auth, Endpoint, Path, Query, Struct, application_service
from weft.protocol.api.third_party_networks import Location, Protocol, ThirdPartyUser
from weft.protocol.api.types import RoomAlias, UserId

_OLD = "/_matrix/app/unstable"


class ProtocolRequest(Struct):
    protocol: Path[str]


class ByProtocolRequest(Struct):
    """`fields`: each is a parameter of its own in the query, by its name."""

    protocol: Path[str]
    fields: Query[dict[str, str]] = field(default_factory=dict)


class ByAliasRequest(Struct):
    alias: Query[RoomAlias]


class ByUserRequest(Struct):
    userid: Query[UserId]


GET_PROTOCOL_METADATA = Endpoint(
    operation_id="getProtocolMetadata",
    method="GET",
    paths=application_service("/thirdparty/protocol/{protocol}", before=f"{_OLD}/thirdparty/protocol/{{protocol}}"),
    request=ProtocolRequest,
    response=Protocol,
    auth=Auth.HS_TOKEN,
    api=Api.APPLICATION_SERVICE,
)

QUERY_USER_BY_PROTOCOL = Endpoint(
    operation_id="queryUserByProtocol",
    method="GET",
    paths=application_service("/thirdparty/user/{protocol}", before=f"{_OLD}/thirdparty/user/{{protocol}}"),
    request=ByProtocolRequest,
    response=list[ThirdPartyUser],
    auth=Auth.HS_TOKEN,
    api=Api.APPLICATION_SERVICE,
)

QUERY_LOCATION_BY_PROTOCOL = Endpoint(
    operation_id="queryLocationByProtocol",
    method="GET",
    paths=application_service("/thirdparty/location/{protocol}", before=f"{_OLD}/thirdparty/location/{{protocol}}"),
    request=ByProtocolRequest,
    response=list[Location],
    auth=Auth.HS_TOKEN,
    api=Api.APPLICATION_SERVICE,
)

QUERY_LOCATION_BY_ALIAS = Endpoint(
    operation_id="queryLocationByAlias",
    method="GET",
    paths=application_service("/thirdparty/location", before=f"{_OLD}/thirdparty/location"),
    request=ByAliasRequest,
    response=list[Location],
    auth=Auth.HS_TOKEN,
    api=Api.APPLICATION_SERVICE,
)

QUERY_USER_BY_ID = Endpoint(
    operation_id="queryUserByID",
    method="GET",
    paths=application_service("/thirdparty/user", before=f"{_OLD}/thirdparty/user"),
    request=ByUserRequest,
    response=list[ThirdPartyUser],
    auth=Auth.HS_TOKEN,
    api=Api.APPLICATION_SERVICE,
)

ENDPOINTS = (
    GET_PROTOCOL_METADATA,
    QUERY_USER_BY_PROTOCOL,
    QUERY_LOCATION_BY_PROTOCOL,
    QUERY_LOCATION_BY_ALIAS,
    QUERY_USER_BY_ID,
)
