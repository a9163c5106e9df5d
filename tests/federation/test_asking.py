"""What people's requests ask of other servers: addresses, directories, profiles, rooms of spaces."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import orjson

from tests.federation.kit import Kit, MemoryKit, processes
from weft.federation.transport import OutgoingRequest
from weft.testing import Answer, Client, TestServer

V3 = "/_matrix/client/v3"
V1 = "/_matrix/client/v1"


async def make(owner: Client, name: str, *, space: bool = False, **options: Any) -> str:
    creation = {"type": "m.space"} if space else {}
    return await owner.create_room(**{"name": name, "preset": "public_chat", "creation_content": creation, **options})


async def put_in(owner: Client, space: str, child: str, *via: str, **content: Any) -> None:
    await owner.set_state(space, "m.space.child", {"via": list(via), **content}, child)


def answering(kit: MemoryKit, path: str, answer: Any) -> list[str]:
    """Has every request to a path answered so; returns the destinations that are asked from now on."""
    asked: list[str] = []

    async def watch(request: OutgoingRequest) -> Answer | None:
        if path not in request.uri:
            return None
        asked.append(request.destination)
        if answer is None:
            return None
        body = answer if isinstance(answer, bytes) else orjson.dumps(answer)
        return Answer(200, {"content-type": "application/json"}, body)

    kit.network.on_request.append(watch)
    return asked


# -- addresses


async def test_an_alias_of_another_server(servers: Kit) -> None:
    one, two = await servers(2)
    alice, bob = await one.user("alice"), await two.user("bob")
    room_id = await make(bob, "room", room_alias_name="pub")
    found = (await alice.get(f"{V3}/directory/room/{quote('#pub:two.test')}")).ok()
    assert found == {"room_id": room_id, "servers": ["two.test"]}
    (await alice.get(f"{V3}/directory/room/{quote('#nobody:two.test')}")).refused(404, "M_NOT_FOUND")
    (await alice.get(f"{V3}/directory/room/{quote('#pub:gone.test')}")).refused(504, "M_UNKNOWN")
    (await alice.get(f"{V3}/directory/room/{quote('#pub:not a name')}")).refused(400, "M_INVALID_PARAM")


async def test_an_alias_leads_nowhere_whatever_nonsense_is_answered(memory_servers: MemoryKit) -> None:
    (one,) = await memory_servers(1)
    alice = await one.user("alice")
    path = f"{V3}/directory/room/{quote('#pub:two.test')}"
    answers: list[tuple[Any, int]] = [
        ({"room_id": "nonsense", "servers": []}, 404),
        ({"room_id": 5}, 502),
        (b"\xff", 502),
        ([], 502),
    ]
    for answer, status in answers:
        memory_servers.network.on_request.clear()
        answering(memory_servers, "/query/directory", answer)
        assert (await alice.get(path)).status == status
    memory_servers.network.on_request.clear()
    answering(memory_servers, "/query/directory", {"room_id": "!a:b.test", "servers": ["b.test", "no name", "b.test"]})
    assert (await alice.get(path)).ok()["servers"] == ["b.test", "two.test"]


async def test_a_canonical_alias_may_be_another_server_s(servers: Kit) -> None:
    one, two = await servers(2)
    alice, bob = await one.user("alice"), await two.user("bob")
    theirs = await make(bob, "theirs", room_alias_name="pub")
    mine = await make(alice, "mine")
    path = f"{V3}/rooms/{quote(mine)}/state/m.room.canonical_alias"
    for alias in ("#pub:two.test", "#nobody:two.test", "#pub:gone.test"):
        (await alice.put(path, {"alias": alias})).refused(400, "M_BAD_ALIAS")
    assert theirs != mine


# -- directories


async def test_another_server_s_directory(servers: Kit) -> None:
    one, two = await servers(2)
    alice, bob = await one.user("alice"), await two.user("bob")
    garden = await make(bob, "Garden", visibility="public")
    await make(bob, "House", visibility="public")
    whole = (await alice.get(f"{V3}/publicRooms", server="two.test")).ok()
    assert {room["name"] for room in whole["chunk"]} == {"Garden", "House"}
    page = (await alice.get(f"{V3}/publicRooms", server="two.test", limit=1)).ok()
    rest = (await alice.get(f"{V3}/publicRooms", server="two.test", since=page["next_batch"])).ok()
    assert len(page["chunk"]) == len(rest["chunk"]) == 1
    search = {"filter": {"generic_search_term": "gard"}}
    found = (await alice.post(f"{V3}/publicRooms", search, server="two.test")).ok()
    assert [room["room_id"] for room in found["chunk"]] == [garden]
    assert (await alice.get(f"{V3}/publicRooms", server="one.test")).ok()["chunk"] == []
    (await alice.get(f"{V3}/publicRooms", server="gone.test")).refused(504, "M_UNKNOWN")
    (await alice.get(f"{V3}/publicRooms", server="no name")).refused(404, "M_NOT_FOUND")


async def test_a_directory_that_is_not_shown(servers: Kit) -> None:
    (one,) = await servers(1)
    await servers(1, federation={"public_rooms": False})
    alice = await one.user("alice")
    (await alice.get(f"{V3}/publicRooms", server="two.test")).refused(403, "M_FORBIDDEN")


# -- profiles


async def test_a_profile_of_another_server_s_user(servers: Kit) -> None:
    one, two = await servers(2)
    alice, bob = await one.user("alice"), await two.user("bob")
    (await bob.put(f"{V3}/profile/{bob.user_id}/displayname", {"displayname": "Bob"})).ok()
    (await bob.put(f"{V3}/profile/{bob.user_id}/org.example.pets", {"org.example.pets": 3})).ok()
    path = f"{V3}/profile/{bob.user_id}"
    assert (await alice.get(path)).ok() == {"displayname": "Bob", "org.example.pets": 3}
    assert (await alice.get(f"{path}/displayname")).ok() == {"displayname": "Bob"}
    (await alice.get(f"{path}/avatar_url")).refused(404, "M_NOT_FOUND")
    (await bob.put(f"{V3}/profile/{bob.user_id}/displayname", {"displayname": "Robert"})).ok()
    assert (await alice.get(f"{path}/displayname")).ok() == {"displayname": "Bob"}
    servers.clock.advance(301)
    assert (await alice.get(f"{path}/displayname")).ok() == {"displayname": "Robert"}
    (await alice.get(f"{V3}/profile/@nobody:two.test")).refused(404, "M_NOT_FOUND")
    (await alice.get(f"{V3}/profile/@bob:gone.test")).refused(504, "M_UNKNOWN")
    carol = await one.user("carol")
    (await carol.put(f"{path}/displayname", {"displayname": "mine"})).refused(403, "M_FORBIDDEN")


async def test_a_profile_is_asked_for_once_in_a_while_and_not_believed(memory_servers: MemoryKit) -> None:
    (one,) = await memory_servers(1)
    alice = await one.user("alice")
    odd = {"displayname": 5, "avatar_url": None, "m.tz": ["x"], "org.example": {"a": 1}}
    asked = answering(memory_servers, "/query/profile", odd)
    for _ in range(3):
        assert (await alice.get(f"{V3}/profile/@bob:two.test")).ok() == {"org.example": {"a": 1}}
    assert set(asked) == {"two.test"}
    assert len(asked) <= len(processes(one)), "each remembers"
    memory_servers.network.on_request.clear()
    answering(memory_servers, "/query/profile", {"big": "x" * 1_000_000})
    (await alice.get(f"{V3}/profile/@carol:two.test")).refused(502, "M_UNKNOWN")


# -- rooms that others know


async def hierarchy(asker: Client, room_id: str, **query: Any) -> Any:
    return (await asker.get(f"{V1}/rooms/{quote(room_id)}/hierarchy", **query)).ok()


async def names(asker: Client, room_id: str, **query: Any) -> list[str]:
    return [room["name"] for room in (await hierarchy(asker, room_id, **query))["rooms"]]


async def space_across(one: TestServer, two: TestServer) -> tuple[Client, Client, dict[str, str]]:
    """Alice's space has a room of hers, and a space of Bob's on the other server with two rooms in it."""
    alice, bob = await one.user("alice"), await two.user("bob")
    rooms = {
        "house": await make(alice, "house", space=True),
        "hall": await make(alice, "hall"),
        "cellar": await make(bob, "cellar", space=True),
        "wine": await make(bob, "wine"),
        "safe": await make(bob, "safe", preset="private_chat"),
    }
    await put_in(alice, rooms["house"], rooms["cellar"], "gone.test", "two.test", order="a")
    await put_in(alice, rooms["house"], rooms["hall"], "one.test", order="b", suggested=True)
    await put_in(bob, rooms["cellar"], rooms["wine"], "two.test", order="a", suggested=True)
    await put_in(bob, rooms["cellar"], rooms["safe"], "two.test")
    await put_in(bob, rooms["cellar"], rooms["house"], "one.test")
    return alice, bob, rooms


async def test_a_space_goes_on_on_another_server(servers: Kit) -> None:
    one, two = await servers(2)
    alice, _, rooms = await space_across(one, two)
    assert await names(alice, rooms["house"]) == ["house", "cellar", "wine", "hall"]
    assert await names(alice, rooms["house"], max_depth=1) == ["house", "cellar", "hall"]
    assert await names(alice, rooms["house"], suggested_only=True) == ["house", "hall"]
    found: list[str] = []
    token = None
    for _ in range(4):
        page = await hierarchy(alice, rooms["house"], limit=1, from_=token)
        found += [room["name"] for room in page["rooms"]]
        token = page.get("next_batch")
    assert token is None
    assert found == ["house", "cellar", "wine", "hall"]
    cellar = (await hierarchy(alice, rooms["house"]))["rooms"][1]
    assert cellar["room_type"] == "m.space"
    assert {child["state_key"] for child in cellar["children_state"]} == {rooms["wine"], rooms["safe"], rooms["house"]}


async def test_other_servers_are_asked_once_in_a_while(memory_servers: MemoryKit) -> None:
    one, two = await memory_servers(2)
    alice, _, rooms = await space_across(one, two)
    asked = answering(memory_servers, "/hierarchy/", None)
    for _ in range(3):
        assert await names(alice, rooms["house"]) == ["house", "cellar", "wine", "hall"]
    assert set(asked) == {"gone.test", "two.test"}
    assert len(asked) <= 2 * len(processes(one)), "each remembers"


async def test_a_walk_asks_about_so_many_rooms(memory_servers: MemoryKit) -> None:
    (one,) = await memory_servers(1)
    alice = await one.user("alice")
    space = await make(alice, "space", space=True)
    for number in range(70):
        await put_in(alice, space, f"!room{number}:two.test", "two.test")
    asked = answering(memory_servers, "/hierarchy/", b'{"errcode":"M_UNKNOWN"}')
    assert await names(alice, space) == ["space"]
    assert len(asked) == 50


async def test_lies_about_rooms_do_no_harm(memory_servers: MemoryKit) -> None:
    (one,) = await memory_servers(1)
    alice, carol = await one.user("alice"), await one.user("carol")
    space = await make(alice, "space", space=True)
    private = await make(alice, "private", preset="private_chat")
    theirs = "!theirs:two.test"
    await put_in(alice, space, theirs, "two.test")
    shown = {"num_joined_members": 1, "world_readable": False, "guest_can_join": False, "join_rule": "public"}
    child = {"type": "m.space.child", "sender": "@x:two.test", "origin_server_ts": 1}
    told = {
        "room": {
            **shown,
            "room_id": theirs,
            "name": "theirs",
            "room_type": "m.space",
            "children_state": [
                {**child, "state_key": private, "content": {"via": ["one.test"]}},
                {**child, "state_key": space, "content": {"via": ["one.test"]}},
                {**child, "state_key": "!closed:two.test", "content": {"via": ["two.test"]}},
                {**child, "state_key": "!odd:two.test", "content": {"via": "two.test"}},
                {**child, "state_key": 5, "content": {}},
                {"type": "m.room.name"},
                5,
            ],
        },
        "children": [
            {**shown, "room_id": private, "name": "stolen"},
            {**shown, "room_id": "!closed:two.test", "join_rule": "invite"},
        ],
        "inaccessible_children": [space],
    }
    answering(memory_servers, "/hierarchy/", told)
    assert await names(carol, space) == ["space", "theirs"]
    assert await names(alice, space) == ["space", "theirs", "private"]
    other = {**told, "room": {**told["room"], "room_id": "!other:two.test"}}  # type: ignore[dict-item]
    memory_servers.network.on_request.clear()
    answering(memory_servers, "/hierarchy/", other)
    memory_servers.clock.advance(301)
    assert await names(carol, space) == ["space"]


async def test_restricted_rooms_of_others_are_shown_to_those_who_may_join(memory_servers: MemoryKit) -> None:
    (one,) = await memory_servers(1)
    alice, carol = await one.user("alice"), await one.user("carol")
    space = await make(alice, "space", space=True)
    theirs = "!theirs:two.test"
    await put_in(alice, space, theirs, "two.test")
    room = {
        "room_id": theirs,
        "name": "members",
        "num_joined_members": 1,
        "world_readable": False,
        "guest_can_join": False,
        "join_rule": "restricted",
        "allowed_room_ids": [space],
        "children_state": [],
    }
    answering(memory_servers, "/hierarchy/", {"room": room, "children": [], "inaccessible_children": []})
    assert await names(alice, space) == ["space", "members"]
    assert await names(carol, space) == ["space"]


async def test_the_summary_of_a_room_of_another_server(servers: Kit) -> None:
    one, two = await servers(2)
    alice, bob = await one.user("alice"), await two.user("bob")
    room_id = await make(bob, "theirs", room_alias_name="pub")
    private = await make(bob, "private", preset="private_chat")

    async def summary(room: str, who: Client = alice, **query: Any) -> Answer:
        return await who.get(f"{V1}/room_summary/{quote(room)}", **query)

    told = (await summary(room_id, via=["gone.test", "two.test"])).ok()
    assert told["name"] == "theirs"
    assert told["membership"] == "leave"
    assert (await summary("#pub:two.test")).ok()["room_id"] == room_id
    assert "membership" not in (await summary("#pub:two.test", one.client())).ok()
    (await summary(private, via=["two.test"])).refused(404, "M_NOT_FOUND")
    (await summary("!nowhere:two.test", via=["two.test"])).refused(404, "M_NOT_FOUND")
    (await summary("!nowhere:two.test", via=["gone.test", "no name", "one.test"])).refused(404, "M_NOT_FOUND")
