"""Where two devices meet of which one is to be signed in by a QR code.

What they hand each other is encrypted; the server only keeps the last message of a session, for minutes.

https://github.com/matrix-org/matrix-spec-proposals/pull/4388
https://github.com/matrix-org/matrix-spec-proposals/pull/4108 (sessions under an address of their own, by entity tags)
"""

from __future__ import annotations

from typing import Annotated, Final

import msgspec

from weft.protocol.api.endpoint import Auth, Body, Empty, Endpoint, Header, Path, Raw, Struct
from weft.protocol.api.types import TransactionId

#: Bytes of a message.
MAX_DATA: Final = 4 << 10

_PATH: Final = "/_matrix/client/unstable/io.element.msc4388/rendezvous"
#: Sessions of MSC4108; their addresses are below.
TEXT_PATH: Final = "/_matrix/client/unstable/org.matrix.msc4108/rendezvous"

SessionId = Annotated[str, msgspec.Meta(max_length=64)]
SequenceToken = Annotated[str, msgspec.Meta(max_length=64)]


class DiscoverRendezvousResponse(Struct, omit_defaults=False):
    """Whether who asks may make sessions."""

    create_available: bool


class CreateRendezvousRequest(Struct):
    data: str


class CreateRendezvousResponse(Struct):
    id: str
    sequence_token: str
    expires_in_ms: int


class GetRendezvousRequest(Struct, kw_only=True):
    """The rest is what browsers say of where a request comes from. https://www.w3.org/TR/fetch-metadata/"""

    id: Path[SessionId]
    sec_fetch_dest: Header[str | None] = None
    sec_fetch_mode: Header[str | None] = None
    sec_fetch_site: Header[str | None] = None
    sec_fetch_user: Header[str | None] = None


class GetRendezvousResponse(Struct):
    data: str
    sequence_token: str
    expires_in_ms: int


class UpdateRendezvousRequest(Struct):
    """`sequence_token` is that of the message which this one answers."""

    id: Path[SessionId]
    sequence_token: SequenceToken
    data: str


class RepeatableUpdateRendezvousRequest(Struct):
    """With a transaction id. A repeated update is known by what it says, too."""

    id: Path[SessionId]
    txn_id: Path[TransactionId]
    sequence_token: SequenceToken
    data: str


class UpdateRendezvousResponse(Struct):
    sequence_token: str


class DeleteRendezvousRequest(Struct):
    id: Path[SessionId]


class CreateTextRendezvousRequest(Struct):
    data: Body[bytes]
    content_type: Header[str | None] = None


class GetTextRendezvousRequest(Struct, kw_only=True):
    id: Path[SessionId]
    if_none_match: Header[str | None] = None
    sec_fetch_dest: Header[str | None] = None
    sec_fetch_mode: Header[str | None] = None
    sec_fetch_site: Header[str | None] = None
    sec_fetch_user: Header[str | None] = None


class UpdateTextRendezvousRequest(Struct, kw_only=True):
    id: Path[SessionId]
    data: Body[bytes]
    content_type: Header[str | None] = None
    if_match: Header[str | None] = None


DISCOVER_RENDEZVOUS = Endpoint(
    operation_id="discoverRendezvous",
    method="GET",
    paths=(_PATH,),
    request=Empty,
    response=DiscoverRendezvousResponse,
    auth=Auth.OPTIONAL,
    rate_limit="rendezvous",
)
CREATE_RENDEZVOUS = Endpoint(
    operation_id="createRendezvous",
    method="POST",
    paths=(_PATH,),
    request=CreateRendezvousRequest,
    response=CreateRendezvousResponse,
    auth=Auth.OPTIONAL,
    rate_limit="rendezvous",
    max_body=8 * MAX_DATA,
)
GET_RENDEZVOUS = Endpoint(
    operation_id="getRendezvous",
    method="GET",
    paths=(f"{_PATH}/{{id}}",),
    request=GetRendezvousRequest,
    response=GetRendezvousResponse,
    auth=Auth.NONE,
    rate_limit="rendezvous",
)
UPDATE_RENDEZVOUS = Endpoint(
    operation_id="updateRendezvous",
    method="PUT",
    paths=(f"{_PATH}/{{id}}",),
    request=UpdateRendezvousRequest,
    response=UpdateRendezvousResponse,
    auth=Auth.NONE,
    rate_limit="rendezvous",
    max_body=8 * MAX_DATA,
)
REPEATABLE_UPDATE_RENDEZVOUS = Endpoint(
    operation_id="repeatableUpdateRendezvous",
    method="PUT",
    paths=(f"{_PATH}/{{id}}/{{txn_id}}",),
    request=RepeatableUpdateRendezvousRequest,
    response=UpdateRendezvousResponse,
    auth=Auth.NONE,
    rate_limit="rendezvous",
    max_body=8 * MAX_DATA,
)
DELETE_RENDEZVOUS = Endpoint(
    operation_id="deleteRendezvous",
    method="DELETE",
    paths=(f"{_PATH}/{{id}}",),
    request=DeleteRendezvousRequest,
    response=Empty,
    auth=Auth.NONE,
    rate_limit="rendezvous",
)
CREATE_TEXT_RENDEZVOUS = Endpoint(
    operation_id="createTextRendezvous",
    method="POST",
    paths=(TEXT_PATH,),
    request=CreateTextRendezvousRequest,
    response=Raw,
    auth=Auth.OPTIONAL,
    rate_limit="rendezvous",
    max_body=MAX_DATA,
)
GET_TEXT_RENDEZVOUS = Endpoint(
    operation_id="getTextRendezvous",
    method="GET",
    paths=(f"{TEXT_PATH}/{{id}}",),
    request=GetTextRendezvousRequest,
    response=Raw,
    auth=Auth.NONE,
    rate_limit="rendezvous",
)
UPDATE_TEXT_RENDEZVOUS = Endpoint(
    operation_id="updateTextRendezvous",
    method="PUT",
    paths=(f"{TEXT_PATH}/{{id}}",),
    request=UpdateTextRendezvousRequest,
    response=Raw,
    auth=Auth.NONE,
    rate_limit="rendezvous",
    max_body=MAX_DATA,
)
DELETE_TEXT_RENDEZVOUS = Endpoint(
    operation_id="deleteTextRendezvous",
    method="DELETE",
    paths=(f"{TEXT_PATH}/{{id}}",),
    request=DeleteRendezvousRequest,
    response=Raw,
    auth=Auth.NONE,
    rate_limit="rendezvous",
)

ENDPOINTS = (
    DISCOVER_RENDEZVOUS,
    CREATE_RENDEZVOUS,
    GET_RENDEZVOUS,
    UPDATE_RENDEZVOUS,
    REPEATABLE_UPDATE_RENDEZVOUS,
    DELETE_RENDEZVOUS,
    CREATE_TEXT_RENDEZVOUS,
    GET_TEXT_RENDEZVOUS,
    UPDATE_TEXT_RENDEZVOUS,
    DELETE_TEXT_RENDEZVOUS,
)
