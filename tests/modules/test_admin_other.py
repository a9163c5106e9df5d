"""Reports of events, other servers and statistics, for administrators."""

from __future__ import annotations

from pathlib import Path

from tests.modules.test_media import upload
from tests.watching import validated
from weft.testing import TestServer

V3 = "/_matrix/client/v3"
ADMIN = "/_synapse/admin/v1"


async def test_reports_are_read_and_settled(server: TestServer) -> None:
    admin, alice, bob = await server.user("admin"), await server.user("alice"), await server.user("bob")
    room_id = await alice.create_room(name="Garden", preset="public_chat", room_alias_name="garden")
    await bob.join(room_id)
    events = [await alice.send(room_id, f"message {number}") for number in range(3)]
    for number, event_id in enumerate(events):
        body = {"reason": f"because {number}", "score": -number}
        (await bob.post(f"{V3}/rooms/{room_id}/report/{event_id}", body)).ok()
    (await bob.post(f"{V3}/users/{alice.user_id}/report", {"reason": "no event"})).ok()
    path = f"{ADMIN}/event_reports"
    page = (await admin.get(path, limit=2)).ok()
    assert (page["total"], page["next_token"]) == (3, 2)
    assert [report["event_id"] for report in page["event_reports"]] == events[:0:-1]
    report = page["event_reports"][0]
    assert (report["user_id"], report["sender"], report["reason"]) == (bob.user_id, alice.user_id, "because 2")
    assert (report["name"], report["canonical_alias"], report["score"]) == ("Garden", "#garden:weft.test", -2)
    rest = (await admin.get(path, **{"from": 2})).ok()
    assert [one["event_id"] for one in rest["event_reports"]] == events[:1]
    assert "next_token" not in rest
    forwards = (await admin.get(path, dir="f")).ok()
    assert [one["event_id"] for one in forwards["event_reports"]] == events
    for name, value, count in (
        ("user_id", bob.user_id, 3),
        ("user_id", alice.user_id, 0),
        ("room_id", room_id, 3),
        ("event_sender_user_id", alice.user_id, 3),
        ("event_sender_user_id", bob.user_id, 0),
    ):
        assert (await admin.get(path, **{name: value})).ok()["total"] == count
    one = f"{path}/{report['id']}"
    details = (await admin.get(one)).ok()
    assert details["event_json"]["content"]["body"] == "message 2"
    assert (await admin.delete(one)).ok() == {}
    (await admin.get(one)).refused(404, "M_NOT_FOUND")
    (await admin.delete(one)).refused(404, "M_NOT_FOUND")
    (await admin.get(f"{path}/none")).refused(400, "M_INVALID_PARAM")
    assert (await admin.get("/_weft/admin/v1/reports")).ok()["total"] == 3, "with the one of the user"


async def test_other_servers(server: TestServer, tmp_path: Path) -> None:
    admin, alice = await server.user("admin"), await server.user("alice")
    (tmp_path / "other").mkdir()
    settings = {"server": {"names": ["other.test"]}}
    other = TestServer(
        tmp_path / "other", settings=settings, network=server.network, clock=server.clock, watch=validated
    )
    await other.start()
    carol = await other.user("carol")
    room_id = await alice.create_room(preset="public_chat")
    (await carol.post(f"{V3}/join/{room_id}", {}, via="weft.test")).ok()
    path = f"{ADMIN}/federation/destinations"
    listed = (await admin.get(path)).ok()
    assert listed == {
        "destinations": [
            {
                "destination": "other.test",
                "retry_last_ts": 0,
                "retry_interval": 0,
                "failure_ts": None,
                "last_successful_stream_ordering": None,
            }
        ],
        "total": 1,
    }
    rooms = (await admin.get(f"{path}/other.test/rooms")).ok()
    assert rooms == {"rooms": [{"room_id": room_id, "stream_ordering": None}], "total": 1}
    (await admin.post(f"{path}/other.test/reset_connection")).refused(400, "M_UNKNOWN")

    await other.stop()
    server.server.federation.destinations.failed("other.test")
    await server.server.engine.database.write(lambda tx: None)
    failing = (await admin.get(f"{path}/other.test")).ok()
    assert failing["failure_ts"] > 0
    assert failing["retry_last_ts"] >= failing["failure_ts"]
    assert failing["retry_interval"] > 0
    for order in ("retry_last_ts", "retry_interval", "failure_ts", "last_successful_stream_ordering", "destination"):
        assert (await admin.get(path, order_by=order, dir="b")).ok()["total"] == 1
    assert (await admin.post(f"{path}/other.test/reset_connection")).ok() == {}
    assert (await admin.get(path, destination="OTHER")).ok()["destinations"][0]["failure_ts"] is None
    assert (await admin.get(path, destination="nothing")).ok()["total"] == 0
    for what in ("", "/rooms"):
        (await admin.get(f"{path}/unknown.test{what}")).refused(404, "M_NOT_FOUND")
        (await admin.get(f"{path}/no%20server{what}")).refused(400, "M_INVALID_PARAM")
    (await admin.post(f"{path}/unknown.test/reset_connection")).refused(404, "M_NOT_FOUND")


async def test_who_keeps_how_much_media(server: TestServer) -> None:
    admin, alice, bob = await server.user("admin"), await server.user("alice"), await server.user("bob")
    for person, sizes in ((alice, (10, 20)), (bob, (1_000,))):
        for size in sizes:
            await upload(person, bytes([size % 256]) * size)
    path = f"{ADMIN}/statistics/users/media"
    told = (await admin.get(path)).ok()
    assert told == {
        "users": [
            {"user_id": alice.user_id, "displayname": "alice", "media_count": 2, "media_length": 30},
            {"user_id": bob.user_id, "displayname": "bob", "media_count": 1, "media_length": 1_000},
        ],
        "total": 2,
    }
    first = (await admin.get(path, order_by="media_length", dir="b", limit=1)).ok()
    assert (first["users"][0]["user_id"], first["next_token"]) == (bob.user_id, 1)
    for order in ("user_id", "displayname", "media_count"):
        assert len((await admin.get(path, order_by=order)).ok()["users"]) == 2
    assert (await admin.get(path, search_term="ALI")).ok()["total"] == 1
    assert (await admin.get(path, from_ts=server.clock() + 1)).ok() == {"users": [], "total": 0}
    assert (await admin.get(path, until_ts=5)).ok()["total"] == 0
    (await admin.get(path, order_by="age")).refused(400, "M_INVALID_PARAM")
