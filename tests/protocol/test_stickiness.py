"""Until when an event is sticky. https://github.com/matrix-org/matrix-spec-proposals/pull/4354"""

from __future__ import annotations

from typing import Any

import pytest

from weft.protocol.event import Event
from weft.protocol.room_versions import ROOM_VERSIONS
from weft.protocol.stickiness import LONGEST_MS, duration_of, sticky_until, ttl_ms

HOUR = LONGEST_MS


def event(field: Any, ts: int = 1_000) -> Event:
    pdu = {
        "type": "m.room.message",
        "sender": "@a:b",
        "room_id": "!r",
        "content": {},
        "depth": 1,
        "prev_events": [],
        "auth_events": [],
        "origin_server_ts": ts,
        "msc4354_sticky": field,
    }
    return Event(pdu, ROOM_VERSIONS["12"], "$id")


@pytest.mark.parametrize(
    ("field", "wanted"),
    [
        ({"duration_ms": 0}, 0),
        ({"duration_ms": 60_000}, 60_000),
        ({"duration_ms": HOUR}, HOUR),
        ({"duration_ms": HOUR + 1}, HOUR),
        ({"duration_ms": 10**18}, HOUR),
        ({"duration_ms": -1}, None),
        ({"duration_ms": True}, None),
        ({"duration_ms": 1.5}, None),
        ({"duration_ms": "60000"}, None),
        ({"duration_ms": None}, None),
        ({}, None),
        (60_000, None),
        ([60_000], None),
        (None, None),
    ],
)
def test_durations(field: Any, wanted: int | None) -> None:
    assert duration_of(event(field)) == wanted


@pytest.mark.parametrize(
    ("sent", "received", "until"),
    [(1_000, 1_000, 61_000), (1_000, 5_000, 61_000), (9_000_000, 5_000, 65_000), (-5, 5_000, 59_995)],
)
def test_it_begins_when_it_was_sent_but_not_after_it_came(sent: int, received: int, until: int) -> None:
    assert sticky_until(event({"duration_ms": 60_000}, sent), received) == until


def test_what_is_left() -> None:
    one = event({"duration_ms": 60_000})
    assert ttl_ms(one, 1_000) == 60_000
    assert ttl_ms(one, 60_999) == 1
    assert ttl_ms(one, 61_000) is None
    # A clock that is ahead of ours makes it last no longer than it says.
    assert ttl_ms(event({"duration_ms": 60_000}, 10**12), 1_000) == 60_000
    assert ttl_ms(event(None), 1_000) is None
