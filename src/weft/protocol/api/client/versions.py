"""Which versions of the specification the server speaks.

https://spec.matrix.org/v1.19/client-server-api/#api-versions
"""

from __future__ import annotations

from msgspec import field

from weft.protocol.api.endpoint import Auth, Empty, Endpoint, Struct


class GetVersionsResponse(Struct):
    """What a user may use of the unstable features may depend on who asks."""

    versions: list[str]
    unstable_features: dict[str, bool] = field(default_factory=dict)


GET_VERSIONS = Endpoint(
    operation_id="getVersions",
    method="GET",
    paths=("/_matrix/client/versions",),
    request=Empty,
    response=GetVersionsResponse,
    auth=Auth.OPTIONAL,
)

ENDPOINTS = (GET_VERSIONS,)
