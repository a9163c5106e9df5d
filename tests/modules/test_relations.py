"""What relates to events, threads, and what is bundled with events.

https://spec.matrix.org/v1.19/client-server-api/#forming-relationships-between-events
"""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from weft.graph.build import Draft
from weft.testing import Client, TestServer

V3 = "/_matrix/client/v3"
V1 = "/_matrix/client/v1"
TRANSACTIONS = itertools.count()


async def room_of(server: TestServer) -> tuple[Client, Client, str]:
    """Alice and Bob in a room."""
    alice, bob = await server.user("alice"), await server.user("bob")
    room_id = await alice.create_room(preset="public_chat")
    await bob.join(room_id)
    return alice, bob, room_id


async def relate(client: Client, room_id: str, target: str, rel_type: str, body: str = "related", **more: Any) -> str:
    relation = {"rel_type": rel_type, "event_id": target}
    content = {"msgtype": "m.text", "body": body, "m.relates_to": relation, **more}
    return await say(client, room_id, "m.room.message", content)


async def say(client: Client, room_id: str, event_type: str, content: dict[str, Any]) -> str:
    path = f"{V3}/rooms/{room_id}/send/{event_type}/say{next(TRANSACTIONS)}"
    event_id: str = (await client.put(path, content)).ok()["event_id"]
    return event_id


async def react(client: Client, room_id: str, target: str, key: str) -> str:
    relation = {"rel_type": "m.annotation", "event_id": target, "key": key}
    return await say(client, room_id, "m.reaction", {"m.relates_to": relation})


async def edit(client: Client, room_id: str, target: str, body: str) -> str:
    return await relate(
        client, room_id, target, "m.replace", f"* {body}", **{"m.new_content": {"msgtype": "m.text", "body": body}}
    )


async def redact(client: Client, room_id: str, event_id: str) -> None:
    (await client.put(f"{V3}/rooms/{room_id}/redact/{event_id}/r{event_id[1:9]}")).ok()


async def ignore(client: Client, *user_ids: str) -> None:
    path = f"{V3}/user/{client.user_id}/account_data/m.ignored_user_list"
    (await client.put(path, {"ignored_users": {user_id: {} for user_id in user_ids}})).ok()


async def event(client: Client, room_id: str, event_id: str) -> Any:
    return (await client.get(f"{V3}/rooms/{room_id}/event/{event_id}")).ok()


async def bundled(client: Client, room_id: str, event_id: str) -> Any:
    return (await event(client, room_id, event_id))["unsigned"].get("m.relations", {})


async def related(client: Client, room_id: str, path: str, **query: Any) -> Any:
    return (await client.get(f"{V1}/rooms/{room_id}/relations/{path}", **query)).ok()


def ids(events: list[Any]) -> list[str]:
    return [one["event_id"] for one in events]


# -- /relations


async def test_all_shapes_of_relations(server: TestServer) -> None:
    alice, bob, room_id = await room_of(server)
    root = await alice.send(room_id)
    answer = await relate(bob, room_id, root, "m.thread")
    liked = await react(bob, room_id, root, "+1")
    loved = await react(alice, room_id, root, "heart")
    assert ids((await related(alice, room_id, root))["chunk"]) == [loved, liked, answer]
    assert ids((await related(alice, room_id, root, dir="f"))["chunk"]) == [answer, liked, loved]
    assert ids((await related(alice, room_id, f"{root}/m.annotation"))["chunk"]) == [loved, liked]
    assert ids((await related(alice, room_id, f"{root}/m.thread/m.room.message"))["chunk"]) == [answer]
    assert ids((await related(alice, room_id, f"{root}/m.thread/m.reaction"))["chunk"]) == []
    whole = await related(bob, room_id, root)
    assert set(whole) == {"chunk"}
    assert whole["chunk"][0]["room_id"] == room_id


@pytest.mark.parametrize("direction", ["b", "f"])
async def test_pages_of_relations(server: TestServer, direction: str) -> None:
    alice, _, room_id = await room_of(server)
    root = await alice.send(room_id)
    thread = [await relate(alice, room_id, root, "m.thread") for _ in range(7)]
    found: list[str] = []
    query: dict[str, Any] = {}
    while True:
        page = await related(alice, room_id, f"{root}/m.thread", dir=direction, limit=3, **query)
        assert page.get("prev_batch") == query.get("from_")
        found += ids(page["chunk"])
        if "next_batch" not in page:
            break
        query["from_"] = page["next_batch"]
    assert found == (thread if direction == "f" else thread[::-1])


async def test_relations_between_tokens_of_sync_and_messages(server: TestServer) -> None:
    alice, _, room_id = await room_of(server)
    root = await alice.send(room_id)
    old = [await relate(alice, room_id, root, "m.thread") for _ in range(2)]
    token = (await alice.sync())["next_batch"]
    new = [await relate(alice, room_id, root, "m.thread") for _ in range(2)]
    assert ids((await related(alice, room_id, root, from_=token))["chunk"]) == old[::-1]
    assert ids((await related(alice, room_id, root, to=token))["chunk"]) == new[::-1]
    assert ids((await related(alice, room_id, root, from_=token, dir="f"))["chunk"]) == new
    assert ids((await related(alice, room_id, root, to=token, dir="f"))["chunk"]) == old
    page = (await alice.get(f"{V3}/rooms/{room_id}/messages", dir="b", limit=1)).ok()
    assert ids((await related(alice, room_id, root, from_=page["end"]))["chunk"]) == [new[0], *old[::-1]]
    answer = await alice.get(f"{V1}/rooms/{room_id}/relations/{root}", from_="nonsense")
    answer.refused(400, "M_INVALID_PARAM")


async def test_recursing(server: TestServer) -> None:
    alice, bob, room_id = await room_of(server)
    root = await alice.send(room_id)
    one = await relate(bob, room_id, root, "m.thread")
    two = await react(alice, room_id, one, "+1")
    three = await relate(alice, room_id, two, "m.reference")
    await relate(alice, room_id, three, "m.reference")
    flat = await related(alice, room_id, root)
    assert ids(flat["chunk"]) == [one]
    assert "recursion_depth" not in flat
    deep = await related(alice, room_id, root, recurse=True)
    assert ids(deep["chunk"]) == [three, two, one]
    assert deep["recursion_depth"] == 3
    assert (await related(alice, room_id, root, recurse=False))["recursion_depth"] == 1
    # What is found over a relation of another kind does not count.
    assert ids((await related(alice, room_id, f"{root}/m.reference", recurse=True))["chunk"]) == []


async def test_relations_to_what_is_not_there_or_hidden(server: TestServer) -> None:
    alice, bob, room_id = await room_of(server)
    carol = await server.user("carol")
    root = await alice.send(room_id)
    other = await alice.create_room()
    for client, room, target in (
        (carol, room_id, root),
        (alice, room_id, "$unknown"),
        (alice, other, root),
        (alice, "!unknown:weft.test", root),
    ):
        (await client.get(f"{V1}/rooms/{room}/relations/{target}")).refused(404, "M_NOT_FOUND")
    shown = await relate(alice, room_id, root, "m.thread")
    await bob.leave(room_id)
    await relate(alice, room_id, root, "m.thread")
    assert ids((await related(bob, room_id, root))["chunk"]) == [shown]


async def test_redacted_and_ignored_relations_are_gone(server: TestServer) -> None:
    alice, bob, room_id = await room_of(server)
    root = await alice.send(room_id)
    his = await relate(bob, room_id, root, "m.thread")
    mine = await relate(alice, room_id, root, "m.thread")
    gone = await relate(alice, room_id, root, "m.thread")
    await redact(alice, room_id, gone)
    assert ids((await related(alice, room_id, root))["chunk"]) == [mine, his]
    await ignore(alice, bob.user_id)
    assert ids((await related(alice, room_id, root))["chunk"]) == [mine]


# -- edits


async def test_the_newest_edit_is_bundled_and_falls_back_when_redacted(server: TestServer) -> None:
    alice, bob, room_id = await room_of(server)
    original = await alice.send(room_id, "one")
    first = await edit(alice, room_id, original, "two")
    second = await edit(alice, room_id, original, "three")
    shown = await event(bob, room_id, original)
    assert shown["content"]["body"] == "one"
    assert shown["unsigned"]["m.relations"]["m.replace"]["event_id"] == second
    assert shown["unsigned"]["m.relations"]["m.replace"]["content"]["m.new_content"]["body"] == "three"
    await redact(alice, room_id, second)
    assert (await bundled(bob, room_id, original))["m.replace"]["event_id"] == first
    await redact(alice, room_id, first)
    assert await bundled(bob, room_id, original) == {}


async def test_edits_that_do_not_count(server: TestServer) -> None:
    alice, bob, room_id = await room_of(server)
    original = await alice.send(room_id, "one")
    await edit(bob, room_id, original, "not yours")
    await relate(alice, room_id, original, "m.replace", "no new content")
    replacement = {"m.new_content": {"x": 1}, "m.relates_to": {"rel_type": "m.replace", "event_id": original}}
    await say(alice, room_id, "org.example.other", replacement)
    assert await bundled(alice, room_id, original) == {}
    good = await edit(alice, room_id, original, "two")
    await edit(alice, room_id, good, "an edit of an edit")
    assert await bundled(alice, room_id, good) == {}
    assert (await bundled(alice, room_id, original))["m.replace"]["event_id"] == good
    topic = await alice.set_state(room_id, "m.room.topic", {"topic": "state"})
    replacement = {"m.new_content": {"topic": "x"}, "m.relates_to": {"rel_type": "m.replace", "event_id": topic}}
    await say(alice, room_id, "m.room.topic", replacement)
    assert await bundled(alice, room_id, topic) == {}


async def test_the_time_decides_which_edit_is_newest(server: TestServer) -> None:
    alice, _, room_id = await room_of(server)
    original = await alice.send(room_id, "one")
    append = server.server.engine.append.append
    now = server.clock()

    async def edited(time_ms: int, body: str) -> str:
        content = {
            "msgtype": "m.text",
            "body": body,
            "m.new_content": {"msgtype": "m.text", "body": body},
            "m.relates_to": {"rel_type": "m.replace", "event_id": original},
        }
        draft = Draft(type="m.room.message", sender=alice.user_id, content=content, origin_server_ts=time_ms)
        return (await append(room_id, draft)).event.event_id

    later = await edited(now + 1000, "later")
    await edited(now, "earlier")
    assert (await bundled(alice, room_id, original))["m.replace"]["event_id"] == later
    same = [await edited(now + 5000, str(number)) for number in range(4)]
    assert (await bundled(alice, room_id, original))["m.replace"]["event_id"] == max(same)


async def test_a_redacted_original_has_no_edit_but_keeps_its_thread(server: TestServer) -> None:
    alice, bob, room_id = await room_of(server)
    root = await alice.send(room_id, "root")
    await edit(alice, room_id, root, "better root")
    answer = await relate(bob, room_id, root, "m.thread")
    reference = await relate(bob, room_id, root, "m.reference")
    await redact(alice, room_id, root)
    relations = await bundled(bob, room_id, root)
    assert set(relations) == {"m.thread", "m.reference"}
    assert relations["m.thread"]["latest_event"]["event_id"] == answer
    assert relations["m.reference"] == {"chunk": [{"event_id": reference}]}


# -- reactions and references


async def test_reactions_are_not_bundled_but_references_are(server: TestServer) -> None:
    alice, bob, room_id = await room_of(server)
    target = await alice.send(room_id)
    await react(bob, room_id, target, "+1")
    assert await bundled(alice, room_id, target) == {}
    references = [
        await relate(bob, room_id, target, "m.reference"),
        await relate(alice, room_id, target, "m.reference"),
    ]
    assert await bundled(alice, room_id, target) == {
        "m.reference": {"chunk": [{"event_id": event_id} for event_id in references]}
    }
    await ignore(alice, bob.user_id)
    assert (await bundled(alice, room_id, target))["m.reference"] == {"chunk": [{"event_id": references[1]}]}


async def test_relations_from_another_room_do_not_count(server: TestServer) -> None:
    alice, _, room_id = await room_of(server)
    other = await alice.create_room()
    target = await alice.send(room_id)
    for rel_type in ("m.reference", "m.thread", "m.replace"):
        content = {
            "msgtype": "m.text",
            "body": "x",
            "m.new_content": {"msgtype": "m.text", "body": "x"},
            "m.relates_to": {"rel_type": rel_type, "event_id": target},
        }
        # A client's request would be refused.
        draft = Draft(type="m.room.message", sender=alice.user_id, content=content)
        await server.server.engine.append.append(other, draft)
    assert await bundled(alice, room_id, target) == {}
    assert (await related(alice, room_id, target))["chunk"] == []


# -- threads


async def test_a_thread_is_bundled_with_its_root(server: TestServer) -> None:
    alice, bob, room_id = await room_of(server)
    carol = await server.user("carol")
    await carol.join(room_id)
    root = await alice.send(room_id)
    await relate(bob, room_id, root, "m.thread", "one")
    last = await relate(bob, room_id, root, "m.thread", "two")
    thread = (await bundled(carol, room_id, root))["m.thread"]
    assert thread["count"] == 2
    assert thread["current_user_participated"] is False
    assert thread["latest_event"]["event_id"] == last
    assert thread["latest_event"]["room_id"] == room_id
    for client in (alice, bob):
        assert (await bundled(client, room_id, root))["m.thread"]["current_user_participated"] is True
    await relate(carol, room_id, root, "m.thread", "three")
    thread = (await bundled(carol, room_id, root))["m.thread"]
    assert (thread["count"], thread["current_user_participated"]) == (3, True)
    # The newest event of the thread comes with its edit.
    better = await edit(bob, room_id, last, "two, better")
    await redact(carol, room_id, thread["latest_event"]["event_id"])
    thread = (await bundled(alice, room_id, root))["m.thread"]
    assert thread["count"] == 2
    assert thread["latest_event"]["event_id"] == last
    assert thread["latest_event"]["unsigned"]["m.relations"]["m.replace"]["event_id"] == better
    await edit(alice, room_id, root, "the root, better")
    assert set(await bundled(alice, room_id, root)) == {"m.thread", "m.replace"}


async def test_threads_without_ignored_users(server: TestServer) -> None:
    alice, bob, room_id = await room_of(server)
    root = await alice.send(room_id)
    mine = await relate(alice, room_id, root, "m.thread")
    his = await relate(bob, room_id, root, "m.thread")
    assert (await bundled(bob, room_id, root))["m.thread"]["latest_event"]["event_id"] == his
    await ignore(alice, bob.user_id)
    thread = (await bundled(alice, room_id, root))["m.thread"]
    assert (thread["count"], thread["latest_event"]["event_id"]) == (1, mine)
    assert (await bundled(bob, room_id, root))["m.thread"]["count"] == 2


async def test_what_was_said_after_one_left_is_not_bundled(server: TestServer) -> None:
    alice, bob, room_id = await room_of(server)
    root = await alice.send(room_id, "root")
    await bob.leave(room_id)
    await relate(alice, room_id, root, "m.thread", "secret")
    await relate(alice, room_id, root, "m.reference", "secret")
    await edit(alice, room_id, root, "secret")
    assert await bundled(bob, room_id, root) == {}
    page = (await bob.get(f"{V3}/rooms/{room_id}/messages", dir="b", limit=50)).body
    assert b"secret" not in page
    assert set(await bundled(alice, room_id, root)) == {"m.thread", "m.replace", "m.reference"}


async def test_what_has_a_relation_is_no_root(server: TestServer) -> None:
    alice, _, room_id = await room_of(server)
    root = await alice.send(room_id)
    inner = await relate(alice, room_id, root, "m.thread")
    content = {"msgtype": "m.text", "body": "x", "m.relates_to": {"rel_type": "m.thread", "event_id": inner}}
    # A client's request would be refused, another server's event is not.
    draft = Draft(type="m.room.message", sender=alice.user_id, content=content)
    await server.server.engine.append.append(room_id, draft)
    assert await bundled(alice, room_id, inner) == {}
    found = (await alice.get(f"{V1}/rooms/{room_id}/threads")).ok()
    assert ids(found["chunk"]) == [root]


async def test_bundles_are_where_the_specification_wants_them(server: TestServer) -> None:
    alice, bob, room_id = await room_of(server)
    root = await alice.send(room_id, "root")
    edited = await edit(alice, room_id, root, "better")
    answer = await relate(bob, room_id, root, "m.thread", "answer")
    edited_answer = await edit(bob, room_id, answer, "better answer")

    def edit_of(events: list[Any], event_id: str) -> str:
        found = next(one for one in events if one["event_id"] == event_id)
        edit_id: str = found["unsigned"]["m.relations"]["m.replace"]["event_id"]
        return edit_id

    page = (await alice.get(f"{V3}/rooms/{room_id}/messages", dir="b")).ok()
    assert edit_of(page["chunk"], root) == edited
    context = (await alice.get(f"{V3}/rooms/{room_id}/context/{edited}")).ok()
    assert edit_of(context["events_before"], root) == edited
    assert edit_of(context["events_after"], answer) == edited_answer
    assert edit_of((await related(alice, room_id, f"{root}/m.thread"))["chunk"], answer) == edited_answer
    assert edit_of((await alice.get(f"{V1}/rooms/{room_id}/threads")).ok()["chunk"], root) == edited


# -- /threads


async def threads(client: Client, room_id: str, **query: Any) -> Any:
    return (await client.get(f"{V1}/rooms/{room_id}/threads", **query)).ok()


async def test_threads_by_their_newest_event(server: TestServer) -> None:
    alice, bob, room_id = await room_of(server)
    carol = await server.user("carol")
    await carol.join(room_id)
    one, two, three = [await alice.send(room_id, f"root {number}") for number in range(3)]
    for root in (one, two, three, one):
        await relate(bob, room_id, root, "m.thread")
    assert ids((await threads(alice, room_id))["chunk"]) == [one, three, two]
    assert (await threads(alice, room_id))["chunk"][0]["unsigned"]["m.relations"]["m.thread"]["count"] == 2
    assert (await threads(carol, room_id, include="participated"))["chunk"] == []
    assert len((await threads(alice, room_id, include="participated"))["chunk"]) == 3
    await relate(carol, room_id, two, "m.thread")
    assert ids((await threads(carol, room_id, include="participated"))["chunk"]) == [two]
    first = await threads(bob, room_id, limit=2)
    assert ids(first["chunk"]) == [two, one]
    second = await threads(bob, room_id, limit=2, from_=first["next_batch"])
    assert ids(second["chunk"]) == [three]
    assert "next_batch" not in second


async def test_threads_that_are_refused(server: TestServer) -> None:
    alice, bob, room_id = await room_of(server)
    carol = await server.user("carol")
    path = f"{V1}/rooms/{room_id}/threads"
    (await alice.get(path, from_="nonsense")).refused(400, "M_INVALID_PARAM")
    (await alice.get(path, limit=0)).refused(400, "M_INVALID_PARAM")
    (await alice.get(path, include="others")).refused(400, "M_INVALID_PARAM")
    (await carol.get(path)).refused(403, "M_FORBIDDEN")
    (await carol.get(f"{V1}/rooms/!unknown:weft.test/threads")).refused(403, "M_FORBIDDEN")
    (await alice.post(f"{V3}/rooms/{room_id}/ban", {"user_id": bob.user_id})).ok()
    (await bob.get(path)).refused(403, "M_FORBIDDEN")


async def test_threads_and_ignored_users(server: TestServer) -> None:
    alice, bob, room_id = await room_of(server)
    his_root = await bob.send(room_id, "root of bob")
    mine = await relate(alice, room_id, his_root, "m.thread")
    only_his = await alice.send(room_id, "root of alice")
    await relate(bob, room_id, only_his, "m.thread")
    await ignore(alice, bob.user_id)
    chunk = (await threads(alice, room_id))["chunk"]
    assert ids(chunk) == [his_root]
    assert chunk[0]["content"] == {}
    assert chunk[0]["unsigned"]["m.relations"]["m.thread"]["latest_event"]["event_id"] == mine


async def test_threads_for_who_has_left(server: TestServer) -> None:
    alice, bob, room_id = await room_of(server)
    root = await alice.send(room_id)
    await relate(alice, room_id, root, "m.thread", "for all")
    await bob.leave(room_id)
    later = await alice.send(room_id)
    await relate(alice, room_id, later, "m.thread", "secret")
    assert ids((await threads(bob, room_id))["chunk"]) == [root]
