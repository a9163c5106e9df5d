"""An operator of Weft compares a room with Synapse's copy of it."""

from __future__ import annotations

import pytest

from tests.federation.people import becomes, create, join, say
from tests.interop.homeservers import Homeserver, Weft
from tests.interop.people import Society, agree


@pytest.mark.parametrize("version", ["6", "12"])
async def test_rooms_compare(weft: Weft, synapse: Homeserver, person: Society, version: str) -> None:
    alice, bob = await person("alice", weft), await person("bob", synapse)
    room_id = await create(alice, version)
    await join(bob, room_id, alice.home)
    await becomes(alice, room_id, bob.user_id, "join")
    await say(bob, room_id, "hello")
    await agree(room_id, alice, bob)
    told = weft.command("rooms", "compare", room_id)
    assert f"{bob.home}: the same state." in told
    assert "which is in our copy" in told
    assert "compared before $" in told
