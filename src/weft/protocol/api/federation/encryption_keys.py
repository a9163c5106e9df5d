"""Encryption keys of another server's users.

https://spec.matrix.org/v1.19/server-server-api/#end-to-end-encryption
"""

from __future__ import annotations

from typing import Any

from msgspec import field

from weft.protocol.api.endpoint import Api, Auth, Endpoint, Struct, federation


class ClaimUserEncryptionKeysRequest(Struct):
    """An algorithm by device id by user id."""

    one_time_keys: dict[str, dict[str, str]]


class ClaimUserEncryptionKeysResponse(Struct):
    """A key (text, or an object with signatures) by key id by device id by user id."""

    one_time_keys: dict[str, dict[str, dict[str, Any]]]


class QueryUserEncryptionKeysRequest(Struct):
    """Device ids by user id; an empty list means all of them."""

    device_keys: dict[str, list[str]]


class QueryUserEncryptionKeysResponse(Struct):
    """Signed identities of devices, by device id by user id; cross-signing keys by user id."""

    device_keys: dict[str, dict[str, dict[str, Any]]]
    master_keys: dict[str, dict[str, Any]] = field(default_factory=dict)
    self_signing_keys: dict[str, dict[str, Any]] = field(default_factory=dict)


CLAIM_USER_ENCRYPTION_KEYS = Endpoint(
    operation_id="claimUserEncryptionKeys",
    method="POST",
    paths=federation("/user/keys/claim"),
    request=ClaimUserEncryptionKeysRequest,
    response=ClaimUserEncryptionKeysResponse,
    auth=Auth.SERVER,
    rate_limit="federation",
    api=Api.FEDERATION,
    max_answer=8 << 20,
)

QUERY_USER_ENCRYPTION_KEYS = Endpoint(
    operation_id="queryUserEncryptionKeys",
    method="POST",
    paths=federation("/user/keys/query"),
    request=QueryUserEncryptionKeysRequest,
    response=QueryUserEncryptionKeysResponse,
    auth=Auth.SERVER,
    rate_limit="federation",
    api=Api.FEDERATION,
    max_answer=32 << 20,
)

ENDPOINTS = (CLAIM_USER_ENCRYPTION_KEYS, QUERY_USER_ENCRYPTION_KEYS)
