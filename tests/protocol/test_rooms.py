"""The drawings themselves: what a line of text becomes."""

from __future__ import annotations

import pytest

from tests.protocol.rooms import draw
from weft.protocol.event_auth import authorise, check_auth_events
from weft.protocol.room_versions import ROOM_VERSIONS

PARTY = """
    create                alice create
    alice   <- create     alice join
    power   <- alice      alice power {"bob@b": 50}
    public  <- power      alice rule:public
    bob     <- public     bob@b join
    topic   <- bob        bob@b m.room.topic/ {"topic": "Weaving"}
    # two who do not know of each other
    ban     <- topic      alice ban:eve@e
    hello   <- topic      bob@b message
    merge   <- ban,hello  alice message {"body": "both"} ts=99
"""


@pytest.mark.parametrize("version", ROOM_VERSIONS)
def test_a_drawn_room_keeps_the_rules(version: str) -> None:
    drawing = PARTY if version == "12" else PARTY.replace('{"bob@b"', '{"alice": 100, "bob@b"')
    room = draw(version, drawing)
    create = room["create"]
    for name, event in room.events.items():
        before = room.state_after(*room.names(event.prev_events))
        authorise(event, before.get)
        check_auth_events(event, [room.by_id()[event_id] for event_id in event.auth_events], create)
        assert event.room_id == create.room_id
        assert room.name(event) == name


def test_what_a_line_says() -> None:
    room = draw("10", PARTY)
    assert room["create"].content == {"room_version": "10", "creator": "@alice:a"}
    assert room["ban"].key == ("m.room.member", "@eve:e")
    assert room["power"].content == {"users": {"@bob:b": 50}}
    assert room["merge"].origin_server_ts == 99
    assert room["merge"].depth == 8
    assert room.names(room["merge"].prev_events) == ["ban", "hello"]
    assert room.names(room["hello"].auth_events) == ["create", "power", "bob"]
    assert draw("2", PARTY)["bob"].event_id == "$bob:b"
    assert draw("12", PARTY)["bob"].room_id == "!create"


def test_auth_events_can_be_given() -> None:
    room = draw("10", PARTY)
    room.draw("odd <- merge alice power {} auth=create,alice")
    room.draw("none <- odd alice message auth=")
    assert room.names(room["odd"].auth_events) == ["create", "alice"]
    assert room["none"].auth_events == ()
