"""Rooms that two people share."""

from __future__ import annotations

from typing import Any

import pytest

from weft.modules.mutual_rooms import client_api
from weft.testing import Client, TestServer

PATH = "/_matrix/client/v1/mutual_rooms"


async def shared(asker: Client, user_id: str, **query: Any) -> Any:
    return (await asker.get(PATH, user_id=user_id, **query)).ok()


async def test_what_both_are_joined_to(server: TestServer) -> None:
    alice, bob, carol = [await server.user(name) for name in ("alice", "bob", "carol")]
    both = await alice.create_room(preset="public_chat")
    left = await alice.create_room(preset="public_chat")
    invited = await alice.create_room(invite=[bob.user_id])
    await bob.create_room()
    for room_id in (both, left):
        await bob.join(room_id)
    assert set((await shared(alice, bob.user_id))["joined"]) == {both, left}
    await bob.leave(left)
    for asker, other in ((alice, bob), (bob, alice)):
        assert await shared(asker, other.user_id) == {"joined": [both], "count": 1}
    assert invited not in (await shared(bob, alice.user_id))["joined"]
    assert await shared(carol, alice.user_id) == {"joined": [], "count": 0}
    assert await shared(alice, "@far:elsewhere.test") == {"joined": [], "count": 0}


async def test_pages(server: TestServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_api, "_PAGE", 2)
    alice, bob = await server.user("alice"), await server.user("bob")
    rooms = {await alice.create_room(preset="public_chat") for _ in range(5)}
    for room_id in rooms:
        await bob.join(room_id)
    found: list[str] = []
    token = None
    for length in (2, 2, 1):
        page = await shared(alice, bob.user_id, from_=token)
        assert (len(page["joined"]), page["count"]) == (length, 5)
        found += page["joined"]
        token = page.get("next_batch")
    assert token is None
    assert set(found) == rooms
    assert len(found) == 5


@pytest.mark.parametrize(
    ("query", "errcode"),
    [
        ({"user_id": "@alice:weft.test"}, "M_INVALID_PARAM"),
        ({"user_id": "alice"}, "M_INVALID_PARAM"),
        ({"user_id": "@bob:weft.test", "from_": "soon"}, "M_INVALID_PARAM"),
        ({}, "M_MISSING_PARAM"),
    ],
)
async def test_what_is_not_answered(server: TestServer, query: dict[str, str], errcode: str) -> None:
    alice = await server.user("alice")
    (await alice.get(PATH, **query)).refused(400, errcode)
