"""What a domain says about where its Matrix server is and who runs it, and what the server can do.

https://spec.matrix.org/v1.19/client-server-api/#server-discovery
https://spec.matrix.org/v1.19/server-server-api/#getwell-knownmatrixserver
"""

from __future__ import annotations

from typing import Any

from msgspec import field

from weft.protocol.api.client.voip import RtcTransport
from weft.protocol.api.endpoint import Auth, Empty, Endpoint, Struct


class Homeserver(Struct):
    base_url: str


class IdentityServer(Struct):
    base_url: str


class WellKnown(Struct):
    """Where to find the servers, as a login tells it; `rtc_foci` is where clients of today look for those of calls."""

    homeserver: Homeserver = field(name="m.homeserver")
    identity_server: IdentityServer | None = field(default=None, name="m.identity_server")
    rtc_foci: list[RtcTransport] | None = field(default=None, name="org.matrix.msc4143.rtc_foci")


class GetWellknownServerResponse(Struct):
    server: str = field(name="m.server")


class SupportContact(Struct):
    role: str
    matrix_id: str | None = None
    email_address: str | None = None


class GetWellknownPolicyResponse(Struct):
    """By the algorithm, in unpadded base64."""

    public_keys: dict[str, str]


class GetWellknownSupportResponse(Struct):
    """At least one of the two is there."""

    contacts: list[SupportContact] = field(default_factory=list)
    support_page: str | None = None


# The answer is a WellKnown and whatever keys of other projects the operator adds.
GET_WELLKNOWN: Endpoint[Empty, dict[str, Any]] = Endpoint(
    operation_id="getWellknown",
    method="GET",
    paths=("/.well-known/matrix/client",),
    request=Empty,
    response=dict[str, Any],
    auth=Auth.NONE,
)

# The Server-Server API calls this one `getWellknown` too.
GET_WELLKNOWN_SERVER = Endpoint(
    operation_id="getWellknownServer",
    method="GET",
    paths=("/.well-known/matrix/server",),
    request=Empty,
    response=GetWellknownServerResponse,
    auth=Auth.NONE,
)

GET_WELLKNOWN_SUPPORT = Endpoint(
    operation_id="getWellknownSupport",
    method="GET",
    paths=("/.well-known/matrix/support",),
    request=Empty,
    response=GetWellknownSupportResponse,
    auth=Auth.NONE,
)

GET_WELLKNOWN_POLICY = Endpoint(
    operation_id="getWellknownPolicy",
    method="GET",
    paths=("/.well-known/matrix/policy_server",),
    request=Empty,
    response=GetWellknownPolicyResponse,
    auth=Auth.NONE,
)

ENDPOINTS = (GET_WELLKNOWN, GET_WELLKNOWN_SERVER, GET_WELLKNOWN_SUPPORT, GET_WELLKNOWN_POLICY)
