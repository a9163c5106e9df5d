"""The push rules' API, and `m.push_rules` in sync."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

from weft.testing import Client, TestServer

RULES = "/_matrix/client/v3/pushrules"


def path(kind: str, rule_id: str, part: str = "") -> str:
    return f"{RULES}/global/{kind}/{quote(rule_id, safe='')}{part}"


async def ids(who: Client, kind: str) -> list[str]:
    """The rules of a kind that are the user's own, in order."""
    rules = (await who.get(f"{RULES}/global/")).ok()[kind]
    return [rule["rule_id"] for rule in rules if not rule["default"]]


def synced(response: dict[str, Any]) -> dict[str, Any] | None:
    events = response.get("account_data", {}).get("events", [])
    found = [event["content"]["global"] for event in events if event["type"] == "m.push_rules"]
    assert len(found) <= 1
    return found[0] if found else None


async def test_everybody_begins_with_the_defaults(server: TestServer) -> None:
    alice = await server.user("alice")
    everything = (await alice.get(f"{RULES}/")).ok()["global"]
    assert everything["override"][0]["rule_id"] == ".m.rule.master"
    assert all(rule["default"] for rules in everything.values() for rule in rules)
    mention = (await alice.get(path("override", ".m.rule.is_user_mention"))).ok()
    assert mention["conditions"][0]["value"] == alice.user_id
    assert synced(await alice.sync()) == everything


async def test_a_rule_is_added_changed_and_removed(server: TestServer) -> None:
    alice = await server.user("alice")
    since = (await alice.sync())["next_batch"]
    (await alice.put(path("content", "tea"), {"actions": ["notify"], "pattern": "tea*"})).ok()
    assert (await alice.get(path("content", "tea"))).ok() == {
        "rule_id": "tea",
        "default": False,
        "enabled": True,
        "actions": ["notify"],
        "pattern": "tea*",
    }
    response = await alice.sync(since)
    told = synced(response)
    assert told is not None
    assert [rule["rule_id"] for rule in told["content"]] == ["tea"]
    assert synced(await alice.sync(response["next_batch"])) is None

    (await alice.put(path("content", "tea", "/enabled"), {"enabled": False})).ok()
    assert (await alice.get(path("content", "tea", "/enabled"))).ok() == {"enabled": False}
    actions = ["notify", {"set_tweak": "sound", "value": "bell"}]
    (await alice.put(path("content", "tea", "/actions"), {"actions": actions})).ok()
    assert (await alice.get(path("content", "tea", "/actions"))).ok() == {"actions": actions}
    (await alice.delete(path("content", "tea"))).ok()
    (await alice.get(path("content", "tea"))).refused(404, "M_NOT_FOUND")
    (await alice.delete(path("content", "tea"))).refused(404, "M_NOT_FOUND")


async def test_the_order_of_rules(server: TestServer) -> None:
    alice = await server.user("alice")
    for rule_id, place in (("a", {}), ("b", {}), ("c", {"after": "b"}), ("d", {"before": "a"})):
        (await alice.put(path("sender", rule_id), {"actions": []}, **place)).ok()
    assert await ids(alice, "sender") == ["b", "c", "d", "a"]
    answer = await alice.put(path("sender", "e"), {"actions": []}, before="absent")
    assert answer.status == 400
    assert await ids(alice, "sender") == ["b", "c", "d", "a"]


async def test_defaults_can_be_changed_but_not_removed(server: TestServer) -> None:
    alice = await server.user("alice")
    (await alice.put(path("underride", ".m.rule.message", "/enabled"), {"enabled": False})).ok()
    (await alice.put(path("underride", ".m.rule.message", "/actions"), {"actions": []})).ok()
    rule = (await alice.get(path("underride", ".m.rule.message"))).ok()
    assert (rule["enabled"], rule["actions"], rule["default"]) == (False, [], True)
    (await alice.delete(path("underride", ".m.rule.message"))).refused(404, "M_NOT_FOUND")


@pytest.mark.parametrize(
    ("kind", "rule_id", "rule", "status", "errcode"),
    [
        ("content", "x", {"actions": []}, 400, "M_MISSING_PARAM"),
        ("content", ".x", {"actions": [], "pattern": "x"}, 400, "M_INVALID_PARAM"),
        ("room", "x", {}, 400, "M_MISSING_PARAM"),
        ("room", "x", {"actions": [3]}, 400, "M_BAD_JSON"),
        ("room", "x", {"actions": ["bark"]}, 400, "M_INVALID_PARAM"),
        ("override", "x", {"actions": [], "conditions": [{}]}, 400, "M_INVALID_PARAM"),
        ("nonsense", "x", {"actions": []}, 400, "M_INVALID_PARAM"),
    ],
)
async def test_rules_that_are_none(
    server: TestServer, kind: str, rule_id: str, rule: dict[str, Any], status: int, errcode: str
) -> None:
    alice = await server.user("alice")
    before = (await alice.get(f"{RULES}/")).ok()
    (await alice.put(path(kind, rule_id), rule)).refused(status, errcode)
    assert (await alice.get(f"{RULES}/")).ok() == before


async def test_rules_added_at_the_same_time_are_all_kept(server: TestServer) -> None:
    import asyncio

    alice = await server.user("alice")
    added = [alice.put(path("sender", f"@u{n}:weft.test"), {"actions": []}) for n in range(10)]
    assert {answer.status for answer in await asyncio.gather(*added)} == {200}
    assert len(await ids(alice, "sender")) == 10


async def test_rules_of_one_user_are_not_anothers(server: TestServer) -> None:
    alice, bob = await server.user("alice"), await server.user("bob")
    (await alice.put(path("sender", "@eve:weft.test"), {"actions": []})).ok()
    assert await ids(bob, "sender") == []


async def test_a_change_survives_a_restart(server: TestServer) -> None:
    alice = await server.user("alice")
    since = (await alice.sync())["next_batch"]
    (await alice.put(path("room", "!a:weft.test"), {"actions": ["notify"]})).ok()
    await server.restart()
    assert await ids(alice, "room") == ["!a:weft.test"]
    assert synced(await alice.sync(since)) is not None
