"""Sending, state and redactions. https://spec.matrix.org/v1.19/client-server-api/#sending-events-to-a-room"""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import quote

import pytest

from weft.testing import Answer, Client, TestServer

V3 = "/_matrix/client/v3"
MESSAGE = {"msgtype": "m.text", "body": "hello"}


async def put(
    client: Client, room_id: str, txn_id: str, content: object = MESSAGE, event_type: str = "m.room.message"
) -> Answer:
    return await client.put(f"{V3}/rooms/{room_id}/send/{event_type}/{txn_id}", content)


async def timeline(client: Client, room_id: str) -> list[dict[str, Any]]:
    rooms = (await client.sync(filter={"room": {"timeline": {"limit": 50}}}))["rooms"]
    found: list[dict[str, Any]] = rooms["join"][room_id]["timeline"]["events"]
    return found


async def together(server: TestServer, **options: Any) -> tuple[Client, Client, str]:
    alice, bob = await server.user("alice"), await server.user("bob")
    room_id = await alice.create_room(preset="public_chat", **options)
    await bob.join(room_id)
    return alice, bob, room_id


# -- sending


async def test_a_message_arrives_as_it_was_sent(server: TestServer) -> None:
    alice, bob, room_id = await together(server)
    content = {"msgtype": "m.text", "body": "héllo \U0001f44b", "org.example.deep": {"a": [1, {"b": None}]}}
    event_id = (await put(alice, room_id, "1", content)).ok()["event_id"]
    event = (await timeline(bob, room_id))[-1]
    assert event["event_id"] == event_id
    assert event["content"] == content
    assert event["sender"] == alice.user_id
    assert "state_key" not in event


async def test_a_transaction_is_carried_out_once(server: TestServer) -> None:
    alice, bob, room_id = await together(server)
    phone = await server.login(alice.user_id)
    first = (await put(alice, room_id, "t")).ok()["event_id"]
    assert (await put(alice, room_id, "t", {"other": "content"})).ok()["event_id"] == first
    different = {
        (await put(phone, room_id, "t")).ok()["event_id"],
        (await put(bob, room_id, "t")).ok()["event_id"],
        (await put(alice, room_id, "t", event_type="org.example.other")).ok()["event_id"],
        (await put(alice, room_id, "u")).ok()["event_id"],
    }
    assert len(different | {first}) == 5
    sent = await timeline(alice, room_id)
    told = {event["event_id"]: event["unsigned"].get("transaction_id") for event in sent[-5:]}
    assert told[first] == "t"
    assert list(told.values()).count("t") == 2
    # Repeated after leaving it still gets its answer; anything new does not.
    await alice.leave(room_id)
    assert (await put(alice, room_id, "t")).ok()["event_id"] == first
    (await put(alice, room_id, "new")).refused(403, "M_FORBIDDEN")


async def test_one_transaction_sent_many_times_at_once(server: TestServer) -> None:
    alice, bob, room_id = await together(server)
    answers = await asyncio.gather(*(put(alice, room_id, "t") for _ in range(6)))
    assert len({answer.ok()["event_id"] for answer in answers}) == 1
    assert [event["type"] for event in await timeline(bob, room_id)].count("m.room.message") == 1


async def test_who_may_not_send(server: TestServer) -> None:
    alice, bob = await server.user("alice"), await server.user("bob")
    room_id = await alice.create_room(invite=[bob.user_id], power_level_content_override={"events_default": 10})
    invited = (await put(bob, room_id, "1")).refused(403, "M_FORBIDDEN")
    assert (await put(bob, "!nowhere:weft.test", "1")).refused(403, "M_FORBIDDEN") == invited
    await bob.join(room_id)
    (await put(bob, room_id, "1")).refused(403, "M_FORBIDDEN")


@pytest.mark.parametrize(
    ("event_type", "body", "status", "errcode"),
    [
        ("m.room.message", b"{", 400, "M_NOT_JSON"),
        ("m.room.message", b"[]", 400, "M_BAD_JSON"),
        ("m.room.message", b'{"a":1.5}', 400, "M_BAD_JSON"),
        ("m.room.message", b'{"a":9007199254740992}', 400, "M_BAD_JSON"),
        ("m.room.message", b'{"body":"' + b"x" * 66_000 + b'"}', 413, "M_TOO_LARGE"),
        ("t" * 256, b"{}", 413, "M_TOO_LARGE"),
        ("m.room.member", b'{"membership":"ban"}', 403, "M_FORBIDDEN"),
        ("m.room.create", b"{}", 403, "M_FORBIDDEN"),
    ],
)
async def test_what_can_not_be_sent(
    server: TestServer, event_type: str, body: bytes, status: int, errcode: str
) -> None:
    alice, _, room_id = await together(server)
    path = f"{V3}/rooms/{room_id}/send/{event_type}/1"
    (await alice.request("PUT", path, body=body)).refused(status, errcode)


async def test_the_time_is_not_a_users_to_choose(server: TestServer) -> None:
    alice, _, room_id = await together(server)
    (await alice.put(f"{V3}/rooms/{room_id}/send/m.room.message/1", MESSAGE, ts=5)).ok()
    assert (await timeline(alice, room_id))[-1]["origin_server_ts"] > 1_000_000


@pytest.mark.parametrize(
    ("event_type", "content", "accepted"),
    [
        ("m.room.message", MESSAGE, False),
        ("m.message", {"m.text": [{"body": "hello"}]}, True),
        ("m.message", {"m.text": []}, True),
        ("m.message", {"m.text": "hello"}, False),
        ("m.message", {"m.text": ["hello"]}, False),
        ("m.message", {"body": "hello"}, False),
        ("m.emote", {"m.text": [{"mimetype": "text/html", "body": "<b>x</b>"}]}, True),
        ("m.emote", {}, False),
        ("m.room.encrypted", {"algorithm": "x"}, True),
        ("org.example.reading", {"x": 1}, True),
    ],
)
async def test_rooms_with_extensible_events(
    server: TestServer, event_type: str, content: object, accepted: bool
) -> None:
    alice, _, room_id = await together(server, room_version="I.1")
    answer = await put(alice, room_id, "1", content, event_type)
    if accepted:
        answer.ok()
    else:
        answer.refused(400, "M_BAD_JSON")
        state = f"{V3}/rooms/{room_id}/state/{event_type}"
        (await alice.put(state, content)).refused(400, "M_BAD_JSON")


# -- relations


async def react(client: Client, room_id: str, txn_id: str, target: str, key: str = "+") -> Answer:
    relates_to = {"rel_type": "m.annotation", "event_id": target, "key": key}
    return await put(client, room_id, txn_id, {"m.relates_to": relates_to}, "m.reaction")


async def test_the_same_reaction_is_sent_once(server: TestServer) -> None:
    alice, bob, room_id = await together(server)
    target = await alice.send(room_id)
    first = (await react(bob, room_id, "1", target)).ok()["event_id"]
    assert (await react(bob, room_id, "1", target)).ok()["event_id"] == first
    (await react(bob, room_id, "2", target)).refused(400, "M_DUPLICATE_ANNOTATION")
    (await react(bob, room_id, "3", target, "-")).ok()
    (await react(alice, room_id, "4", target)).ok()
    (await bob.put(f"{V3}/rooms/{room_id}/redact/{first}/5")).ok()
    (await react(bob, room_id, "6", target)).ok()


async def test_relations_stay_in_the_room_and_threads_do_not_nest(server: TestServer) -> None:
    alice, _, room_id = await together(server)
    root = await alice.send(room_id)
    other = await alice.create_room()
    (await react(alice, other, "1", root)).refused(400, "M_UNKNOWN")
    threaded = {"m.relates_to": {"rel_type": "m.thread", "event_id": root}}
    inside = (await put(alice, room_id, "2", MESSAGE | threaded)).ok()["event_id"]
    nested = {"m.relates_to": {"rel_type": "m.thread", "event_id": inside}}
    (await put(alice, room_id, "3", MESSAGE | nested)).refused(400, "M_UNKNOWN")
    for harmless in ("x", {}, {"rel_type": 5}, {"rel_type": "m.thread", "event_id": "$unknown"}):
        (await put(alice, room_id, f"4{harmless}", MESSAGE | {"m.relates_to": harmless})).ok()


# -- redactions


@pytest.mark.parametrize("version", ["1", "3", "10", "11", "12"])
@pytest.mark.parametrize("by_send", [False, True])
async def test_a_redaction_in_every_shape(server: TestServer, version: str, by_send: bool) -> None:
    alice, bob, room_id = await together(server, room_version=version)
    target = await bob.send(room_id, "regret")
    redact_path = f"{V3}/rooms/{room_id}/redact/{quote(target, safe='')}/r"
    if by_send:
        content = {"redacts": target, "reason": "because"}
        answer = await put(bob, room_id, "r", content, "m.room.redaction")
    else:
        answer = await bob.put(redact_path, {"reason": "because"})
    redaction_id = answer.ok()["event_id"]
    *_, redacted, redaction = await timeline(alice, room_id)
    assert redaction["event_id"] == redaction_id
    assert redaction["redacts"] == target
    assert redaction["content"]["redacts"] == target
    assert redaction["content"]["reason"] == "because"
    assert redacted["content"] == {}
    assert redacted["unsigned"]["redacted_because"]["event_id"] == redaction_id
    repeated = (
        await put(bob, room_id, "r", {"redacts": target}, "m.room.redaction") if by_send else await bob.put(redact_path)
    )
    assert repeated.ok()["event_id"] == redaction_id


async def test_who_may_redact_what(server: TestServer) -> None:
    await server.user("first")
    alice, bob, room_id = await together(server)
    carol = await server.user("carol")
    his, hers = await bob.send(room_id), await alice.send(room_id)

    async def redact(who: Client, target: str, room: str = room_id) -> Answer:
        return await who.put(f"{V3}/rooms/{room}/redact/{target}/t{target}", {})

    (await redact(bob, hers)).refused(403, "M_FORBIDDEN")
    (await redact(carol, his)).refused(403, "M_FORBIDDEN")
    (await redact(alice, his)).ok()
    (await redact(bob, "$unknown")).refused(404, "M_NOT_FOUND")
    other = await bob.create_room()
    (await redact(bob, hers, other)).refused(404, "M_NOT_FOUND")
    state = (await alice.get(f"{V3}/rooms/{room_id}/state")).ok()
    create = next(event["event_id"] for event in state if event["type"] == "m.room.create")
    (await redact(alice, create)).refused(403, "M_FORBIDDEN")
    acl = await alice.set_state(room_id, "m.room.server_acl", {"allow": ["*"]})
    (await redact(alice, acl)).refused(403, "M_FORBIDDEN")
    (await put(alice, room_id, "x", {}, "m.room.redaction")).refused(400, "M_BAD_JSON")


async def test_an_administrator_redacts_the_servers_own_users(server: TestServer) -> None:
    admin = await server.user("admin")
    _, bob, room_id = await together(server)
    await admin.join(room_id)
    target = await bob.send(room_id, "spam")
    (await admin.put(f"{V3}/rooms/{room_id}/redact/{target}/1")).ok()
    redacted = (await timeline(bob, room_id))[-2]
    assert redacted["content"] == {}


# -- state


async def test_state_by_type_and_key(server: TestServer) -> None:
    alice, bob, room_id = await together(server)
    base = f"{V3}/rooms/{room_id}/state/org.example.pet"
    for path in (base, f"{base}/", f"{base}/x%2Fy"):
        (await alice.put(path, {"at": path})).ok()
    assert (await bob.get(base)).ok() == {"at": f"{base}/"}
    assert (await bob.get(f"{base}/x%2Fy")).ok() == {"at": f"{base}/x%2Fy"}
    (await bob.get(f"{base}/other")).refused(404, "M_NOT_FOUND")
    event = (await bob.get(f"{base}/", format="event")).ok()
    assert event["type"] == "org.example.pet"
    assert event["state_key"] == ""
    assert event["room_id"] == room_id
    assert event["content"] == {"at": f"{base}/"}
    assert event["unsigned"]["prev_content"] == {"at": base}
    (await bob.get(base, format="nonsense")).refused(400, "M_INVALID_PARAM")
    (await bob.put(base, {})).refused(403, "M_FORBIDDEN")


async def test_the_same_state_is_set_once(server: TestServer) -> None:
    alice, bob, room_id = await together(server, power_level_content_override={"state_default": 0})
    first = await alice.set_state(room_id, "org.example.x", {"a": 1})
    assert await alice.set_state(room_id, "org.example.x", {"a": 1}) == first
    second = await bob.set_state(room_id, "org.example.x", {"a": 1})
    assert second != first
    assert await bob.set_state(room_id, "org.example.x", {"a": 2}) != second


async def test_state_that_belongs_to_somebody_else(server: TestServer) -> None:
    alice, bob, room_id = await together(server, power_level_content_override={"state_default": 0})
    await bob.set_state(room_id, "org.example.x", {}, bob.user_id)
    path = f"{V3}/rooms/{room_id}/state/org.example.x/{alice.user_id}"
    (await bob.put(path, {})).refused(403, "M_FORBIDDEN")


async def test_the_canonical_alias_must_point_here(server: TestServer) -> None:
    alice, _, room_id = await together(server, room_alias_name="here")
    await alice.create_room(room_alias_name="there")
    path = f"{V3}/rooms/{room_id}/state/m.room.canonical_alias"
    good: list[dict[str, Any]] = [
        {"alias": "#here:weft.test"},
        {"alt_aliases": ["#here:weft.test"]},
        {"alias": None},
        {"alias": ""},
        {},
    ]
    for content in good:
        (await alice.put(path, content)).ok()
    for content, errcode in [
        ({"alias": "#there:weft.test"}, "M_BAD_ALIAS"),
        ({"alias": "#nowhere:weft.test"}, "M_BAD_ALIAS"),
        ({"alias": "#here:weft.test", "alt_aliases": ["#there:weft.test"]}, "M_BAD_ALIAS"),
        ({"alias": "nonsense"}, "M_INVALID_PARAM"),
        ({"alt_aliases": ["nonsense"]}, "M_INVALID_PARAM"),
        ({"alt_aliases": "#here:weft.test"}, "M_INVALID_PARAM"),
        ({"alias": 5}, "M_INVALID_PARAM"),
    ]:
        (await alice.put(path, content)).refused(400, errcode)
    # What is in the event already is not looked at again.
    (await alice.put(path, {"alias": "#here:weft.test"})).ok()
    (await alice.delete(f"{V3}/directory/room/%23here%3Aweft.test")).ok()
    assert (await alice.get(path)).ok() == {}


@pytest.mark.parametrize(
    "content", [{"allow": []}, {}, {"allow": ["*"], "deny": ["weft.*"]}, {"allow": "*"}, {"allow": ["*"], "deny": [5]}]
)
async def test_an_acl_that_shuts_out_its_senders_server(server: TestServer, content: dict[str, Any]) -> None:
    alice, _, room_id = await together(server)
    path = f"{V3}/rooms/{room_id}/state/m.room.server_acl"
    (await alice.put(path, content)).refused(400, "M_BAD_JSON")
    (await alice.put(path, {"allow": ["*"], "deny": ["evil.test"]})).ok()


async def test_power_levels_follow_the_rules(server: TestServer) -> None:
    alice, bob, room_id = await together(server, room_version="11")
    path = f"{V3}/rooms/{room_id}/state/m.room.power_levels"
    levels = (await alice.get(path)).ok()
    (await bob.put(path, levels | {"users": {bob.user_id: 100}})).refused(403, "M_FORBIDDEN")
    (await alice.put(path, levels | {"ban": "50"})).refused(403, "M_FORBIDDEN")
    (await alice.put(path, levels | {"users": {alice.user_id: 100, bob.user_id: 50}})).ok()
    await bob.set_state(room_id, "m.room.name", {"name": "Bob's"})
