"""Asking a room's policy server to vouch for an event.

https://spec.matrix.org/v1.19/server-server-api/#policy-servers
"""

from __future__ import annotations

from weft.protocol.api.endpoint import Api, Auth, Body, Endpoint, Struct
from weft.protocol.api.federation.types import MAX_ONE_EVENT, Pdu


class AskPolicyServerToSignRequest(Struct):
    """`event` is the whole body."""

    event: Body[Pdu]


ASK_POLICY_SERVER_TO_SIGN = Endpoint(
    operation_id="askPolicyServerToSign",
    method="POST",
    paths=("/_matrix/policy/v1/sign",),
    request=AskPolicyServerToSignRequest,
    # The policy server's signature: by key id by server name.
    response=dict[str, dict[str, str]],
    auth=Auth.SERVER,
    rate_limit="federation",
    api=Api.FEDERATION,
    max_body=MAX_ONE_EVENT,
)

ENDPOINTS = (ASK_POLICY_SERVER_TO_SIGN,)
