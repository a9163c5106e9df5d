"""Finding people of other servers who are in rooms of this one."""

from __future__ import annotations

from typing import Any

from tests.federation.stranger import Stranger
from weft.storage.database import WriteTransaction
from weft.testing import Client, TestServer


async def found(server: TestServer, asker: Client, term: str) -> list[dict[str, Any]]:
    await server.server.engine.followed("user_directory")
    answer = await asker.post("/_matrix/client/v3/user_directory/search", {"search_term": term})
    results: list[dict[str, Any]] = answer.ok()["results"]
    return results


async def test_members_of_other_servers_are_found_by_those_who_share_a_room(server: TestServer) -> None:
    alice, carol, stranger = await server.user("alice"), await server.user("carol"), Stranger(server)
    room_id = await alice.create_room(preset="public_chat", room_version="11")
    await stranger.join(room_id, "eve", displayname="Evelyn Stranger", avatar_url="mxc://stranger.test/eve")
    expected = {
        "user_id": "@eve:stranger.test",
        "display_name": "Evelyn Stranger",
        "avatar_url": "mxc://stranger.test/eve",
    }
    assert await found(server, alice, "evelyn") == [expected]
    # The room is open to everybody, so that everybody may know who is in it.
    assert await found(server, carol, "evelyn") == [expected]
    await alice.set_state(room_id, "m.room.join_rules", {"join_rule": "invite"})
    assert await found(server, carol, "evelyn") == []
    assert await found(server, alice, "@eve:stranger") == [expected]


async def test_they_are_found_by_what_they_are_called_now(server: TestServer) -> None:
    alice, stranger = await server.user("alice"), Stranger(server)
    room_id = await alice.create_room(preset="public_chat", room_version="11")
    await stranger.join(room_id, "eve", displayname="Evelyn")
    await stranger.join(room_id, "eve", displayname="Trinity")
    await stranger.join(room_id, "odd", displayname=["no", "text"], avatar_url=5)
    assert await found(server, alice, "evelyn") == []
    assert [one["user_id"] for one in await found(server, alice, "trinity")] == ["@eve:stranger.test"]
    assert await found(server, alice, "odd") == [{"user_id": "@odd:stranger.test"}]


async def test_everybody_is_found_where_a_room_s_state_comes_as_a_whole(server: TestServer) -> None:
    alice, stranger = await server.user("alice"), Stranger(server)
    room_id = await alice.create_room(preset="public_chat", room_version="11")
    users = [f"person{number:03}" for number in range(60)]
    for user in users:
        await stranger.join(room_id, user)
    await server.server.engine.followed("user_directory")
    database = server.server.engine.database
    for table in ("user_directory", "user_directory_terms"):
        await database.write(_empty, table)
    assert await found(server, alice, "person") == []
    room = await server.server.engine.rooms.get(room_id)
    await database.write(lambda tx: tx.append("resolution", room=room.number, key=str(room.current.id)))
    await server.server.engine.log.catch_up()
    await server.server.engine.followed("user_directory")
    assert await found(server, alice, "person059")
    assert len(await found(server, alice, "person")) == 10


def _empty(tx: WriteTransaction, table: str) -> None:
    tx.put(f"DELETE FROM {table} WHERE user_id LIKE :of_others", of_others="%:stranger.test")
