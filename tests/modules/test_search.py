"""Full-text search. https://spec.matrix.org/v1.19/client-server-api/#server-side-search"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weft.modules.search import index, tokens
from weft.modules.search.words import MAX_WANTED, MAX_WORDS, wanted_by, words_of
from weft.testing import Client, TestServer

V3 = "/_matrix/client/v3"


async def search(client: Client, term: str, *, next_batch: str | None = None, **criteria: Any) -> Any:
    body = {"search_categories": {"room_events": {"search_term": term, **criteria}}}
    return (await client.post(f"{V3}/search", body, next_batch=next_batch)).ok()["search_categories"]["room_events"]


def ids(found: Any) -> list[str]:
    return [result["result"]["event_id"] for result in found["results"]]


async def redact(client: Client, room_id: str, event_id: str) -> None:
    (await client.put(f"{V3}/rooms/{room_id}/redact/{event_id}/r{event_id[1:9]}")).ok()


# -- words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Hello, World! it's 2pm", ["hello", "world", "it", "s", "2pm"]),
        ("snake_case foo-bar a.b@c.d", ["snake", "case", "foo", "bar", "a", "b", "c", "d"]),
        ("Straße STRASSE", ["strasse", "strasse"]),
        ("\uff28\uff45\uff4c\uff4c\uff4f \ufb01ne", ["hello", "fine"]),
        ("cafe\u0301 caf\u00e9", ["caf\u00e9", "caf\u00e9"]),
        ("Привет, МИР", ["привет", "мир"]),
        ("天気", ["天", "気", "天気"]),
        ("Python入門", ["python", "入", "門", "入門"]),
        ("한국어", ["한", "국", "어", "한국", "국어"]),
        ("हिन्दी में", ["हिन्दी", "में"]),
        ("👍 🎉!", []),
        ("", []),
    ],
)
def test_words_of_a_text(text: str, words: list[str]) -> None:
    assert words_of(text) == words


@pytest.mark.parametrize(
    ("query", "words", "shown"),
    [
        ("Hello hello World", ["hello", "world"], ["hello", "world"]),
        ("気", ["気"], ["気"]),
        ("天気予報", ["天気", "気予", "予報"], ["天気予報"]),
        ("ภาษา", ["ภา", "าษ", "ษา"], ["ภาษา"]),
        (" ... ", [], []),
    ],
)
def test_words_of_a_query(query: str, words: list[str], shown: list[str]) -> None:
    assert wanted_by(query) == (words, shown)


@given(st.text())
def test_a_text_is_found_by_itself(text: str) -> None:
    words = words_of(text)
    wanted = wanted_by(text).words
    assert set(wanted) <= set(words)
    assert all(word and not set(word) & set(" '\"\\&|!():*\x00") for word in words)


@given(st.text(alphabet=st.characters(max_codepoint=127)))
def test_plain_text_is_read_as_any_other(text: str) -> None:
    assert words_of(f"{text} \u00e9") == [*words_of(text), "\u00e9"]


def test_a_flood_of_words_is_bounded() -> None:
    assert len(words_of("天気" * 40_000)) == MAX_WORDS
    assert len(wanted_by(" ".join(str(number) for number in range(1000))).words) <= MAX_WANTED
    assert max(map(len, words_of("x" * 5000 + " e" + "\u0301" * 5000))) == 64


# -- what is found


async def test_messages_names_and_topics_are_found_by_their_keys(server: TestServer) -> None:
    alice = await server.user("alice")
    room_id = await alice.create_room(name="Martian kitchen")
    topic = await alice.set_state(room_id, "m.room.topic", {"topic": "recipes of martian kind"})
    body = await alice.send(room_id, "A Martian, and men.")
    await alice.send(room_id, "nothing of the kind")
    name = (await search(alice, "martian kitchen"))["results"][0]["result"]
    assert name["type"] == "m.room.name"
    assert set(ids(await search(alice, "MARTIAN"))) == {topic, body, name["event_id"]}
    assert ids(await search(alice, "martian", keys=["content.body"])) == [body]
    assert ids(await search(alice, "martian", keys=["content.name"])) == [name["event_id"]]
    assert set(ids(await search(alice, "martian", keys=["content.topic", "content.body"]))) == {topic, body}
    assert ids(await search(alice, "martian", keys=[])) == []
    assert ids(await search(alice, "men martian")) == [body]
    assert ids(await search(alice, "martian women")) == []
    found = await search(alice, "Men, martian!")
    assert found["highlights"] == ["men", "martian"]
    assert found["count"] == 1
    assert found["results"][0]["rank"] > 0


async def test_a_topic_is_found_by_its_rich_text(server: TestServer) -> None:
    alice = await server.user("alice")
    room_id = await alice.create_room()
    content = {"topic": "plain", "m.topic": {"m.text": [{"mimetype": "text/plain", "body": "richer words"}]}}
    topic = await alice.set_state(room_id, "m.room.topic", content)
    assert ids(await search(alice, "richer")) == ids(await search(alice, "plain")) == [topic]


async def test_extensible_messages_are_found(server: TestServer) -> None:
    alice = await server.user("alice")
    room_id = await alice.create_room()
    path = f"{V3}/rooms/{room_id}/send/m.message/one"
    sent = (await alice.put(path, {"m.text": [{"body": "extensible words"}]})).ok()["event_id"]
    assert ids(await search(alice, "extensible")) == [sent]


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("今日は天気がいいですね", "天気"),
        ("今日は天気がいいですね", "気"),
        ("我们明天去北京大学", "北京大学"),
        ("학교에서 만나요", "학교"),
        ("สวัสดีชาวโลก", "ชาวโลก"),
        ("Ünïcode WÖRDS", "wörds ünïcode"),
        ("it's 100% 'quoted' \\ & | ! (x):*", "quoted"),
    ],
)
async def test_words_of_all_scripts_are_found(server: TestServer, text: str, query: str) -> None:
    alice = await server.user("alice")
    room_id = await alice.create_room()
    sent = await alice.send(room_id, text)
    await alice.send(room_id, "something else 東京")
    assert ids(await search(alice, query)) == [sent]


@pytest.mark.parametrize("term", ["", "***", '"', "a\x00b", "NEAR(a b)", "body:x OR *", "'", "\\", "a & !b | (c)"])
async def test_what_means_something_to_databases_means_nothing(server: TestServer, term: str) -> None:
    alice = await server.user("alice")
    room_id = await alice.create_room()
    await alice.send(room_id, "unrelated")
    assert (await search(alice, term))["results"] == []


async def test_redacted_messages_are_forgotten(server: TestServer) -> None:
    alice = await server.user("alice")
    room_id = await alice.create_room()
    kept, gone = await alice.send(room_id, "secret one"), await alice.send(room_id, "secret two")
    assert set(ids(await search(alice, "secret"))) == {kept, gone}
    await redact(alice, room_id, gone)
    found = await search(alice, "secret")
    assert ids(found) == [kept]
    assert found["count"] == 1
    assert ids(await search(alice, "two")) == []


async def test_edits_are_found_on_their_own(server: TestServer) -> None:
    alice = await server.user("alice")
    room_id = await alice.create_room()
    original = await alice.send(room_id, "wrnog")
    relation = {"rel_type": "m.replace", "event_id": original}
    new: dict[str, Any] = {"m.new_content": {"msgtype": "m.text", "body": "right"}, "m.relates_to": relation}
    path = f"{V3}/rooms/{room_id}/send/m.room.message/edit"
    edited = (await alice.put(path, {"msgtype": "m.text", "body": "* right", **new})).ok()["event_id"]
    assert ids(await search(alice, "right")) == [edited]
    found = await search(alice, "wrnog")
    assert found["results"][0]["result"]["unsigned"]["m.relations"]["m.replace"]["event_id"] == edited


async def test_the_index_survives_a_restart_and_catches_up(server: TestServer) -> None:
    alice = await server.user("alice")
    room_id = await alice.create_room()
    before = await alice.send(room_id, "before the restart")
    await server.restart()
    after = await alice.send(room_id, "after the restart")
    assert set(ids(await search(alice, "restart"))) == {before, after}


# -- who finds what


async def test_only_what_one_may_see_is_found_and_counted(server: TestServer) -> None:
    alice, bob, carol = await server.user("alice"), await server.user("bob"), await server.user("carol")
    room_id = await alice.create_room(preset="public_chat")
    await bob.join(room_id)
    both = await alice.send(room_id, "needle for both")
    await bob.leave(room_id)
    alone = await alice.send(room_id, "needle for alice")
    assert set(ids(await search(alice, "needle"))) == {both, alone}
    found = await search(bob, "needle")
    assert (ids(found), found["count"]) == ([both], 1)
    found = await search(carol, "needle")
    assert (found["results"], found["count"]) == ([], 0)
    (await bob.post(f"{V3}/rooms/{room_id}/forget")).ok()
    assert ids(await search(bob, "needle")) == []
    initial = [{"type": "m.room.history_visibility", "content": {"history_visibility": "joined"}}]
    closed = await alice.create_room(preset="public_chat", initial_state=initial)
    await alice.send(closed, "haystack hidden")
    await bob.join(closed)
    shown = await alice.send(closed, "haystack shown")
    found = await search(bob, "haystack")
    assert (ids(found), found["count"]) == ([shown], 1)


async def test_ignored_users_are_not_found(server: TestServer) -> None:
    alice, bob = await server.user("alice"), await server.user("bob")
    room_id = await alice.create_room(preset="public_chat")
    await bob.join(room_id)
    mine, _ = await alice.send(room_id, "needle"), await bob.send(room_id, "needle")
    path = f"{V3}/user/{alice.user_id}/account_data/m.ignored_user_list"
    (await alice.put(path, {"ignored_users": {bob.user_id: {}}})).ok()
    found = await search(alice, "needle")
    assert (ids(found), found["count"]) == ([mine], 1)


async def test_filters(server: TestServer) -> None:
    alice, bob = await server.user("alice"), await server.user("bob")
    room_id, other = await alice.create_room(preset="public_chat"), await alice.create_room(name="needle")
    await bob.join(room_id)
    mine, his = await alice.send(room_id, "needle"), await bob.send(room_id, "needle")
    elsewhere = await alice.send(other, "needle")
    assert len(ids(await search(alice, "needle"))) == 4
    assert set(ids(await search(alice, "needle", filter={"rooms": [room_id]}))) == {mine, his}
    assert ids(await search(alice, "needle", filter={"senders": [bob.user_id]})) == [his]
    chosen = {"not_rooms": [room_id], "types": ["m.room.message"]}
    assert ids(await search(alice, "needle", filter=chosen)) == [elsewhere]
    assert len(ids(await search(alice, "needle", filter={"limit": 2}))) == 2
    body = {"search_categories": {"room_events": {"search_term": "needle", "filter": {"types": 1}}}}
    (await alice.post(f"{V3}/search", body)).refused(400, "M_BAD_JSON")


# -- order, pages, groups


async def test_recent_ones_first_page_by_page(server: TestServer) -> None:
    alice = await server.user("alice")
    room_id = await alice.create_room()
    sent = [await alice.send(room_id, f"needle {number}") for number in range(7)]
    found: list[str] = []
    token: str | None = None
    for _ in range(4):
        page = await search(alice, "needle", order_by="recent", filter={"limit": 3}, next_batch=token)
        assert page["count"] == 7
        found += ids(page)
        token = page.get("next_batch")
        if token is None:
            break
        await alice.send(room_id, "unrelated")
    assert found == sent[::-1]


async def test_better_matches_first_page_by_page(server: TestServer) -> None:
    alice = await server.user("alice")
    room_id = await alice.create_room()
    weak = await alice.send(room_id, "a needle in so very many other words that it is hardly worth a look at all")
    strong = await alice.send(room_id, "needle needle needle")
    others = [await alice.send(room_id, f"needle {number}") for number in range(5)]
    first = await search(alice, "needle", filter={"limit": 2})
    assert ids(first)[0] == strong
    ranks = [result["rank"] for result in first["results"]]
    assert ranks == sorted(ranks, reverse=True)
    found = ids(first)
    token = first["next_batch"]
    while token is not None:
        page = await search(alice, "needle", filter={"limit": 2}, next_batch=token)
        found += ids(page)
        token = page.get("next_batch")
    assert sorted(found) == sorted([weak, strong, *others])
    answer = await alice.post(
        f"{V3}/search", {"search_categories": {"room_events": {"search_term": "x"}}}, next_batch="nonsense!"
    )
    answer.refused(400, "M_INVALID_PARAM")


@pytest.mark.parametrize("order_by", ["recent", "rank"])
async def test_groups(server: TestServer, order_by: str) -> None:
    alice, bob = await server.user("alice"), await server.user("bob")
    one, two = await alice.create_room(preset="public_chat"), await alice.create_room(preset="public_chat")
    await bob.join(one)
    in_one = [await bob.send(one, "needle"), await alice.send(one, "needle")]
    in_two = [await alice.send(two, "needle"), await alice.send(two, "needle")]
    grouping = {"group_by": [{"key": "room_id"}, {"key": "sender"}]}
    found = await search(alice, "needle", order_by=order_by, groupings=grouping)
    groups = found["groups"]
    assert set(groups["room_id"][one]["results"]) == set(in_one)
    assert set(groups["room_id"][two]["results"]) == set(in_two)
    assert groups["sender"][bob.user_id]["results"] == [in_one[0]]
    assert sorted(group["order"] for group in groups["room_id"].values()) == [1, 2]
    # A group's token goes on within the group.
    page = await search(alice, "needle", order_by=order_by, groupings=grouping, filter={"limit": 1})
    (room_id, group), *_ = page["groups"]["room_id"].items()
    rest = await search(alice, "needle", order_by=order_by, groupings=grouping, next_batch=group["next_batch"])
    assert set(ids(page) + ids(rest)) == set(in_one if room_id == one else in_two)
    assert len(ids(rest)) == 1


@pytest.mark.parametrize("token", ["", "AAAA", "WzEsbnVsbCxbInNlbmRlciJdXQ", "e30", "WzFlOTld"])
def test_made_up_tokens_are_refused(token: str) -> None:
    with pytest.raises(Exception, match="not one that this server made"):
        tokens.parse(token)


# -- what comes with the results


async def test_context_with_profiles(server: TestServer) -> None:
    alice, bob = await server.user("alice"), await server.user("bob")
    room_id = await alice.create_room(preset="public_chat")
    await bob.join(room_id)
    await bob.set_state(room_id, "m.room.member", {"membership": "join", "displayname": "Bobby"}, bob.user_id)
    sent = [await alice.send(room_id, f"hay {number}") for number in range(3)]
    needle = await bob.send(room_id, "needle")
    after = await alice.send(room_id, "hay after")
    config = {"before_limit": 2, "after_limit": 2, "include_profile": True}
    result = (await search(alice, "needle", event_context=config))["results"][0]
    context = result["context"]
    assert [one["event_id"] for one in context["events_before"]] == [sent[2], sent[1]]
    assert [one["event_id"] for one in context["events_after"]] == [after]
    assert context["profile_info"][bob.user_id]["displayname"] == "Bobby"
    assert set(context["profile_info"]) == {alice.user_id, bob.user_id}
    page = (await alice.get(f"{V3}/rooms/{room_id}/messages", dir="b", from_=context["start"], limit=1)).ok()
    assert page["chunk"][0]["event_id"] == sent[0]
    assert result["result"]["event_id"] == needle
    assert "context" not in (await search(alice, "needle"))["results"][0]
    plain = (await search(alice, "needle", event_context={}))["results"][0]["context"]
    assert "profile_info" not in plain
    assert plain["events_before"][0]["event_id"] == sent[2]


async def test_context_and_state_as_the_searcher_may_see_them(server: TestServer) -> None:
    alice, bob = await server.user("alice"), await server.user("bob")
    room_id = await alice.create_room(preset="public_chat", name="old name")
    await bob.join(room_id)
    await alice.send(room_id, "needle")
    await bob.leave(room_id)
    await alice.set_state(room_id, "m.room.name", {"name": "new name"})
    secret = await alice.send(room_id, "secret")
    found = await search(bob, "needle", include_state=True, event_context={"after_limit": 10})
    assert secret not in str(found)
    names = [one["content"]["name"] for one in found["state"][room_id] if one["type"] == "m.room.name"]
    assert names == ["old name"]
    mine = await search(alice, "needle", include_state=True)
    assert [one["content"]["name"] for one in mine["state"][room_id] if one["type"] == "m.room.name"] == ["new name"]


# -- the switch, and hostile requests


async def test_search_can_be_switched_off(start_server: Any) -> None:
    server: TestServer = await start_server({"search": {"enabled": False}})
    alice = await server.user("alice")
    body = {"search_categories": {"room_events": {"search_term": "x"}}}
    (await alice.post(f"{V3}/search", body)).refused(403, "M_FORBIDDEN")


async def test_requests_that_are_misshapen(server: TestServer) -> None:
    alice = await server.user("alice")
    assert (await alice.post(f"{V3}/search", {"search_categories": {}})).ok() == {"search_categories": {}}
    (await alice.post(f"{V3}/search", {})).refused(400, "M_MISSING_PARAM")
    for criteria in ({"search_term": 1}, {"search_term": "x", "order_by": "size"}, {"search_term": "x", "keys": ["y"]}):
        (await alice.post(f"{V3}/search", {"search_categories": {"room_events": criteria}})).refused(400, "M_BAD_JSON")


async def test_a_search_does_not_wait_for_ever_for_its_index(
    server: TestServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index, "_PATIENCE_SECONDS", 0.05)

    async def linger(_: index.Index) -> None:
        await asyncio.sleep(30)

    monkeypatch.setattr(index.Index, "_gather", linger)
    alice = await server.user("alice")
    room_id = await alice.create_room()
    await alice.send(room_id, "needle")
    assert ids(await search(alice, "needle")) == []


async def test_what_was_erased_is_not_found(server: TestServer) -> None:
    alice, bob, carol = await server.user("alice"), await server.user("bob"), await server.user("carol")
    room_id = await alice.create_room(preset="public_chat")
    await bob.join(room_id)
    kept = await alice.send(room_id, "the tea is green")
    await bob.send(room_id, "my tea is black")
    assert (await search(alice, "tea"))["count"] == 2
    await server.server.accounts.deactivate(bob.user_id, erase=True)
    await carol.join(room_id)
    for client in (alice, carol):
        found = await search(client, "tea")
        assert (ids(found), found["count"]) == ([kept], 1)
