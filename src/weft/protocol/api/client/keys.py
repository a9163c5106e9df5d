"""Keys for end-to-end encryption: uploaded, asked for, claimed, and signed by other keys.

What is inside a key is signed by who made it, so it travels as it is.

https://spec.matrix.org/v1.19/client-server-api/#end-to-end-encryption
"""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta, field

from weft.protocol.api.endpoint import Auth, Body, Empty, Endpoint, Query, Struct, client
from weft.protocol.api.types import DeviceId, Milliseconds, StreamToken, UserId

#: The name of an algorithm; the bound is ours.
Algorithm = Annotated[str, Meta(max_length=255)]
Json = dict[str, Any]


class UploadKeysRequest(Struct):
    """One-time and fallback keys are named `<algorithm>:<key id>`."""

    device_keys: Json | None = None
    one_time_keys: Json | None = None
    fallback_keys: Json | None = None


class UploadKeysResponse(Struct):
    """How many one-time keys the device has here, by algorithm."""

    one_time_key_counts: dict[str, int]


class QueryKeysRequest(Struct):
    """Device ids by user id, an empty list for all of them. `timeout` is for other servers' answers."""

    device_keys: dict[UserId, list[DeviceId]]
    timeout: Milliseconds = 10_000


class QueryKeysResponse(Struct):
    """`failures` are by the names of servers; all else is by user id, `device_keys` by device id below that.

    All is sent, also where there is nothing: matrix-nio takes no answer that leaves `failures` out.
    """

    device_keys: dict[str, dict[str, Json]]
    failures: dict[str, Json]
    master_keys: dict[str, Json]
    self_signing_keys: dict[str, Json]
    user_signing_keys: dict[str, Json]


class ClaimKeysRequest(Struct):
    """An algorithm by device id by user id. `timeout` is for other servers' answers."""

    one_time_keys: dict[UserId, dict[DeviceId, Algorithm]]
    timeout: Milliseconds = 10_000


class ClaimKeysResponse(Struct):
    """A key (text, or an object with signatures) by `<algorithm>:<key id>` by device id by user id."""

    one_time_keys: dict[str, dict[str, dict[str, Any]]]
    failures: dict[str, Json]


class GetKeysChangesRequest(Struct):
    """Both are tokens of `/sync`."""

    from_: Query[StreamToken] = field(name="from")
    to: Query[StreamToken]


class GetKeysChangesResponse(Struct):
    """Users whose devices changed, and users with whom no room is shared any more."""

    changed: list[str]
    left: list[str]


class UploadCrossSigningKeysRequest(Struct):
    """`auth` is the data of user-interactive authentication, whose keys depend on its stage."""

    master_key: Json | None = None
    self_signing_key: Json | None = None
    user_signing_key: Json | None = None
    auth: Json | None = None


class UploadCrossSigningSignaturesRequest(Struct):
    """Signed keys by device id or public key by user id."""

    signed: Body[dict[UserId, dict[str, Json]]]


class UploadCrossSigningSignaturesResponse(Struct):
    """An error by device id or public key by user id."""

    failures: dict[str, dict[str, Json]]


UPLOAD_KEYS = Endpoint(
    operation_id="uploadKeys",
    method="POST",
    paths=client("/keys/upload", unstable=("unstable/keys/upload",)),
    request=UploadKeysRequest,
    response=UploadKeysResponse,
    auth=Auth.GUEST_SUSPENDED,
    rate_limit="settings",
)

QUERY_KEYS = Endpoint(
    operation_id="queryKeys",
    method="POST",
    paths=client("/keys/query", unstable=("unstable/keys/query",)),
    request=QueryKeysRequest,
    response=QueryKeysResponse,
    auth=Auth.GUEST_SUSPENDED,
    rate_limit="lookup",
)

CLAIM_KEYS = Endpoint(
    operation_id="claimKeys",
    method="POST",
    paths=client("/keys/claim", unstable=("unstable/keys/claim",)),
    request=ClaimKeysRequest,
    response=ClaimKeysResponse,
    auth=Auth.GUEST_SUSPENDED,
    rate_limit="lookup",
)

GET_KEYS_CHANGES = Endpoint(
    operation_id="getKeysChanges",
    method="GET",
    paths=client("/keys/changes", unstable=("unstable/keys/changes",)),
    request=GetKeysChangesRequest,
    response=GetKeysChangesResponse,
    auth=Auth.GUEST_SUSPENDED,
    rate_limit="lookup",
)

UPLOAD_CROSS_SIGNING_KEYS = Endpoint(
    operation_id="uploadCrossSigningKeys",
    method="POST",
    paths=client("/keys/device_signing/upload", unstable=("unstable/keys/device_signing/upload",)),
    request=UploadCrossSigningKeysRequest,
    response=Empty,
    auth=Auth.SUSPENDED,
    rate_limit="settings",
)

UPLOAD_CROSS_SIGNING_SIGNATURES = Endpoint(
    operation_id="uploadCrossSigningSignatures",
    method="POST",
    paths=client("/keys/signatures/upload", unstable=("unstable/keys/signatures/upload",)),
    request=UploadCrossSigningSignaturesRequest,
    response=UploadCrossSigningSignaturesResponse,
    auth=Auth.SUSPENDED,
    rate_limit="settings",
)

ENDPOINTS = (
    UPLOAD_KEYS,
    QUERY_KEYS,
    CLAIM_KEYS,
    GET_KEYS_CHANGES,
    UPLOAD_CROSS_SIGNING_KEYS,
    UPLOAD_CROSS_SIGNING_SIGNATURES,
)
