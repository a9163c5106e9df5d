"""Aliases and the public directory. https://spec.matrix.org/v1.19/client-server-api/#room-aliases"""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import quote

import pytest

from tests.modules.conftest import Start
from weft.testing import Client, TestServer

V3 = "/_matrix/client/v3"


def alias_path(alias: str) -> str:
    return f"{V3}/directory/room/{quote(alias, safe='')}"


# -- aliases


async def test_an_alias_from_its_making_to_its_end(server: TestServer) -> None:
    await server.user("admin")
    alice, bob = await server.user("alice"), await server.user("bob")
    room_id = await alice.create_room()
    path = alias_path("#Käse & Brot:weft.test".replace(" ", "_"))
    (await server.client().get(path)).refused(404, "M_NOT_FOUND")
    (await alice.put(path, {"room_id": room_id})).ok()
    assert (await server.client().get(path)).ok() == {"room_id": room_id, "servers": ["weft.test"]}
    (await alice.put(path, {"room_id": room_id})).refused(409, "M_UNKNOWN")
    (await bob.delete(path)).refused(403, "M_FORBIDDEN")
    (await alice.delete(path)).ok()
    (await alice.delete(path)).refused(404, "M_NOT_FOUND")
    (await server.client().get(path)).refused(404, "M_NOT_FOUND")


@pytest.mark.parametrize(
    ("alias", "room_id", "status", "errcode"),
    [
        ("#x:elsewhere.test", None, 400, "M_INVALID_PARAM"),
        ("#a b:weft.test", None, 400, "M_INVALID_PARAM"),
        ("#:weft.test", None, 400, "M_INVALID_PARAM"),
        ("nonsense", None, 400, "M_INVALID_PARAM"),
        ("#x:weft.test", "nonsense", 400, "M_INVALID_PARAM"),
        ("#x:weft.test", "!nowhere:weft.test", 403, "M_FORBIDDEN"),
    ],
)
async def test_aliases_that_can_not_be(
    server: TestServer, alias: str, room_id: str | None, status: int, errcode: str
) -> None:
    await server.user("admin")
    alice = await server.user("alice")
    body = {"room_id": room_id or await alice.create_room()}
    (await alice.put(alias_path(alias), body)).refused(status, errcode)


async def test_only_members_name_a_room(server: TestServer) -> None:
    await server.user("admin")
    alice, bob = await server.user("alice"), await server.user("bob")
    room_id = await alice.create_room(preset="public_chat")
    path = alias_path("#x:weft.test")
    (await bob.put(path, {"room_id": room_id})).refused(403, "M_FORBIDDEN")
    await bob.join(room_id)
    (await bob.put(path, {"room_id": room_id})).ok()
    # Who may set the canonical alias may delete what others made.
    (await alice.delete(path)).ok()


async def test_an_administrator_deletes_any_alias(server: TestServer) -> None:
    admin, alice = await server.user("admin"), await server.user("alice")
    await alice.create_room(room_alias_name="x")
    (await admin.delete(alias_path("#x:weft.test"))).ok()


async def test_deleting_takes_it_out_of_the_canonical_alias(server: TestServer) -> None:
    alice = await server.user()
    room_id = await alice.create_room(room_alias_name="one")
    (await alice.put(alias_path("#two:weft.test"), {"room_id": room_id})).ok()
    both = {"alias": "#one:weft.test", "alt_aliases": ["#one:weft.test", "#two:weft.test"], "x": 1}
    await alice.set_state(room_id, "m.room.canonical_alias", both)
    (await alice.delete(alias_path("#one:weft.test"))).ok()
    content = (await alice.get(f"{V3}/rooms/{room_id}/state/m.room.canonical_alias")).ok()
    assert content == {"alt_aliases": ["#two:weft.test"], "x": 1}


async def test_many_want_the_same_alias(server: TestServer) -> None:
    alice = await server.user()
    rooms = [await alice.create_room() for _ in range(4)]
    path = alias_path("#x:weft.test")
    answers = await asyncio.gather(*(alice.put(path, {"room_id": room_id}) for room_id in rooms))
    assert sorted(answer.status for answer in answers) == [200, 409, 409, 409]
    winner = next(room_id for room_id, answer in zip(rooms, answers, strict=True) if answer.status == 200)
    assert (await alice.get(path)).ok()["room_id"] == winner


async def test_who_sees_a_rooms_aliases(server: TestServer) -> None:
    await server.user("admin")
    alice, bob = await server.user("alice"), await server.user("bob")
    room_id = await alice.create_room(room_alias_name="b")
    (await alice.put(alias_path("#a:weft.test"), {"room_id": room_id})).ok()
    path = f"{V3}/rooms/{room_id}/aliases"
    assert (await alice.get(path)).ok() == {"aliases": ["#a:weft.test", "#b:weft.test"]}
    (await bob.get(path)).refused(403, "M_FORBIDDEN")
    (await bob.get(f"{V3}/rooms/!nowhere:weft.test/aliases")).refused(403, "M_FORBIDDEN")
    await alice.set_state(room_id, "m.room.history_visibility", {"history_visibility": "world_readable"})
    (await bob.get(path)).ok()


async def test_aliases_can_be_kept_to_administrators(start_server: Start) -> None:
    server = await start_server({"rooms": {"aliases": "administrators"}})
    admin, alice = await server.user("admin"), await server.user("alice")
    room_id = await alice.create_room()
    (await alice.put(alias_path("#x:weft.test"), {"room_id": room_id})).refused(403, "M_FORBIDDEN")
    (await alice.post(f"{V3}/createRoom", {"room_alias_name": "x"})).refused(403, "M_FORBIDDEN")
    await admin.create_room(room_alias_name="x")


# -- published rooms


async def test_publishing_and_taking_back(server: TestServer) -> None:
    await server.user("admin")
    alice, bob = await server.user("alice"), await server.user("bob")
    room_id = await alice.create_room(preset="public_chat")
    path = f"{V3}/directory/list/room/{room_id}"
    assert (await server.client().get(path)).ok() == {"visibility": "private"}
    (await bob.put(path, {"visibility": "public"})).refused(403, "M_FORBIDDEN")
    await bob.join(room_id)
    (await bob.put(path, {"visibility": "public"})).refused(403, "M_FORBIDDEN")
    (await alice.put(path)).ok()
    assert (await server.client().get(path)).ok() == {"visibility": "public"}
    assert await listed(alice) == [room_id]
    (await alice.put(path, {"visibility": "public"})).ok()
    (await alice.put(path, {"visibility": "private"})).ok()
    assert await listed(alice) == []
    (await alice.put(path, {"visibility": "nonsense"})).refused(400, "M_BAD_JSON")
    unknown = f"{V3}/directory/list/room/!nowhere:weft.test"
    (await alice.get(unknown)).refused(404, "M_NOT_FOUND")
    (await alice.put(unknown)).refused(404, "M_NOT_FOUND")


async def query(client: Client, **body: Any) -> Any:
    return (await client.post(f"{V3}/publicRooms", body)).ok()


async def listed(client: Client, **body: Any) -> list[str]:
    return [room["room_id"] for room in (await query(client, **body))["chunk"]]


async def test_what_the_directory_shows(server: TestServer) -> None:
    alice, bob = await server.user("alice"), await server.user("bob")
    room_id = await alice.create_room(
        visibility="public",
        name="Tea",
        topic="Leaves",
        room_alias_name="tea",
        creation_content={"type": "m.space"},
        initial_state=[
            {"type": "m.room.avatar", "content": {"url": "mxc://weft.test/tea"}},
            {"type": "m.room.history_visibility", "content": {"history_visibility": "world_readable"}},
            {"type": "m.room.guest_access", "content": {"guest_access": "can_join"}},
        ],
    )
    await bob.join(room_id)
    expected = {
        "room_id": room_id,
        "num_joined_members": 2,
        "world_readable": True,
        "guest_can_join": True,
        "canonical_alias": "#tea:weft.test",
        "name": "Tea",
        "topic": "Leaves",
        "avatar_url": "mxc://weft.test/tea",
        "join_rule": "public",
        "room_type": "m.space",
    }
    answer = (await server.client().get(f"{V3}/publicRooms")).ok()
    assert answer == {"chunk": [expected], "total_room_count_estimate": 1}
    # It follows the room.
    await bob.leave(room_id)
    await alice.set_state(room_id, "m.room.name", {"name": ["not", "a", "name"]})
    await alice.set_state(room_id, "m.room.avatar", {"url": "nonsense"})
    changed = {key: value for key, value in expected.items() if key not in ("name", "avatar_url")}
    assert (await query(alice))["chunk"] == [changed | {"num_joined_members": 1}]


async def test_rooms_that_are_of_no_use_are_not_shown(server: TestServer) -> None:
    alice = await server.user()
    empty = await alice.create_room(visibility="public")
    await alice.leave(empty)
    await alice.create_room(visibility="public", preset="private_chat")
    knock = {"type": "m.room.join_rules", "content": {"join_rule": "knock"}}
    door = await alice.create_room(visibility="public", initial_state=[knock])
    assert await listed(alice) == [door]


async def test_searching(server: TestServer) -> None:
    alice = await server.user()
    by_name = await alice.create_room(visibility="public", name="GRÜNER Tee 100%_!")
    by_topic = await alice.create_room(visibility="public", topic="all about tee")
    by_alias = await alice.create_room(visibility="public", room_alias_name="steering")
    await alice.create_room(visibility="public", name="Coffee")

    async def found(words: str) -> set[str]:
        return set(await listed(alice, filter={"generic_search_term": words}))

    assert await found("TEE") == {by_name, by_topic, by_alias}
    assert await found("grüner") == {by_name}
    assert await found("100%_!") == {by_name}
    assert await found("%") == {by_name}
    assert await found("_") == {by_name}
    assert await found("nothing") == set()
    answer = await query(alice, filter={"generic_search_term": "about"})
    assert answer["total_room_count_estimate"] == 1


async def test_redacted_words_are_not_found(server: TestServer) -> None:
    alice = await server.user()
    room_id = await alice.create_room(visibility="public")
    event_id = await alice.set_state(room_id, "m.room.topic", {"topic": "secret"})
    assert await listed(alice, filter={"generic_search_term": "secret"}) == [room_id]
    (await alice.put(f"{V3}/rooms/{room_id}/redact/{event_id}/1")).ok()
    assert await listed(alice, filter={"generic_search_term": "secret"}) == []
    assert "topic" not in (await query(alice))["chunk"][0]


async def test_by_type(server: TestServer) -> None:
    alice = await server.user()
    plain = await alice.create_room(visibility="public")
    space = await alice.create_room(visibility="public", creation_content={"type": "m.space"})
    other = await alice.create_room(visibility="public", creation_content={"type": "org.example.other"})

    async def of(*types: str | None) -> set[str]:
        return set(await listed(alice, filter={"room_types": list(types)}))

    assert await of(None) == {plain}
    assert await of("m.space") == {space}
    assert await of(None, "org.example.other") == {plain, other}
    assert await of("unknown") == set()
    assert await of() == set()


async def test_pages_from_the_largest_to_the_smallest_and_back(server: TestServer) -> None:
    people = [await server.user() for _ in range(3)]
    alice = people[0]
    rooms = [await alice.create_room(visibility="public") for _ in range(5)]
    for person, joins in zip(people[1:], (rooms[1:4], rooms[3:4]), strict=True):
        for room_id in joins:
            await person.join(room_id)
    everything = await listed(alice)
    assert everything[0] == rooms[3]
    assert set(everything[1:3]) == {rooms[1], rooms[2]}
    assert set(everything[3:]) == {rooms[0], rooms[4]}

    pages = [await query(alice, limit=2)]
    assert "prev_batch" not in pages[0]
    while "next_batch" in pages[-1]:
        pages.append((await alice.get(f"{V3}/publicRooms", limit=2, since=pages[-1]["next_batch"])).ok())
    assert [len(page["chunk"]) for page in pages] == [2, 2, 1]
    assert [room["room_id"] for page in pages for room in page["chunk"]] == everything
    assert {page["total_room_count_estimate"] for page in pages} == {5}
    for later, earlier in zip(pages[:0:-1], pages[-2::-1], strict=True):
        back = await query(alice, limit=2, since=later["prev_batch"])
        assert back["chunk"] == earlier["chunk"]
        assert "next_batch" in back
        assert ("prev_batch" in back) == (earlier is not pages[0])


async def test_odd_requests(server: TestServer) -> None:
    alice = await server.user()
    await alice.create_room(visibility="public")
    path = f"{V3}/publicRooms"
    (await alice.get(path, since="nonsense")).refused(400, "M_INVALID_PARAM")
    (await alice.get(path, limit="x")).refused(400, "M_INVALID_PARAM")
    (await alice.get(path, limit=-1)).refused(400, "M_INVALID_PARAM")
    assert len((await alice.get(path, limit=0)).ok()["chunk"]) == 1
    assert len((await alice.get(path, server="weft.test")).ok()["chunk"]) == 1
    (await alice.get(path, server="elsewhere.test")).refused(504, "M_UNKNOWN")
    assert await listed(alice, include_all_networks=True) != []
    assert await listed(alice, third_party_instance_id="irc") == []
    both = {"include_all_networks": True, "third_party_instance_id": "irc"}
    (await alice.post(path, both)).refused(400, "M_INVALID_PARAM")
    (await server.client().post(path, {})).refused(401, "M_MISSING_TOKEN")
