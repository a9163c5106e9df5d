"""What servers of different kinds tell each other besides rooms' events."""

from __future__ import annotations

from urllib.parse import quote

from tests.federation.people import becomes, create, eventually, invited, join, say
from tests.interop.conftest import Pair
from tests.interop.people import Person, Society, receives, sees, sees_receipt, sees_typing


async def test_typing_receipts_and_presence(pair: Pair, person: Society) -> None:
    alice, bob = await person("alice", pair.host), await person("bob", pair.guest)
    room_id = await create(alice)
    await join(bob, room_id, alice.home)
    await becomes(alice, room_id, bob.user_id, "join")
    for one, other in ((alice, bob), (bob, alice)):
        event_id = await say(one, room_id, "read this")
        await receives(other, room_id, event_id)
        (await other.post(f"/_matrix/client/v3/rooms/{room_id}/receipt/m.read/{event_id}")).ok()
        await sees_receipt(one, room_id, event_id, other.user_id)
        typing = f"/_matrix/client/v3/rooms/{room_id}/typing/{other.user_id}"
        (await other.put(typing, {"typing": True, "timeout": 30_000})).ok()
        await sees_typing(one, room_id, other.user_id)
        (await other.put(typing, {"typing": False})).ok()
        await sees_typing(one, room_id)
        status = {"presence": "online", "status_msg": f"{other.user_id} is here"}
        (await other.put(f"/_matrix/client/v3/presence/{other.user_id}/status", status)).ok()
        await _sees_status(one, other.user_id, status["status_msg"])


async def _sees_status(person: Person, user_id: str, status: str) -> None:
    async def is_told() -> bool:
        events = (await person.sync()).get("presence", {}).get("events", [])
        return any(one["sender"] == user_id and one["content"].get("status_msg") == status for one in events)

    await eventually(is_told)


async def test_profiles(pair: Pair, person: Society) -> None:
    """Asked for across servers; a change is a change of membership in shared rooms."""
    alice, bob = await person("alice", pair.host), await person("bob", pair.guest)
    room_id = await create(alice)
    await join(bob, room_id, alice.home)
    await becomes(alice, room_id, bob.user_id, "join")
    for one, other in ((alice, bob), (bob, alice)):
        name, picture = f"{one.user_id}!", f"mxc://{one.home}/picture"
        (await one.put(f"/_matrix/client/v3/profile/{one.user_id}/displayname", {"displayname": name})).ok()
        # Synapse is not to be overtaken: it stumbles where a change comes while it tells rooms of the one before.
        await sees(other, room_id, "m.room.member", {"membership": "join", "displayname": name}, one.user_id)
        (await one.put(f"/_matrix/client/v3/profile/{one.user_id}/avatar_url", {"avatar_url": picture})).ok()
        found = (await other.get(f"/_matrix/client/v3/profile/{one.user_id}")).ok()
        assert found["displayname"] == name
        assert found["avatar_url"] == picture
        member = {"membership": "join", "displayname": name, "avatar_url": picture}
        await sees(other, room_id, "m.room.member", member, one.user_id)
        nobody = await other.get(f"/_matrix/client/v3/profile/@nobody-{one.user_id[1:]}")
        assert nobody.status == 404


async def test_the_room_directory(pair: Pair, person: Society) -> None:
    alice, bob = await person("alice", pair.host), await person("bob", pair.guest)
    word = f"Teahouse {alice.user_id[-30:]}"
    room_id = await create(alice, visibility="public", name=word, topic="leaves")
    path = f"/_matrix/client/v3/publicRooms?server={alice.home}"

    async def is_listed() -> bool:
        found = (await bob.post(path, {"filter": {"generic_search_term": word}, "limit": 10})).ok()
        return [(one["room_id"], one["name"], one["topic"]) for one in found["chunk"]] == [(room_id, word, "leaves")]

    await eventually(is_listed)
    found = (await bob.get(path, limit=1)).ok()
    assert len(found["chunk"]) == 1


async def test_a_space_across_servers(pair: Pair, person: Society) -> None:
    """Of a space's rooms each server tells what it knows, also of one that is joined from there."""
    alice, bob = await person("alice", pair.host), await person("bob", pair.guest)
    space = await create(alice, name="Space", creation_content={"type": "m.space"})
    open_room = await create(alice, name="Open")
    closed_room = await create(alice, name="Closed", preset="private_chat")
    of_guest = await create(bob, name="Elsewhere")
    for room_id, server in ((open_room, alice.home), (closed_room, alice.home), (of_guest, bob.home)):
        await alice.set_state(space, "m.space.child", {"via": [server]}, room_id)
    for reader in (alice, bob):
        wanted = {"Space", "Open", "Elsewhere"} | ({"Closed"} if reader is alice else set())
        if reader is bob:
            await join(bob, space, alice.home)
        found = (await reader.get(f"/_matrix/client/v1/rooms/{space}/hierarchy")).ok()["rooms"]
        assert {one.get("name") for one in found} == wanted


async def test_aliases(pair: Pair, person: Society) -> None:
    alice, bob = await person("alice", pair.host), await person("bob", pair.guest)
    room_id = await create(alice)
    await join(bob, room_id, alice.home)
    alias = f"#of-{bob.user_id[1:].partition(':')[0]}:{bob.home}"
    (await bob.put(f"/_matrix/client/v3/directory/room/{quote(alias)}", {"room_id": room_id})).ok()
    assert (await alice.get(f"/_matrix/client/v3/directory/room/{quote(alias)}")).ok()["room_id"] == room_id
    await alice.set_state(room_id, "m.room.canonical_alias", {"alias": alias})
    await sees(bob, room_id, "m.room.canonical_alias", {"alias": alias})
    (await bob.delete(f"/_matrix/client/v3/directory/room/{quote(alias)}")).ok()
    (await alice.get(f"/_matrix/client/v3/directory/room/{quote(alias)}")).refused(404, "M_NOT_FOUND")


async def test_a_direct_chat_is_marked(pair: Pair, person: Society) -> None:
    alice, bob = await person("alice", pair.host), await person("bob", pair.guest)
    room_id = await create(alice, preset="trusted_private_chat", invite=[bob.user_id], is_direct=True)
    shown = await invited(bob, room_id)
    invite = [event for event in shown["invite_state"]["events"] if event.get("state_key") == bob.user_id]
    assert invite[0]["content"]["is_direct"] is True
    await bob.join(room_id)
    await becomes(alice, room_id, bob.user_id, "join")
