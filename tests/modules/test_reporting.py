"""Reports: who may report what, and how administrators read them."""

from __future__ import annotations

from typing import Any

import pytest

from weft.testing import Answer, Client, TestServer

V3 = "/_matrix/client/v3"
REPORTS = "/_weft/admin/v1/reports"


async def report_event(client: Client, room_id: str, event_id: str, **body: Any) -> Answer:
    return await client.post(f"{V3}/rooms/{room_id}/report/{event_id}", body)


async def reports(admin: Client, **query: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await admin.get(REPORTS, **query)).ok()["reports"]
    return found


async def test_an_event_is_reported(server: TestServer) -> None:
    admin, alice, bob = [await server.user(name) for name in ("admin", "alice", "bob")]
    room_id = await alice.create_room(preset="public_chat")
    await bob.join(room_id)
    event_id = await alice.send(room_id, "something bad")
    (await report_event(bob, room_id, event_id, reason="it is bad", score=-100)).ok()
    (await report_event(bob, room_id, event_id, score=-(2**63) + 1)).ok()
    second, first = await reports(admin)
    assert second["score"] == -100
    assert first.pop("received_ts") > 0
    assert first == {
        "id": first["id"],
        "reporter": bob.user_id,
        "about": "event",
        "room_id": room_id,
        "event_id": event_id,
        "user_id": alice.user_id,
        "reason": "it is bad",
        "score": -100,
    }
    assert "reason" not in second


async def test_only_what_one_sees_in_a_room_that_one_is_in(server: TestServer) -> None:
    admin, alice, bob = [await server.user(name) for name in ("admin", "alice", "bob")]
    history = {"type": "m.room.history_visibility", "state_key": "", "content": {"history_visibility": "joined"}}
    room_id = await alice.create_room(preset="public_chat", initial_state=[history])
    other_room = await bob.create_room()
    before = await alice.send(room_id, "before")
    (await report_event(bob, room_id, before)).refused(404, "M_NOT_FOUND")
    await bob.join(room_id)
    after = await alice.send(room_id, "after")
    (await report_event(bob, room_id, before)).refused(404, "M_NOT_FOUND")
    (await report_event(bob, other_room, after)).refused(404, "M_NOT_FOUND")
    (await report_event(bob, room_id, "$nothing")).refused(404, "M_NOT_FOUND")
    (await report_event(bob, "!nowhere:weft.test", after)).refused(404, "M_NOT_FOUND")
    (await report_event(bob, room_id, after)).ok()
    await bob.leave(room_id)
    (await report_event(bob, room_id, after)).refused(404, "M_NOT_FOUND")
    assert len(await reports(admin)) == 1


@pytest.mark.parametrize(
    ("path", "about", "field", "known", "unknown"),
    [
        ("rooms/{}/report", "room", "room_id", None, "!secret:elsewhere.test"),
        ("users/{}/report", "user", "user_id", "@alice:weft.test", "@nobody:weft.test"),
    ],
)
async def test_rooms_and_users_are_reported_by_everybody_alike(
    server: TestServer, path: str, about: str, field: str, known: str | None, unknown: str
) -> None:
    admin, alice, bob = [await server.user(name) for name in ("admin", "alice", "bob")]
    target = known or await alice.create_room()
    first = await bob.post(f"{V3}/{path.format(target)}", {"reason": ""})
    second = await bob.post(f"{V3}/{path.format(unknown)}", {"reason": "bad"})
    assert first.ok() == second.ok() == {}
    found = await reports(admin, dir="f")
    assert [(each["about"], each[field]) for each in found] == [(about, target), (about, unknown)]
    (await bob.post(f"{V3}/{path.format(target)}", {})).refused(400, "M_MISSING_PARAM")
    (await bob.post(f"{V3}/{path.format('nonsense')}", {"reason": ""})).refused(400, "M_INVALID_PARAM")


async def test_reports_are_read_page_by_page(server: TestServer) -> None:
    admin, alice = await server.user("admin"), await server.user("alice")
    for number in range(5):
        (await alice.post(f"{V3}/users/@bob:weft.test/report", {"reason": str(number)})).ok()
    for direction, expected in {"b": "43210", "f": "01234"}.items():
        seen, token = "", None
        while True:
            page = (await admin.get(REPORTS, limit=2, dir=direction, from_=token)).ok()
            assert page["total"] == 5
            seen += "".join(each["reason"] for each in page["reports"])
            token = page.get("next_batch")
            if token is None:
                break
        assert seen == expected
    assert (await admin.get(REPORTS, limit=0)).ok() == {"reports": [], "total": 5}
    (await admin.get(REPORTS, from_="x")).refused(400, "M_INVALID_PARAM")
    (await alice.get(REPORTS)).refused(403, "M_FORBIDDEN")


async def test_reports_outlast_a_restart(server: TestServer) -> None:
    admin = await server.user("admin")
    (await admin.post(f"{V3}/users/@bob:weft.test/report", {"reason": "spam"})).ok()
    await server.restart()
    assert len(await reports(admin)) == 1
