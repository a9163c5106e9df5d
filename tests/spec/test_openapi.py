"""The check of answers itself: it lets the specification's own examples pass, and nothing that is wrong."""

from __future__ import annotations

import pytest
from tests.spec import openapi

pytestmark = pytest.mark.skipif(
    not openapi.available(), reason="the specification's files are not here (WEFT_SPEC names their folder)"
)

APIS = sorted({row["api"] for row in openapi.rows()}) if openapi.available() else []


def test_all_operations_load_with_their_references_resolved() -> None:
    for api in APIS:
        for operation in openapi.operations(api):
            assert any(status[0] in "23" for status in operation.responses)
            assert not any(map(has_reference, (operation.body, *operation.responses.values())))
    assert len(openapi.rows()) == 235


def has_reference(schema: object) -> bool:
    if isinstance(schema, list):
        return any(map(has_reference, schema))
    if not isinstance(schema, dict):
        return False
    return "$ref" in schema or any(has_reference(value) for key, value in schema.items() if "example" not in key)


@pytest.mark.parametrize("api", APIS)
def test_the_specifications_examples_are_valid(api: str) -> None:
    for operation in openapi.operations(api):
        for status, examples in operation.examples.items():
            for example in examples if status[0] == "2" else ():
                openapi.validate_response(operation.operation_id, int(status), example, api)


EVENT = {
    "type": "m.room.message",
    "content": {"body": "hello"},
    "event_id": "$event",
    "room_id": "!room:example.org",
    "sender": "@alice:example.org",
    "origin_server_ts": 1,
}


@pytest.mark.parametrize(
    ("operation_id", "status", "answer"),
    [
        ("createRoom", 200, {"room_id": "!room:example.org"}),
        ("createRoom", 200, {"room_id": "!31hneApxJ_1o-63DmFrpeqnkFfWppnzWso1JvH3ogLM"}),
        ("getOneRoomEvent", 200, EVENT),
        ("getPresence", 200, {"presence": "online", "status_msg": None}),
        ("getRoomEvents", 200, {"start": "a", "chunk": [EVENT]}),
        ("sync", 200, {"next_batch": "s1", "rooms": {"join": {"!room:example.org": {"timeline": {"events": []}}}}}),
        ("login", 403, {"errcode": "M_FORBIDDEN", "error": "no"}),
        ("logout", 401, {"flows": [{"stages": ["m.login.dummy"]}], "session": "abc", "params": {}}),
        ("logout", 404, {"errcode": "M_UNRECOGNIZED", "error": "no"}),
        ("login", 500, {"errcode": "M_UNKNOWN", "error": "no"}),
        ("sharedSecretRegister", 200, "whatever is not in the specification"),
    ],
)
def test_right_answers_pass(operation_id: str, status: int, answer: object) -> None:
    openapi.validate_response(operation_id, status, answer)


@pytest.mark.parametrize(
    ("operation_id", "status", "answer", "message"),
    [
        ("createRoom", 200, {}, "'room_id' is a required property"),
        ("createRoom", 200, {"room_id": "room"}, "is not a 'mx-room-id'"),
        ("getTokenOwner", 200, {"user_id": "@alice"}, "is not a 'mx-user-id'"),
        ("getOneRoomEvent", 200, {**EVENT, "origin_server_ts": "1"}, "is not of type 'integer'"),
        ("getOneRoomEvent", 200, {key: EVENT[key] for key in EVENT if key != "room_id"}, "'room_id' is a required"),
        ("getRoomEvents", 200, {"start": "a", "chunk": [{**EVENT, "sender": 1}]}, r"at \$\.chunk\[0\]\.sender"),
        ("getRoomState", 200, {}, "is not of type 'array'"),
        ("sync", 200, {"next_batch": "s1", "rooms": {"join": {"!a:b": {"timeline": {}}}}}, "'events' is a required"),
        ("login", 403, {"errcode": "M_FORBIDDEN"}, "'error' is a required property"),
        ("logout", 404, {"errcode": "not found", "error": "no"}, "does not match"),
        ("login", 500, {}, "'errcode' is a required property"),
        ("sharedSecretRegister", 400, {}, "'errcode' is a required property"),
    ],
)
def test_wrong_answers_fail(operation_id: str, status: int, answer: object, message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        openapi.validate_response(operation_id, status, answer)
