"""Old room versions know integers of any length; whoever looks at such an event gets it, and nothing breaks."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from weft.testing import TestServer


@pytest.mark.parametrize("version", ["1", "5"])
async def test_integers_beyond_64_bits_come_back_as_they_went(server: TestServer, version: str) -> None:
    alice = await server.user("alice")
    room_id = await alice.create_room(room_version=version)
    path = f"/_matrix/client/v3/rooms/{quote(room_id)}/state/m.room.name"
    for number in (2**70, -(2**70), 1):
        body = b'{"name": "long", "org.example.number": %d}' % number
        (await alice.request("PUT", path, body=body)).ok()
        assert b"%d" % number in (await alice.get(path)).body
    assert b"%d" % (2**70) in (await alice.get("/_matrix/client/v3/sync")).body
    await server.restart()
    assert b"%d" % (2**70) in (await alice.get("/_matrix/client/v3/sync")).body
