"""The signing keys of servers: their own word, and a notary's.

A document of keys is signed, so it travels as bytes; `weft.protocol.server_keys` reads it.

https://spec.matrix.org/v1.19/server-server-api/#retrieving-server-keys
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta, field

from weft.protocol.api.endpoint import Api, Auth, Endpoint, Path, Query, Struct
from weft.protocol.api.types import ServerName, Timestamp

#: Bytes of one server's document; a server with fifty keys needs a tenth of it.
MAX_DOCUMENT = 64 << 10


class GetServerKeyRequest(Struct):
    """Old servers name a key in the path; all keys are answered in any case."""

    key_id: Path[str] = field(default="", name="keyId")


class PerspectivesKeyQueryRequest(Struct):
    """Old servers name a key in the path; all keys are answered in any case."""

    server_name: Path[ServerName] = field(name="serverName")
    key_id: Path[str] = field(default="", name="keyId")
    minimum_valid_until_ts: Query[Timestamp | None] = None


class ServerKeysResponse(Struct, omit_defaults=False):
    """Each server's own document with the notary's signature added."""

    server_keys: list[msgspec.Raw] = field(default_factory=list)


class KeyCriteria(Struct):
    minimum_valid_until_ts: Timestamp | None = None


class BulkPerspectivesKeyQueryRequest(Struct):
    """What is wanted, by key id by server name; no key id means all keys. The bound is ours."""

    server_keys: Annotated[dict[ServerName, dict[str, KeyCriteria]], Meta(max_length=100)]


GET_SERVER_KEY = Endpoint(
    operation_id="getServerKey",
    method="GET",
    paths=("/_matrix/key/v2/server", "/_matrix/key/v2/server/{keyId}"),
    request=GetServerKeyRequest,
    response=msgspec.Raw,
    auth=Auth.NONE,
    api=Api.FEDERATION,
    max_answer=MAX_DOCUMENT,
)

PERSPECTIVES_KEY_QUERY = Endpoint(
    operation_id="perspectivesKeyQuery",
    method="GET",
    paths=("/_matrix/key/v2/query/{serverName}", "/_matrix/key/v2/query/{serverName}/{keyId}"),
    request=PerspectivesKeyQueryRequest,
    response=ServerKeysResponse,
    auth=Auth.NONE,
    rate_limit="server_keys",
    api=Api.FEDERATION,
)

BULK_PERSPECTIVES_KEY_QUERY = Endpoint(
    operation_id="bulkPerspectivesKeyQuery",
    method="POST",
    paths=("/_matrix/key/v2/query",),
    request=BulkPerspectivesKeyQueryRequest,
    response=ServerKeysResponse,
    auth=Auth.NONE,
    rate_limit="server_keys",
    api=Api.FEDERATION,
    max_answer=8 << 20,
)

ENDPOINTS = (GET_SERVER_KEY, PERSPECTIVES_KEY_QUERY, BULK_PERSPECTIVES_KEY_QUERY)
