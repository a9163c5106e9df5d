"""Networks that application services lead to.

https://spec.matrix.org/v1.19/client-server-api/#third-party-networks
"""

from __future__ import annotations

from msgspec import field

from weft.protocol.api.endpoint import Auth, Empty, Endpoint, Path, Query, Struct, client
from weft.protocol.api.third_party_networks import Location, Protocol, ThirdPartyUser
from weft.protocol.api.types import RoomAlias, UserId


class ProtocolRequest(Struct):
    protocol: Path[str]


class ByProtocolRequest(Struct):
    """`fields`: each is a parameter of its own in the query, by its name."""

    protocol: Path[str]
    fields: Query[dict[str, str]] = field(default_factory=dict)


class QueryLocationByAliasRequest(Struct):
    alias: Query[RoomAlias]


class QueryUserByIdRequest(Struct):
    userid: Query[UserId]


GET_PROTOCOLS = Endpoint(
    operation_id="getProtocols",
    method="GET",
    paths=client("/thirdparty/protocols", unstable=("unstable/thirdparty/protocols",)),
    request=Empty,
    response=dict[str, Protocol],
    auth=Auth.TOKEN,
    rate_limit="lookup",
)

GET_PROTOCOL_METADATA = Endpoint(
    operation_id="getProtocolMetadata",
    method="GET",
    paths=client("/thirdparty/protocol/{protocol}", unstable=("unstable/thirdparty/protocol/{protocol}",)),
    request=ProtocolRequest,
    response=Protocol,
    auth=Auth.TOKEN,
    rate_limit="lookup",
)

QUERY_LOCATION_BY_PROTOCOL = Endpoint(
    operation_id="queryLocationByProtocol",
    method="GET",
    paths=client("/thirdparty/location/{protocol}", unstable=("unstable/thirdparty/location/{protocol}",)),
    request=ByProtocolRequest,
    response=list[Location],
    auth=Auth.TOKEN,
    rate_limit="lookup",
)

QUERY_USER_BY_PROTOCOL = Endpoint(
    operation_id="queryUserByProtocol",
    method="GET",
    paths=client("/thirdparty/user/{protocol}", unstable=("unstable/thirdparty/user/{protocol}",)),
    request=ByProtocolRequest,
    response=list[ThirdPartyUser],
    auth=Auth.TOKEN,
    rate_limit="lookup",
)

QUERY_LOCATION_BY_ALIAS = Endpoint(
    operation_id="queryLocationByAlias",
    method="GET",
    paths=client("/thirdparty/location", unstable=("unstable/thirdparty/location",)),
    request=QueryLocationByAliasRequest,
    response=list[Location],
    auth=Auth.TOKEN,
    rate_limit="lookup",
)

QUERY_USER_BY_ID = Endpoint(
    operation_id="queryUserByID",
    method="GET",
    paths=client("/thirdparty/user", unstable=("unstable/thirdparty/user",)),
    request=QueryUserByIdRequest,
    response=list[ThirdPartyUser],
    auth=Auth.TOKEN,
    rate_limit="lookup",
)

ENDPOINTS = (
    GET_PROTOCOLS,
    GET_PROTOCOL_METADATA,
    QUERY_LOCATION_BY_PROTOCOL,
    QUERY_USER_BY_PROTOCOL,
    QUERY_LOCATION_BY_ALIAS,
    QUERY_USER_BY_ID,
)
