"""Requests that we make: what `encode` spells, `decode` reads back."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from weft.http.decode import RequestDecoder
from weft.http.encode import RequestEncoder
from weft.http.router import Router
from weft.protocol.api.application_service import third_party
from weft.protocol.api.endpoint import Auth, Body, Empty, Endpoint, Header, Path, Query, Struct
from weft.protocol.api.federation import backfill, events, inviting, joining, queries, transactions


class Everything(Struct):
    room_id: Path[str] = msgspec.field(name="roomId")
    event_id: Path[str] = msgspec.field(name="eventId")
    v: Query[list[str]] = msgspec.field(default_factory=list)
    limit: Query[int | None] = None
    only: Query[bool] = False
    x_trace: Header[str] = ""
    name: str = ""
    depth: int = 0


EVERYTHING: Endpoint[Any, Any] = Endpoint(
    operation_id="everything",
    method="PUT",
    paths=("/rooms/{roomId}/event/{eventId}",),
    request=Everything,
    response=Empty,
    auth=Auth.NONE,
)

TEXTS = st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=20)


@given(
    room_id=TEXTS,
    event_id=TEXTS,
    v=st.lists(TEXTS, max_size=3),
    limit=st.none() | st.integers(0, 2**60),
    only=st.booleans(),
    name=TEXTS,
    depth=st.integers(-5, 5),
)
def test_what_is_spelled_is_read_back(**values: Any) -> None:
    request = Everything(**values, x_trace="abc")
    encoded = RequestEncoder(EVERYTHING).encode(request)
    path, _, query = encoded.target.partition("?")
    assert encoded.target.isascii()
    assert not set(encoded.target) & set(" \"'<>#!$@:")
    router: Router[str] = Router()
    router.add("PUT", EVERYTHING.path, "it")
    decoder = RequestDecoder(EVERYTHING)
    found = dict(zip(decoder.path_names(EVERYTHING.path), router.find("PUT", path.encode()).values, strict=True))
    headers = [(name.encode(), value.encode()) for name, value in encoded.headers.items()]
    assert decoder.decode(found, query.encode(), headers, encoded.body or b"") == request


@pytest.mark.parametrize(
    ("endpoint", "request_", "target", "body"),
    [
        (
            backfill.BACKFILL_ROOM,
            backfill.BackfillRoomRequest(room_id="!r:a", v=["$1", "$2/3"], limit=5),
            "/_matrix/federation/v1/backfill/%21r%3Aa?v=%241&v=%242%2F3&limit=5",
            None,
        ),
        (
            joining.SEND_JOIN_V2,
            joining.SendJoinV2Request(room_id="!r", event_id="$e", omit_members=True, event=msgspec.Raw(b'{"a":1}')),
            "/_matrix/federation/v2/send_join/%21r/%24e?omit_members=true",
            b'{"a":1}',
        ),
        (
            transactions.SEND_TRANSACTION,
            transactions.SendTransactionRequest(txn_id="1", origin="a", origin_server_ts=2, pdus=[msgspec.Raw(b"{}")]),
            "/_matrix/federation/v1/send/1",
            b'{"origin":"a","origin_server_ts":2,"pdus":[{}],"edus":[]}',
        ),
        (
            inviting.SEND_INVITE_V2,
            inviting.SendInviteV2Request(room_id="!r", event_id="$e", room_version="12", event=msgspec.Raw(b"{}")),
            "/_matrix/federation/v2/invite/%21r/%24e",
            b'{"room_version":"12","event":{}}',
        ),
        (
            queries.QUERY_PROFILE,
            queries.QueryProfileRequest(user_id="@a b:c"),
            "/_matrix/federation/v1/query/profile?user_id=%40a%20b%3Ac",
            None,
        ),
        (
            events.GET_EVENT,
            events.GetEventRequest(event_id="$é"),
            "/_matrix/federation/v1/event/%24%C3%A9",
            None,
        ),
    ],
)
def test_how_it_is_spelled(endpoint: Any, request_: Any, target: str, body: bytes | None) -> None:
    assert RequestEncoder(endpoint).encode(request_)[::2] == (target, body)


def test_a_body_as_it_is() -> None:
    class Upload(Struct):
        content: Body[bytes]

    upload: Endpoint[Any, Any] = Endpoint(
        operation_id="upload", method="POST", paths=("/upload",), request=Upload, response=Empty, auth=Auth.NONE
    )
    assert RequestEncoder(upload).encode(Upload(content=b"\x00\xff")).body == b"\x00\xff"


def test_a_mapping_is_spelled_as_parameters_of_their_own() -> None:
    request = third_party.ByProtocolRequest(protocol="irc", fields={"channel": "#x y", "network": "libera"})
    encoded = RequestEncoder(third_party.QUERY_LOCATION_BY_PROTOCOL).encode(request)
    assert encoded.target == "/_matrix/app/v1/thirdparty/location/irc?channel=%23x%20y&network=libera"
