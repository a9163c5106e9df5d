"""Spaces and the rooms in them. https://spec.matrix.org/v1.19/client-server-api/#spaces"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

from weft.testing import Answer, Client, TestServer


async def hierarchy(asker: Client, room_id: str, **query: Any) -> Answer:
    return await asker.get(f"/_matrix/client/v1/rooms/{quote(room_id)}/hierarchy", **query)


async def names(asker: Client, room_id: str, **query: Any) -> list[str]:
    return [room["name"] for room in (await hierarchy(asker, room_id, **query)).ok()["rooms"]]


async def make(owner: Client, name: str, *, space: bool = False, **options: Any) -> str:
    creation = {"type": "m.space"} if space else {}
    return await owner.create_room(**{"name": name, "preset": "public_chat", "creation_content": creation, **options})


async def put_in(owner: Client, space: str, child: str, **content: Any) -> None:
    await owner.set_state(space, "m.space.child", {"via": ["weft.test"], **content}, child)


async def tree(alice: Client) -> dict[str, str]:
    """House holds floor and garden; the floor holds a room, and the house again."""
    rooms = {
        name: await make(alice, name, space=name in ("house", "floor")) for name in ("house", "floor", "room", "garden")
    }
    await put_in(alice, rooms["house"], rooms["floor"], order="a", suggested=True)
    await put_in(alice, rooms["house"], rooms["garden"], order="b")
    await put_in(alice, rooms["floor"], rooms["room"])
    await put_in(alice, rooms["floor"], rooms["house"])
    return rooms


async def test_it_is_walked_depth_first_and_circles_end(server: TestServer) -> None:
    alice, bob = await server.user("alice"), await server.user("bob")
    rooms = await tree(alice)
    assert await names(bob, rooms["house"]) == ["house", "floor", "room", "garden"]
    house, floor, *_ = (await hierarchy(bob, rooms["house"])).ok()["rooms"]
    assert house["room_type"] == "m.space"
    assert house["num_joined_members"] == 1
    first = house["children_state"][0]
    assert first.pop("origin_server_ts") > 0
    assert first == {
        "type": "m.space.child",
        "state_key": rooms["floor"],
        "sender": alice.user_id,
        "content": {"via": ["weft.test"], "order": "a", "suggested": True},
    }
    assert [child["state_key"] for child in floor["children_state"]] == [rooms["room"], rooms["house"]]


async def test_depth_and_suggestions_bound_the_walk(server: TestServer) -> None:
    alice = await server.user("alice")
    rooms = await tree(alice)
    assert await names(alice, rooms["house"], max_depth=0) == ["house"]
    assert await names(alice, rooms["house"], max_depth=1) == ["house", "floor", "garden"]
    assert await names(alice, rooms["house"], suggested_only=True) == ["house", "floor"]


async def test_pages(server: TestServer) -> None:
    alice = await server.user("alice")
    rooms = await tree(alice)
    found: list[str] = []
    token = None
    for length in (3, 1):
        page = (await hierarchy(alice, rooms["house"], limit=3, from_=token)).ok()
        assert len(page["rooms"]) == length
        found += [room["name"] for room in page["rooms"]]
        token = page.get("next_batch")
    assert token is None
    assert found == ["house", "floor", "room", "garden"]


@pytest.mark.parametrize(
    "query",
    [{"limit": 0}, {"from_": "soon"}, {"from_": "h1-2"}, {"from_": "h1-20-0", "max_depth": 1}, {"from_": "h-1-20-0"}],
)
async def test_requests_that_make_no_sense(server: TestServer, query: dict[str, Any]) -> None:
    alice = await server.user("alice")
    space = await make(alice, "house", space=True)
    (await hierarchy(alice, space, **query)).refused(400, "M_INVALID_PARAM")


async def test_what_somebody_may_not_know_of_is_left_out(server: TestServer) -> None:
    alice, bob = await server.user("alice"), await server.user("bob")
    space = await make(alice, "house", space=True)
    restricted = [{"type": "m.room_membership", "room_id": space}]
    children = {
        "secret": await make(alice, "secret", preset="private_chat"),
        "invited": await make(alice, "invited", preset="private_chat", invite=[bob.user_id]),
        "members": await make(
            alice,
            "members",
            initial_state=[{"type": "m.room.join_rules", "content": {"join_rule": "restricted", "allow": restricted}}],
        ),
        "banned": await make(alice, "banned"),
        "open": await make(alice, "open"),
    }
    ban = f"/_matrix/client/v3/rooms/{quote(children['banned'])}/ban"
    (await alice.post(ban, {"user_id": bob.user_id})).ok()
    for name, child in children.items():
        await put_in(alice, space, child, order=name)
    await put_in(alice, space, "!nowhere:elsewhere.test")
    await put_in(alice, space, await make(alice, "gone"), via=[])
    assert await names(alice, space) == ["house", "banned", "invited", "members", "open", "secret"]
    assert await names(bob, space) == ["house", "invited", "open"]
    await bob.join(space)
    assert await names(bob, space) == ["house", "invited", "members", "open"]


async def test_a_space_that_is_not_to_be_known_of(server: TestServer) -> None:
    alice, bob = await server.user("alice"), await server.user("bob")
    space = await make(alice, "house", space=True, preset="private_chat")
    for room_id in (space, "!nothing:weft.test"):
        (await hierarchy(bob, room_id)).refused(403, "M_FORBIDDEN")


async def test_children_are_in_the_order_of_the_specification(server: TestServer) -> None:
    alice = await server.user("alice")
    space = await make(alice, "house", space=True)
    for name, content in {
        "second by time": {},
        "last by time": {"order": "é"},
        "by order": {"order": "b"},
        "first by order": {"order": " "},
    }.items():
        await put_in(alice, space, await make(alice, name), **content)
    assert await names(alice, space) == ["house", "first by order", "by order", "second by time", "last by time"]
