"""`/sync`, case by case; `test_sync_properties` has the courses at random."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import quote

from weft.testing import Client, TestServer, Twins


def joined(answer: dict[str, Any], room_id: str) -> dict[str, Any]:
    section: dict[str, Any] = answer["rooms"]["join"][room_id]
    return section


def bodies(section: dict[str, Any]) -> list[str]:
    return [e["content"]["body"] for e in section["timeline"]["events"] if e["type"] == "m.room.message"]


def members(section: dict[str, Any], name: str = "state") -> set[str]:
    return {e["state_key"] for e in section[name]["events"] if e["type"] == "m.room.member"}


def timeline_filter(limit: int, **room: Any) -> dict[str, Any]:
    return {"room": {"timeline": {"limit": limit}, **room}}


async def test_nothing_new_is_an_answer_without_rooms(server: TestServer) -> None:
    alice = await server.user("alice")
    await alice.create_room()
    first = await alice.sync()
    second = await alice.sync(first["next_batch"])
    assert set(second) == {"next_batch", "device_one_time_keys_count", "device_unused_fallback_key_types"}


async def test_a_token_of_somebody_elses_making_is_refused(server: TestServer) -> None:
    alice = await server.user("alice")
    for token in ("nonsense", "s", "s1", "s1.x", "s-1.2", "t1-2", "s1.2.3"):
        (await alice.get("/_matrix/client/v3/sync", since=token)).refused(400, "M_INVALID_PARAM")


async def test_a_waiting_sync_answers_as_soon_as_something_happens(server: TestServer) -> None:
    alice, bob = await server.user("alice"), await server.user("bob")
    room_id = await alice.create_room(preset="public_chat")
    await bob.join(room_id)
    since = (await bob.sync())["next_batch"]
    waiting = asyncio.create_task(bob.sync(since, timeout=20_000))
    await asyncio.sleep(0.05)
    assert not waiting.done()
    event_id = await alice.send(room_id, "wake up")
    answer = await asyncio.wait_for(waiting, 5)
    assert joined(answer, room_id)["timeline"]["events"][-1]["event_id"] == event_id


async def test_a_waiting_sync_ends_when_its_time_is_over(server: TestServer) -> None:
    alice = await server.user("alice")
    since = (await alice.sync())["next_batch"]
    loop = asyncio.get_running_loop()
    started = loop.time()
    answer = await alice.sync(since, timeout=100)
    assert loop.time() - started >= 0.09
    assert "rooms" not in answer


async def test_what_others_do_elsewhere_wakes_nobody(server: TestServer) -> None:
    alice, bob = await server.user("alice"), await server.user("bob")
    room_id = await alice.create_room()
    since = (await bob.sync())["next_batch"]
    waiting = asyncio.create_task(bob.sync(since, timeout=300))
    await alice.send(room_id, "to myself")
    assert "rooms" not in await waiting


async def test_a_limited_timeline_goes_on_in_messages_without_gap_or_overlap(server: TestServer) -> None:
    alice, bob = await server.user("alice"), await server.user("bob")
    room_id = await alice.create_room(preset="public_chat")
    await bob.join(room_id)
    since = (await bob.sync())["next_batch"]
    sent = [await alice.send(room_id, f"number {n}") for n in range(7)]
    section = joined(await bob.sync(since, filter=timeline_filter(3)), room_id)
    assert section["timeline"]["limited"] is True
    assert [e["event_id"] for e in section["timeline"]["events"]] == sent[4:]
    path = f"/_matrix/client/v3/rooms/{quote(room_id)}/messages"
    page = (await bob.get(path, from_=section["timeline"]["prev_batch"], dir="b", limit=4)).ok()
    assert [e["event_id"] for e in page["chunk"]] == sent[:4][::-1]


async def test_state_that_the_timeline_leaves_out_is_told_besides(server: TestServer) -> None:
    alice, bob = await server.user("alice"), await server.user("bob")
    room_id = await alice.create_room(preset="public_chat", name="first")
    await bob.join(room_id)
    since = (await bob.sync())["next_batch"]
    await alice.set_state(room_id, "m.room.name", {"name": "second"})
    for number in range(3):
        await alice.send(room_id, f"{number}")
    section = joined(await bob.sync(since, filter=timeline_filter(2)), room_id)
    assert [e["content"]["name"] for e in section["state"]["events"]] == ["second"]
    whole = joined(await bob.sync(since), room_id)
    assert whole["state"]["events"] == [], "what is in the timeline is not told twice"


async def test_state_after_is_the_state_at_the_end_of_the_timeline(server: TestServer) -> None:
    alice = await server.user("alice")
    room_id = await alice.create_room(name="first")
    since = (await alice.sync())["next_batch"]
    await alice.set_state(room_id, "m.room.name", {"name": "second"})
    await alice.set_state(room_id, "m.room.name", {"name": "third"})
    section = joined(await alice.sync(since, use_state_after=True), room_id)
    assert "state" not in section
    assert [e["content"]["name"] for e in section["state_after"]["events"]] == ["third"]
    unstable = await alice.get("/_matrix/client/v3/sync", since=since, **{"org.matrix.msc4222.use_state_after": True})
    assert "org.matrix.msc4222.state_after" in joined(unstable.ok(), room_id)


async def test_full_state_tells_the_state_of_every_room_again(server: TestServer) -> None:
    alice = await server.user("alice")
    room_id = await alice.create_room(name="kept")
    since = (await alice.sync())["next_batch"]
    section = joined(await alice.sync(since, full_state=True), room_id)
    assert section["timeline"]["events"] == []
    assert "kept" in [e["content"].get("name") for e in section["state"]["events"]]


async def test_lazy_loading_tells_the_members_whom_the_timeline_mentions_and_each_once(server: TestServer) -> None:
    alice, bob, carol = await server.user("alice"), await server.user("bob"), await server.user("carol")
    room_id = await alice.create_room(preset="public_chat", name="named")
    for person in (bob, carol):
        await person.join(room_id)
    await bob.send(room_id, "from bob")
    lazy = timeline_filter(1, state={"lazy_load_members": True})
    first = await alice.sync(filter=lazy)
    told = members(joined(first, room_id))
    assert bob.user_id in told
    assert carol.user_id not in told
    await bob.send(room_id, "again")
    await carol.send(room_id, "from carol")
    second = await alice.sync(first["next_batch"], filter=timeline_filter(5, state={"lazy_load_members": True}))
    told = members(joined(second, room_id))
    # Each process remembers for itself whom it has told; of two, the other one may repeat.
    assert told == {carol.user_id} or (isinstance(server, Twins) and told == {bob.user_id, carol.user_id})
    redundant = {"lazy_load_members": True, "include_redundant_members": True}
    again = await alice.sync(first["next_batch"], filter=timeline_filter(5, state=redundant))
    assert members(joined(again, room_id)) == {bob.user_id, carol.user_id}


async def test_a_room_joined_since_is_told_from_the_beginning(server: TestServer) -> None:
    alice, bob = await server.user("alice"), await server.user("bob")
    room_id = await alice.create_room(preset="public_chat", name="of alice")
    await alice.send(room_id, "before bob")
    since = (await bob.sync())["next_batch"]
    await bob.join(room_id)
    section = joined(await bob.sync(since), room_id)
    told = {
        (e["type"], e["state_key"])
        for e in [*section["state"]["events"], *section["timeline"]["events"]]
        if "state_key" in e
    }
    assert {("m.room.create", ""), ("m.room.name", ""), ("m.room.member", alice.user_id)} <= told
    assert "before bob" in bodies(section)
    assert section["summary"]["m.joined_member_count"] == 2


async def test_an_invitation_comes_with_the_stripped_state_and_goes_when_it_is_declined(server: TestServer) -> None:
    alice, bob = await server.user("alice"), await server.user("bob")
    room_id = await alice.create_room(preset="private_chat", name="inside")
    since = (await bob.sync())["next_batch"]
    await alice.invite(room_id, bob.user_id)
    answer = await bob.sync(since)
    events = answer["rooms"]["invite"][room_id]["invite_state"]["events"]
    assert {"m.room.create", "m.room.name", "m.room.join_rules", "m.room.member"} <= {e["type"] for e in events}
    assert [e["content"]["membership"] for e in events if e.get("state_key") == bob.user_id] == ["invite"]
    await bob.leave(room_id)
    after = await bob.sync(answer["next_batch"])
    section = after["rooms"]["leave"][room_id]
    assert [e["content"].get("membership") for e in section["timeline"]["events"]] == ["leave"]
    assert "inside" not in str(section), "who never was in the room is told nothing of it"


async def test_whoever_wants_no_invitations_or_none_of_somebodys_sees_none(server: TestServer) -> None:
    alice, bob = await server.user("alice"), await server.user("bob")
    room_id = await alice.create_room(preset="private_chat")
    await alice.invite(room_id, bob.user_id)
    assert room_id in (await bob.sync())["rooms"]["invite"]
    data = f"/_matrix/client/v3/user/{quote(bob.user_id)}/account_data"
    (await bob.put(f"{data}/m.ignored_user_list", {"ignored_users": {alice.user_id: {}}})).ok()
    assert "invite" not in (await bob.sync()).get("rooms", {})
    (await bob.put(f"{data}/m.ignored_user_list", {"ignored_users": {}})).ok()
    (await bob.put(f"{data}/m.invite_permission_config", {"default_action": "block"})).ok()
    assert "invite" not in (await bob.sync()).get("rooms", {})


async def test_invites_of_some_are_refused_and_of_some_not_shown(server: TestServer) -> None:
    """https://github.com/matrix-org/matrix-spec-proposals/pull/4155"""
    alice, bob, carol = [await server.user(name) for name in ("alice", "bob", "carol")]
    data = f"/_matrix/client/v3/user/{quote(bob.user_id)}/account_data/org.matrix.msc4155.invite_permission_config"
    (await bob.put(data, {"blocked_users": [alice.user_id], "ignored_users": ["@car*:*"]})).ok()
    refused = await alice.post(f"/_matrix/client/v3/rooms/{await alice.create_room()}/invite", {"user_id": bob.user_id})
    refused.refused(403, "M_INVITE_BLOCKED")
    room_id = await carol.create_room(invite=[bob.user_id])
    assert "invite" not in (await bob.sync()).get("rooms", {})
    lists = {"lists": {"all": {"ranges": [[0, 9]], "timeline_limit": 1, "required_state": []}}}
    sliding = "/_matrix/client/unstable/org.matrix.simplified_msc3575/sync"
    assert (await bob.post(sliding, lists)).ok()["lists"]["all"]["count"] == 0
    # It was taken in, and can be accepted by who knows of it otherwise.
    await bob.join(room_id)


async def test_messages_of_the_ignored_are_left_out(server: TestServer) -> None:
    alice, bob = await server.user("alice"), await server.user("bob")
    room_id = await alice.create_room(preset="public_chat")
    await bob.join(room_id)
    data = f"/_matrix/client/v3/user/{quote(alice.user_id)}/account_data/m.ignored_user_list"
    (await alice.put(data, {"ignored_users": {bob.user_id: {}}})).ok()
    since = (await alice.sync())["next_batch"]
    await bob.send(room_id, "unheard")
    await bob.set_state(room_id, "m.room.member", {"membership": "join", "displayname": "Bobby"}, bob.user_id)
    section = joined(await alice.sync(since), room_id)
    assert bodies(section) == []
    assert [e["content"]["displayname"] for e in section["timeline"]["events"]] == ["Bobby"], "state is shown"


async def test_a_room_that_was_left_ends_with_the_leaving(server: TestServer) -> None:
    alice, bob = await server.user("alice"), await server.user("bob")
    room_id = await alice.create_room(preset="public_chat")
    await bob.join(room_id)
    since = (await bob.sync())["next_batch"]
    await alice.send(room_id, "while bob is here")
    kick = {"user_id": bob.user_id, "reason": "enough"}
    (await alice.post(f"/_matrix/client/v3/rooms/{quote(room_id)}/kick", kick)).ok()
    await alice.send(room_id, "behind his back")
    answer = await bob.sync(since)
    assert "join" not in answer["rooms"]
    timeline = answer["rooms"]["leave"][room_id]["timeline"]["events"]
    assert timeline[-1]["content"]["membership"] == "leave"
    assert "behind his back" not in str(answer)
    later = await bob.sync(answer["next_batch"])
    assert "rooms" not in later
    assert "leave" not in (await bob.sync()).get("rooms", {})
    included = await bob.sync(filter={"room": {"include_leave": True}})
    assert "behind his back" not in str(included["rooms"]["leave"][room_id])


async def test_filters_choose_rooms_types_senders_and_fields(server: TestServer) -> None:
    alice = await server.user("alice")
    kept, other = await alice.create_room(name="kept"), await alice.create_room(name="other")
    await alice.send(kept, "hello")
    only_room = await alice.sync(filter={"room": {"rooms": [kept]}})
    assert list(only_room["rooms"]["join"]) == [kept]
    without = await alice.sync(filter={"room": {"not_rooms": [other]}})
    assert list(without["rooms"]["join"]) == [kept]
    types = await alice.sync(filter={"room": {"timeline": {"types": ["m.room.message"]}, "state": {"types": []}}})
    assert {e["type"] for e in joined(types, kept)["timeline"]["events"]} == {"m.room.message"}
    assert joined(types, kept)["state"]["events"] == []
    nobody = await alice.sync(filter={"room": {"timeline": {"not_senders": [alice.user_id]}}})
    assert joined(nobody, kept)["timeline"]["events"] == []
    # What these two ask for is not what the specification's schema of an event allows.
    unwatched = Client(server.app, token=alice.token)
    fields = await unwatched.sync(filter={"event_fields": ["type", "content.body"], "room": {"state": {"types": []}}})
    assert {"type": "m.room.message", "content": {"body": "hello"}} in joined(fields, kept)["timeline"]["events"]
    federation = await unwatched.sync(filter={"event_format": "federation"})
    assert all("auth_events" in e for e in joined(federation, kept)["timeline"]["events"])


async def test_the_sending_device_alone_learns_its_transaction_id(server: TestServer) -> None:
    alice = await server.user("alice")
    phone = await server.login("alice")
    room_id = await alice.create_room()
    path = f"/_matrix/client/v3/rooms/{quote(room_id)}/send/m.room.message/my-transaction"
    (await alice.put(path, {"msgtype": "m.text", "body": "x"})).ok()

    async def transaction_id(client: Client) -> str | None:
        unsigned: dict[str, str] = joined(await client.sync(), room_id)["timeline"]["events"][-1]["unsigned"]
        return unsigned.get("transaction_id")

    assert await transaction_id(alice) == "my-transaction"
    assert await transaction_id(phone) is None
    await server.restart()
    assert await transaction_id(alice) == "my-transaction"
    assert await transaction_id(phone) is None


async def test_a_token_from_before_a_restart_goes_on_after_it(server: TestServer) -> None:
    alice = await server.user("alice")
    room_id = await alice.create_room()
    since = (await alice.sync())["next_batch"]
    before = await alice.send(room_id, "before")
    await server.restart()
    after = await alice.send(room_id, "after")
    section = joined(await alice.sync(since), room_id)
    assert [e["event_id"] for e in section["timeline"]["events"]] == [before, after]
    assert section["timeline"]["limited"] is False


async def test_a_nameless_room_is_called_by_its_members(server: TestServer) -> None:
    alice, bob = await server.user("alice"), await server.user("bob")
    room_id = await alice.create_room(preset="public_chat")
    await bob.join(room_id)
    summary = joined(await alice.sync(), room_id)["summary"]
    assert summary == {"m.heroes": [bob.user_id], "m.joined_member_count": 2, "m.invited_member_count": 0}


async def test_what_was_said_before_one_left_is_told_with_the_leaving(server: TestServer) -> None:
    alice, bob = await server.user("alice"), await server.user("bob")
    room_id = await alice.create_room(preset="public_chat")
    await bob.join(room_id)
    since = (await bob.sync())["next_batch"]
    await alice.send(room_id, "bye")
    await bob.leave(room_id)
    await alice.send(room_id, "he is gone")
    left = (await bob.sync(since))["rooms"]["leave"][room_id]
    assert bodies(left) == ["bye"]
    assert not left["timeline"]["limited"]
