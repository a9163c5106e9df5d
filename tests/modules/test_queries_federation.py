"""What other servers may ask about our aliases, our directory, our users and our spaces.

https://spec.matrix.org/v1.19/server-server-api/#querying-for-information
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

from tests.federation.stranger import Stranger
from tests.modules.conftest import Start
from weft.testing import Client, TestServer

V3 = "/_matrix/client/v3"


@pytest.fixture
def stranger(server: TestServer) -> Stranger:
    return Stranger(server)


# -- aliases


async def test_a_query_of_the_room_directory(server: TestServer, stranger: Stranger) -> None:
    alice = await server.user("alice")
    room_id = await alice.create_room(room_alias_name="pub", preset="public_chat")
    await stranger.join(room_id)
    found = (await stranger.get("/query/directory", room_alias="#pub:weft.test")).ok()
    assert found == {"room_id": room_id, "servers": ["weft.test", "stranger.test"]}
    for alias in ("#nobody:weft.test", "#pub:stranger.test"):
        (await stranger.get("/query/directory", room_alias=alias)).refused(404, "M_NOT_FOUND")
    (await stranger.get("/query/directory", room_alias="pub")).refused(400, "M_INVALID_PARAM")
    (await stranger.get("/query/directory")).refused(400, "M_MISSING_PARAM")
    (await stranger.get("/query/weather", room_alias="#pub:weft.test")).refused(404, "M_UNRECOGNIZED")


# -- the directory of published rooms


async def publish(owner: Client, name: str, **options: Any) -> str:
    return await owner.create_room(name=name, visibility="public", preset="public_chat", **options)


async def test_get_public_rooms_for_other_servers(server: TestServer, stranger: Stranger) -> None:
    alice = await server.user("alice")
    first, second = await publish(alice, "first"), await publish(alice, "second")
    await alice.create_room(name="unpublished", preset="public_chat")
    await publish(alice, "ours alone", creation_content={"m.federate": False})
    whole = (await stranger.get("/publicRooms")).ok()
    assert {room["room_id"] for room in whole["chunk"]} == {first, second}
    assert whole["total_room_count_estimate"] == 2
    page = (await stranger.get("/publicRooms", limit=1)).ok()
    rest = (await stranger.get("/publicRooms", limit=1, since=page["next_batch"])).ok()
    assert {room["room_id"] for room in (*page["chunk"], *rest["chunk"])} == {first, second}
    (await stranger.get("/publicRooms", since="nonsense")).refused(400, "M_INVALID_PARAM")
    assert (await stranger.get("/publicRooms", third_party_instance_id="irc")).ok()["chunk"] == []
    both = await stranger.get("/publicRooms", third_party_instance_id="irc", include_all_networks=True)
    both.refused(400, "M_INVALID_PARAM")
    # At home it is listed like any other.
    assert len((await alice.get(f"{V3}/publicRooms")).ok()["chunk"]) == 3


async def test_query_public_rooms_for_other_servers(server: TestServer, stranger: Stranger) -> None:
    alice = await server.user("alice")
    await publish(alice, "Gardening")
    found = await publish(alice, "Cooking")

    async def search(**query: Any) -> list[str]:
        return [room["room_id"] for room in (await stranger.post("/publicRooms", query)).ok()["chunk"]]

    assert await search(filter={"generic_search_term": "cook"}) == [found]
    assert len(await search(filter={"room_types": [None]}, limit=1 << 40)) == 2
    assert await search(filter={"room_types": ["m.space"]}) == []
    assert await search(third_party_instance_id="irc") == []
    assert len(await search(include_all_networks=True)) == 2
    (await stranger.post("/publicRooms", {"filter": {"generic_search_term": 1}})).refused(400, "M_BAD_JSON")


async def test_an_operator_keeps_the_directory_and_profiles_for_their_own(start_server: Start) -> None:
    server = await start_server({"federation": {"public_rooms": False, "profiles": False}})
    alice, stranger = await server.user("alice"), Stranger(server)
    await publish(alice, "room")
    (await stranger.get("/publicRooms")).refused(403, "M_FORBIDDEN")
    (await stranger.post("/publicRooms")).refused(403, "M_FORBIDDEN")
    for user_id in (alice.user_id, "@nobody:weft.test"):
        (await stranger.get("/query/profile", user_id=user_id)).refused(403, "M_FORBIDDEN")


# -- profiles


async def test_a_query_of_a_profile(server: TestServer, stranger: Stranger) -> None:
    alice = await server.user("alice")
    for key, value in {"displayname": "Alice", "m.tz": "Europe/Berlin", "org.example.pets": ["cat"]}.items():
        (await alice.put(f"{V3}/profile/{alice.user_id}/{key}", {key: value})).ok()
    whole = (await stranger.get("/query/profile", user_id=alice.user_id)).ok()
    assert whole == {"displayname": "Alice", "m.tz": "Europe/Berlin", "org.example.pets": ["cat"]}
    pets = await stranger.get("/query/profile", user_id=alice.user_id, field="org.example.pets")
    assert pets.ok() == {"org.example.pets": ["cat"]}
    for query in (
        {"user_id": alice.user_id, "field": "avatar_url"},
        {"user_id": alice.user_id, "field": '"x'},
        {"user_id": "@nobody:weft.test"},
        {"user_id": "@alice:stranger.test"},
        {"user_id": "nonsense"},
    ):
        (await stranger.get("/query/profile", **query)).refused(404, "M_NOT_FOUND")
    (await stranger.get("/query/profile")).refused(400, "M_MISSING_PARAM")


# -- OpenID


async def test_an_open_id_token_says_whose_it_is(server: TestServer, stranger: Stranger) -> None:
    alice = await server.user("alice")
    token = (await alice.post(f"{V3}/user/{alice.user_id}/openid/request_token")).ok()["access_token"]
    answer = await stranger.request("GET", "/openid/userinfo", query={"access_token": token}, signed=False)
    assert answer.ok() == {"sub": alice.user_id}
    for wrong in ("nonsense", alice.token):
        answer = await stranger.request("GET", "/openid/userinfo", query={"access_token": wrong}, signed=False)
        answer.refused(401, "M_UNKNOWN_TOKEN")
    server.clock.advance(3601)
    (await stranger.get("/openid/userinfo", access_token=token)).refused(401, "M_UNKNOWN_TOKEN")


# -- spaces


async def make(owner: Client, name: str, *, space: bool = False, **options: Any) -> str:
    creation = {"type": "m.space"} if space else {}
    return await owner.create_room(**{"name": name, "preset": "public_chat", "creation_content": creation, **options})


async def put_in(owner: Client, space: str, child: str, **content: Any) -> None:
    await owner.set_state(space, "m.space.child", {"via": ["weft.test"], **content}, child)


async def test_a_space_hierarchy_for_other_servers(server: TestServer, stranger: Stranger) -> None:
    alice = await server.user("alice")
    space = await make(alice, "space", space=True)
    public = await make(alice, "public")
    inner = await make(alice, "inner", space=True)
    private = await make(alice, "private", preset="private_chat")
    for child in (public, inner, private, "!unknown:elsewhere.test"):
        await put_in(alice, space, child, suggested=child == public)
    path = f"/hierarchy/{quote(space)}"
    told = (await stranger.get(path)).ok()
    assert told["room"]["room_id"] == space
    children = {child["state_key"] for child in told["room"]["children_state"]}
    assert children == {public, inner, private, "!unknown:elsewhere.test"}
    assert {child["room_id"] for child in told["children"]} == {public, inner}
    assert told["inaccessible_children"] == [private]
    suggested = (await stranger.get(path, suggested_only=True)).ok()
    assert [child["room_id"] for child in suggested["children"]] == [public]
    assert suggested["inaccessible_children"] == []
    plain = (await stranger.get(f"/hierarchy/{quote(public)}")).ok()
    assert plain["room"]["children_state"] == []
    for hidden in (private, "!nowhere:weft.test", "nonsense"):
        (await stranger.get(f"/hierarchy/{quote(hidden)}")).refused(404, "M_NOT_FOUND")


async def test_restricted_rooms_are_told_of_to_servers_with_a_member_of_the_allowed_room(
    server: TestServer, stranger: Stranger
) -> None:
    alice = await server.user("alice")
    space = await make(alice, "space", space=True, room_version="11")
    rule = {"join_rule": "restricted", "allow": [{"type": "m.room_membership", "room_id": space}]}
    rules = [{"type": "m.room.join_rules", "state_key": "", "content": rule}]
    members = await make(alice, "members", preset="private_chat", initial_state=rules)
    await put_in(alice, space, members)
    assert (await stranger.get(f"/hierarchy/{quote(space)}")).ok()["inaccessible_children"] == [members]
    (await stranger.get(f"/hierarchy/{quote(members)}")).refused(404, "M_NOT_FOUND")
    await stranger.join(space)
    (told,) = (await stranger.get(f"/hierarchy/{quote(space)}")).ok()["children"]
    assert told["room_id"] == members
    assert told["allowed_room_ids"] == [space]
    await alice.set_state(members, "m.room.server_acl", {"allow": ["weft.test"]})
    (await stranger.get(f"/hierarchy/{quote(members)}")).refused(404, "M_NOT_FOUND")


async def test_rooms_of_one_server_are_not_told_of(server: TestServer, stranger: Stranger) -> None:
    alice = await server.user("alice")
    room_id = await make(alice, "ours", creation_content={"m.federate": False})
    (await stranger.get(f"/hierarchy/{quote(room_id)}")).refused(404, "M_NOT_FOUND")
