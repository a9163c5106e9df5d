"""Finding people by name."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

from tests.modules.conftest import Start
from weft.modules.user_directory.words import terms, words
from weft.testing import Client, TestServer

ALL: dict[str, Any] = {"user_directory": {"search_all_users": True}}


async def search(who: Client, term: str, limit: int = 10) -> dict[str, Any]:
    answer = await who.post("/_matrix/client/v3/user_directory/search", {"search_term": term, "limit": limit})
    found: dict[str, Any] = answer.ok()
    return found


async def names(who: Client, term: str, limit: int = 10) -> list[str]:
    """The localparts that are found, in order."""
    results = (await search(who, term, limit))["results"]
    return [result["user_id"].partition(":")[0][1:] for result in results]


async def called(server: TestServer, localpart: str, name: str | None = None) -> Client:
    who = await server.user(localpart)
    if name is not None:
        path = f"/_matrix/client/v3/profile/{quote(who.user_id)}/displayname"
        (await who.put(path, {"displayname": name})).ok()
    return who


@pytest.mark.parametrize(
    ("term", "found"),
    [
        ("anna", {"anna", "u1"}),
        ("ANNA", {"anna", "u1"}),
        ("ann", {"anna", "u1"}),
        ("nna", {"anna", "u1"}),
        ("lind anna", {"u1"}),
        ("Línd", {"u1"}),
        ("@anna", {"anna"}),
        ("@anna:weft.test", {"anna"}),
        ("@anna:elsewhere", set()),
        ("田中", {"u2"}),
        ("太郎", {"u2"}),
        ("中太", {"u2"}),
        ("ﾀﾅｶ", {"u3"}),
        ("🦊", {"u4"}),
        ("weft.test", set()),
        ("", set()),
        ("  ", set()),
        ("-", set()),
        ("%", set()),
        ("\0", set()),
        ("nobody", set()),
    ],
)
async def test_what_is_found(start_server: Start, term: str, found: set[str]) -> None:
    server = await start_server(ALL)
    people = {"anna": None, "u1": "Anna-Maria Línd", "u2": "田中太郎", "u3": "タナカ", "u4": "fox 🦊"}
    for localpart, name in people.items():
        await called(server, localpart, name)
    zoe = await server.user("zoe")
    assert set(await names(zoe, term)) == found


async def test_order_and_limit(start_server: Start) -> None:
    server = await start_server(ALL)
    for localpart, name in (("c", "Joanna"), ("b", "Anna B"), ("a", "anna"), ("annabel", "")):
        await called(server, localpart, name)
    zoe = await server.user("zoe")
    assert await names(zoe, "anna") == ["a", "b", "annabel", "c"]
    short = await search(zoe, "anna", 2)
    assert [result["user_id"] for result in short["results"]] == ["@a:weft.test", "@b:weft.test"]
    assert short["limited"] is True
    assert (await search(zoe, "anna", 4))["limited"] is False
    assert short["results"][0]["display_name"] == "anna"


async def test_only_visible_people_are_found(server: TestServer) -> None:
    alice, bob, carol = [await called(server, f"x{name}", f"Person {name}") for name in ("alice", "bob", "carol")]
    assert await names(alice, "person") == []
    private = await alice.create_room()
    await alice.invite(private, bob.user_id)
    await bob.join(private)
    assert await names(alice, "person") == ["xbob"]
    assert await names(carol, "person") == []
    await carol.create_room(preset="public_chat")
    assert await names(alice, "person") == ["xbob", "xcarol"]
    await bob.leave(private)
    assert await names(alice, "person") == ["xcarol"]


async def test_a_room_that_is_opened_and_closed(server: TestServer) -> None:
    alice, bob = await called(server, "xalice"), await called(server, "xbob")
    room_id = await bob.create_room(preset="private_chat")
    assert await names(alice, "xbob") == []
    await bob.set_state(room_id, "m.room.join_rules", {"join_rule": "public"})
    assert await names(alice, "xbob") == ["xbob"]
    await bob.set_state(room_id, "m.room.join_rules", {"join_rule": "invite"})
    assert await names(alice, "xbob") == []
    await bob.set_state(room_id, "m.room.history_visibility", {"history_visibility": "world_readable"})
    assert await names(alice, "xbob") == ["xbob"]


async def test_a_new_name_replaces_the_old_one(start_server: Start) -> None:
    server = await start_server(ALL)
    alice, zoe = await called(server, "alice", "Before\0"), await server.user("zoe")
    assert await names(zoe, "before") == ["alice"]
    path = f"/_matrix/client/v3/profile/{quote(alice.user_id)}/displayname"
    (await alice.put(path, {"displayname": "After"})).ok()
    assert await names(zoe, "before") == []
    assert (await search(zoe, "after"))["results"] == [{"user_id": alice.user_id, "display_name": "After"}]
    (await alice.delete(path)).ok()
    assert (await search(zoe, "alice"))["results"] == [{"user_id": alice.user_id}]


async def test_ended_accounts_are_not_found(start_server: Start) -> None:
    server = await start_server(ALL)
    admin, alice = await server.user("admin"), await called(server, "alice", "Alice")
    auth = {
        "type": "m.login.password",
        "identifier": {"type": "m.id.user", "user": "alice"},
        "password": "correct horse",
    }
    (await alice.post("/_matrix/client/v3/account/deactivate", {"auth": auth})).ok()
    assert await names(admin, "alice") == []


def test_terms_are_bounded() -> None:
    assert len(terms(["".join(chr(0x4E00 + n) for n in range(256)), "word " * 300])) <= 400
    assert terms(["Ab cd"]) == {"ab": True, "cd": True, "b": False, "d": False}
    assert words("Ａｎｎａ STRASSE ß") == ["anna", "strasse", "ss"]
