"""Administrators delete rooms, purge their past, and redact what somebody sent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import pytest_asyncio

from tests.modules.conftest import Start
from tests.watching import validated
from weft.storage import purging
from weft.storage.database import Transaction
from weft.testing import Client, TestServer

V3 = "/_matrix/client/v3"
ADMIN = "/_synapse/admin"
#: Tables that keep what a deleted room's number or id stands in, and why.
KEPT = {
    "rooms": "its number is not used again",
    "log": "numbers alone; a vector counts them",
    "reports": "what was reported is for administrators to settle",
    "key_backup_keys": "users' own keys",
    "admin_jobs": "what became of the deletion",
    "blocked_rooms": "a room stays blocked",
}


@pytest.fixture(autouse=True)
def _small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(purging, "BATCH", 7)


@pytest_asyncio.fixture
async def other(server: TestServer, tmp_path: Path) -> AsyncIterator[TestServer]:
    """Another server that this one reaches."""
    (tmp_path / "other").mkdir()
    settings = {"server": {"names": ["other.test"]}}
    made = TestServer(
        tmp_path / "other", settings=settings, network=server.network, clock=server.clock, watch=validated
    )
    await made.start()
    yield made
    await made.stop()


async def people(server: TestServer) -> tuple[Client, Client, Client]:
    return await server.user("admin"), await server.user("alice"), await server.user("bob")


async def until(admin: Client, path: str, *statuses: str) -> dict[str, Any]:
    """The status of a job, once it is one of these."""
    for _ in range(400):
        job: dict[str, Any] = (await admin.get(path)).ok()
        if job["status"] in statuses:
            return job
        await asyncio.sleep(0.02)
    raise AssertionError(f"{path}: {job}")


async def rows_of(server: TestServer, number: int, room_id: str) -> dict[str, int]:
    """How many rows each table has of a room, those that have any."""

    def count(tx: Transaction) -> dict[str, int]:
        found: dict[str, int] = {}
        for table, columns in _columns(tx).items():
            for column, value in (("room", number), ("room_id", room_id)):
                if column in columns:
                    found[table] = found.get(table, 0) + tx.value(
                        f"SELECT COUNT(*) FROM {table} WHERE {column} = :value", value=value
                    )
        return {table: rows for table, rows in found.items() if rows}

    return await server.server.engine.database.read(count)


def _columns(tx: Transaction) -> dict[str, set[str]]:
    if tx.dialect.name == "postgres":
        rows = tx.all(
            "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = current_schema()"
        )
    else:
        rows = tx.all(
            """SELECT m.name, p.name FROM sqlite_master m JOIN pragma_table_info(m.name) p
               WHERE m.type = 'table' AND m.name NOT LIKE 'search_words%'"""
        )
    found: dict[str, set[str]] = {}
    for table, column in rows:
        found.setdefault(table, set()).add(column)
    return found


async def lively_room(alice: Client, bob: Client) -> str:
    """A room in which everything has happened that leaves a row somewhere."""
    room_id = await alice.create_room(
        preset="public_chat", room_alias_name="lively", visibility="public", name="Lively"
    )
    await bob.join(room_id)
    first = await alice.send(room_id, "first words")
    for number in range(20):
        await bob.send(room_id, f"message {number}")
    reaction = {"m.relates_to": {"rel_type": "m.annotation", "event_id": first, "key": "+"}}
    await bob.send(room_id, event_type="m.reaction", **reaction)
    (await bob.put(f"{V3}/rooms/{room_id}/redact/{await bob.send(room_id, 'oops')}/r", {})).ok()
    (await bob.post(f"{V3}/rooms/{room_id}/receipt/m.read/{first}")).ok()
    (await bob.put(f"{V3}/rooms/{room_id}/typing/{bob.user_id}", {"typing": True})).ok()
    (await bob.put(f"{V3}/user/{bob.user_id}/rooms/{room_id}/tags/u.mine", {})).ok()
    (await bob.post(f"{V3}/rooms/{room_id}/read_markers", {"m.fully_read": first})).ok()
    (await bob.post(f"{V3}/rooms/{room_id}/report/{first}", {"reason": "x"})).ok()
    sliding = {"lists": {"all": {"ranges": [[0, 10]], "timeline_limit": 5, "required_state": []}}}
    (await bob.post("/_matrix/client/unstable/org.matrix.simplified_msc3575/sync", sliding)).ok()
    await bob.sync()
    return room_id


# -- deleting


@pytest.mark.parametrize("version", [1, 2])
async def test_a_room_is_deleted_with_all_its_rows(server: TestServer, version: int) -> None:
    admin, alice, bob = await people(server)
    room_id = await lively_room(alice, bob)
    elsewhere = await bob.create_room()
    await bob.send(elsewhere, "first words")
    number = (await server.server.engine.rooms.get(room_id)).number
    before = await rows_of(server, number, room_id)
    assert {"events", "snapshots", "receipts", "relations", "account_data", "room_aliases"} <= before.keys()
    since = (await bob.sync())["next_batch"]
    path = f"{ADMIN}/v{version}/rooms/{room_id}"
    if version == 1:
        done = (await admin.delete(path, {"block": True})).ok()
    else:
        delete_id = (await admin.delete(path, {"block": True})).ok()["delete_id"]
        job = await until(admin, f"{ADMIN}/v2/rooms/delete_status/{delete_id}", "complete")
        assert (job["room_id"], job["delete_id"]) == (room_id, delete_id)
        done = job["shutdown_room"]
        assert (await admin.get(f"{ADMIN}/v2/rooms/{room_id}/delete_status")).ok() == {"results": [job]}
    assert set(done["kicked_users"]) == {alice.user_id, bob.user_id}
    assert (done["failed_to_kick_users"], done["local_aliases"], done["new_room_id"]) == ([], [], None)
    assert (await rows_of(server, number, room_id)).keys() <= KEPT.keys()
    # Nobody finds it any more, by whichever door.
    (await admin.get(f"{ADMIN}/v1/rooms/{room_id}")).refused(404, "M_NOT_FOUND")
    assert [room["room_id"] for room in (await admin.get(f"{ADMIN}/v1/rooms")).ok()["rooms"]] == [elsewhere]
    (await bob.get(f"{V3}/rooms/{room_id}/messages", dir="b")).refused(403, "M_FORBIDDEN")
    (await bob.get(f"{V3}/directory/room/{quote('#lively:weft.test', safe='')}")).refused(404, "M_NOT_FOUND")
    assert (await bob.get(f"{V3}/publicRooms")).ok()["chunk"] == []
    found = await bob.post(f"{V3}/search", {"search_categories": {"room_events": {"search_term": "words"}}})
    assert found.ok()["search_categories"]["room_events"]["count"] == 1
    assert (await admin.get(f"{ADMIN}/v1/users/{bob.user_id}/memberships")).ok()["memberships"] == {elsewhere: "join"}
    for asked in (since, None):
        assert room_id not in (await bob.sync(asked)).get("rooms", {}).get("join", {})
    sliding = {"lists": {"all": {"ranges": [[0, 10]], "timeline_limit": 5, "required_state": []}}}
    told = (await bob.post("/_matrix/client/unstable/org.matrix.simplified_msc3575/sync", sliding)).ok()
    assert told["rooms"].keys() == {elsewhere}
    (await bob.post(f"{V3}/join/{room_id}")).refused(403, "M_FORBIDDEN")
    await server.restart()
    assert (await bob.sync())["rooms"]["join"].keys() == {elsewhere}


async def test_users_are_moved_to_a_new_room(server: TestServer) -> None:
    admin, alice, bob = await people(server)
    room_id = await lively_room(alice, bob)
    body = {"new_room_user_id": "@moderator:weft.test", "room_name": "Closed", "message": "It is over.", "purge": False}
    done = (await admin.delete(f"{ADMIN}/v1/rooms/{room_id}", body)).ok()
    new = done["new_room_id"]
    assert done["local_aliases"] == ["#lively:weft.test"]
    joined = (await bob.sync())["rooms"]["join"]
    assert joined.keys() == {new}
    texts = [event["content"].get("body") for event in joined[new]["timeline"]["events"]]
    assert "It is over." in texts
    assert (await bob.get(f"{V3}/rooms/{new}/state/m.room.name")).ok() == {"name": "Closed"}
    (await bob.put(f"{V3}/rooms/{new}/send/m.room.message/1", {"body": "why"})).refused(403, "M_FORBIDDEN")
    alias = (await bob.get(f"{V3}/directory/room/{quote('#lively:weft.test', safe='')}")).ok()
    assert alias["room_id"] == new
    # It was not purged, and is not blocked.
    assert (await admin.get(f"{ADMIN}/v1/rooms/{room_id}")).ok()["joined_members"] == 0
    assert (await admin.get(f"{ADMIN}/v1/rooms/{room_id}/block")).ok() == {"block": False}


async def test_a_deletion_goes_on_after_a_restart(server: TestServer, monkeypatch: pytest.MonkeyPatch) -> None:
    admin, alice, bob = await people(server)
    room_id = await lively_room(alice, bob)
    number = (await server.server.engine.rooms.get(room_id)).number
    reached = asyncio.Event()
    original = purging.Purging.remove_some
    removed = 0

    def some(self: purging.Purging, tx: Any, room: int, id_: str) -> int:
        nonlocal removed
        removed += 1
        if removed == 3:
            loop.call_soon_threadsafe(reached.set)
        return original(self, tx, room, id_)

    loop = asyncio.get_running_loop()
    monkeypatch.setattr(purging.Purging, "remove_some", some)
    delete_id = (await admin.delete(f"{ADMIN}/v2/rooms/{room_id}", {})).ok()["delete_id"]
    await reached.wait()
    await server.restart()
    await until(admin, f"{ADMIN}/v2/rooms/delete_status/{delete_id}", "complete")
    assert (await rows_of(server, number, room_id)).keys() <= KEPT.keys()
    assert (await admin.get(f"{ADMIN}/v1/rooms/{room_id}/block")).ok() == {"block": False}


async def test_a_deleted_room_is_joined_again(server: TestServer, other: TestServer) -> None:
    admin, alice, _ = await people(server)
    carol = await other.user("carol")
    room_id = await carol.create_room(preset="public_chat", name="Carol's")
    await carol.send(room_id, "before")
    (await alice.post(f"{V3}/join/{room_id}", {}, via="other.test")).ok()
    await carol.send(room_id, "together")
    first = (await server.server.engine.rooms.get(room_id)).number
    (await admin.delete(f"{ADMIN}/v1/rooms/{room_id}", {})).ok()
    assert (await rows_of(server, first, room_id)).keys() <= KEPT.keys()
    members = (await carol.get(f"{V3}/rooms/{room_id}/joined_members")).ok()["joined"]
    assert members.keys() == {carol.user_id}, "the other server has heard that we left"
    await carol.send(room_id, "meanwhile")
    (await alice.post(f"{V3}/join/{room_id}", {}, via="other.test")).ok()
    assert (await server.server.engine.rooms.get(room_id)).number != first
    await carol.send(room_id, "again")
    page: list[str] = []
    for _ in range(100):
        events = (await alice.get(f"{V3}/rooms/{room_id}/messages", dir="b", limit=50)).ok()["chunk"]
        page = [event["content"].get("body") for event in events if event["type"] == "m.room.message"]
        if len(page) == 4:
            break
        await asyncio.sleep(0.02)
    assert page == ["again", "meanwhile", "together", "before"]
    await alice.send(room_id, "hello")


async def test_what_can_t_be_deleted(server: TestServer) -> None:
    admin, alice, bob = await people(server)
    room_id = await alice.create_room()
    for version in (1, 2):
        path = f"{ADMIN}/v{version}/rooms"
        (await admin.delete(f"{path}/!unknown:weft.test", {})).refused(404, "M_NOT_FOUND")
        (await admin.delete(f"{path}/unknown", {})).refused(400, "M_INVALID_PARAM")
        wrong = {"new_room_user_id": "@far:else.test"}
        (await admin.delete(f"{path}/{room_id}", wrong)).refused(400, "M_INVALID_PARAM")
        (await admin.delete(f"{path}/{room_id}", {"purge": "yes"})).refused(400, "M_BAD_JSON")
        (await bob.delete(f"{path}/{room_id}", {})).refused(403, "M_FORBIDDEN")
    # A room that is not known can be blocked.
    unknown = "!unknown:weft.test"
    done = (await admin.delete(f"{ADMIN}/v1/rooms/{unknown}", {"block": True})).ok()
    assert done["kicked_users"] == []
    assert (await admin.get(f"{ADMIN}/v1/rooms/{unknown}/block")).ok()["block"] is True
    (await admin.get(f"{ADMIN}/v2/rooms/{room_id}/delete_status")).refused(404, "M_NOT_FOUND")
    (await admin.get(f"{ADMIN}/v2/rooms/delete_status/none")).refused(404, "M_NOT_FOUND")
    (await admin.get(f"{ADMIN}/v2/rooms/unknown/delete_status")).refused(400, "M_INVALID_PARAM")
    await alice.send(room_id, "it is still there")


# -- purging history


async def arrived(client: Client, room_id: str, event_id: str) -> None:
    """Returns once a client's server has an event."""
    for _ in range(200):
        if (await client.get(f"{V3}/rooms/{room_id}/event/{event_id}")).status == 200:
            return
        await asyncio.sleep(0.02)
    raise AssertionError(f"{event_id} did not come")


async def state_of(client: Client, room_id: str) -> dict[tuple[str, str], str]:
    state = (await client.get(f"{V3}/rooms/{room_id}/state")).ok()
    return {(event["type"], event["state_key"]): event["event_id"] for event in state}


async def told(client: Client, room_id: str) -> list[str]:
    """The ids of all that `/messages` tells, the newest first."""
    found: list[str] = []
    token = None
    while True:
        page = (await client.get(f"{V3}/rooms/{room_id}/messages", dir="b", limit=10, **{"from": token})).ok()
        found += [event["event_id"] for event in page["chunk"]]
        token = page.get("end")
        if token is None:
            return found


async def purged(admin: Client, room_id: str, body: dict[str, Any], event_id: str = "") -> dict[str, Any]:
    path = f"{ADMIN}/v1/purge_history/{room_id}" + (f"/{event_id}" if event_id else "")
    purge_id = (await admin.post(path, body)).ok()["purge_id"]
    return await until(admin, f"{ADMIN}/v1/purge_history_status/{purge_id}", "complete", "failed")


async def test_history_is_purged_and_the_rest_is_whole(server: TestServer) -> None:
    admin, alice, bob = await people(server)
    room_id = await alice.create_room(preset="public_chat", name="First")
    await bob.join(room_id)
    old = [await bob.send(room_id, f"old secret {number}") for number in range(15)]
    topic = await alice.set_state(room_id, "m.room.topic", {"topic": "in the middle"})
    thread = {"rel_type": "m.thread", "event_id": old[0]}
    old.append(await alice.send(room_id, event_type="m.room.message", body="secret", **{"m.relates_to": thread}))
    point = await alice.send(room_id, "kept secret")
    new = [await bob.send(room_id, f"new secret {number}") for number in range(3)]
    before = await state_of(alice, room_id)
    assert (await purged(admin, room_id, {"delete_local_events": True}, point))["status"] == "complete"
    for _ in range(2):
        assert await state_of(alice, room_id) == before
        events = await told(alice, room_id)
        assert events[:4] == [*new[::-1], point]
        assert topic in events
        assert not set(old) & set(events)
        await server.restart()
    for event_id in old:
        (await bob.get(f"{V3}/rooms/{room_id}/event/{event_id}")).refused(404, "M_NOT_FOUND")
        (await admin.get(f"{ADMIN}/v1/fetch_event/{event_id}")).refused(404, "M_NOT_FOUND")
    # The state at an old event of the state is what it was.
    context = (await alice.get(f"{V3}/rooms/{room_id}/context/{topic}")).ok()
    assert {event["type"] for event in context["state"]} >= {"m.room.create", "m.room.power_levels"}
    asked = {"search_categories": {"room_events": {"search_term": "secret"}}}
    found = (await bob.post(f"{V3}/search", asked)).ok()["search_categories"]["room_events"]
    assert found["count"] == 4
    # The room goes on.
    carol = await server.user("carol")
    await carol.join(room_id)
    await carol.send(room_id, "hello")
    assert (await carol.sync())["rooms"]["join"][room_id]["timeline"]["events"][-1]["content"]["body"] == "hello"
    assert (await bob.sync())["rooms"]["join"][room_id]


async def test_what_our_users_wrote_stays_unless_it_is_asked_for(server: TestServer, other: TestServer) -> None:
    admin, alice, _ = await people(server)
    carol = await other.user("carol")
    room_id = await alice.create_room(preset="public_chat")
    (await carol.post(f"{V3}/join/{room_id}", {}, via="weft.test")).ok()
    ours = await alice.send(room_id, "ours")
    await arrived(carol, room_id, ours)
    theirs = await carol.send(room_id, "theirs")
    await arrived(alice, room_id, theirs)
    server.clock.advance(60)
    now = server.clock()
    server.clock.advance(60)
    last = await alice.send(room_id, "last")
    before = await state_of(alice, room_id)
    assert (await purged(admin, room_id, {"purge_up_to_ts": now}))["status"] == "complete"
    assert await state_of(alice, room_id) == before
    (await admin.get(f"{ADMIN}/v1/fetch_event/{theirs}")).refused(404, "M_NOT_FOUND")
    assert (await admin.get(f"{ADMIN}/v1/fetch_event/{ours}")).status == 200
    # Who reads so far has it fetched again: the other server has it still.
    events = await told(alice, room_id)
    assert events[0] == last
    assert events.index(theirs) < events.index(ours)
    ends = (await admin.get(f"{ADMIN}/v1/rooms/{room_id}/forward_extremities")).ok()["results"]
    assert [end["event_id"] for end in ends] == [last]


async def test_others_join_a_room_whose_past_is_purged(server: TestServer, other: TestServer) -> None:
    admin, alice, bob = await people(server)
    carol = await other.user("carol")
    room_id = await alice.create_room(preset="public_chat", name="Kept")
    await bob.join(room_id)
    for number in range(10):
        await bob.send(room_id, f"old {number}")
    await alice.set_state(room_id, "m.room.topic", {"topic": "kept"})
    point = await alice.send(room_id, "from here")
    assert (await purged(admin, room_id, {"purge_up_to_event_id": point, "delete_local_events": True}))["status"] == (
        "complete"
    )
    (await carol.post(f"{V3}/join/{room_id}", {}, via="weft.test")).ok()
    assert set(await state_of(carol, room_id)) == set(await state_of(alice, room_id))
    bodies = [
        event["content"].get("body")
        for event in (await carol.get(f"{V3}/rooms/{room_id}/messages", dir="b", limit=50)).ok()["chunk"]
    ]
    assert "from here" in bodies
    assert not any(body.startswith("old") for body in bodies if body)
    await carol.send(room_id, "from elsewhere")
    for _ in range(100):
        last = (await alice.get(f"{V3}/rooms/{room_id}/messages", dir="b", limit=1)).ok()["chunk"][0]
        if last["content"].get("body") == "from elsewhere":
            break
        await asyncio.sleep(0.02)
    assert last["content"]["body"] == "from elsewhere"


async def test_what_can_t_be_purged(server: TestServer) -> None:
    admin, alice, bob = await people(server)
    room_id, another = await alice.create_room(), await alice.create_room()
    event_id, foreign = await alice.send(room_id), await alice.send(another)
    path = f"{ADMIN}/v1/purge_history"
    (await admin.post(f"{path}/{room_id}", {})).refused(400, "M_MISSING_PARAM")
    (await admin.post(f"{path}/{room_id}/{foreign}", {})).refused(404, "M_NOT_FOUND")
    (await admin.post(f"{path}/{room_id}/$unknown", {})).refused(404, "M_NOT_FOUND")
    (await admin.post(f"{path}/{room_id}", {"purge_up_to_ts": 5})).refused(404, "M_NOT_FOUND")
    (await admin.post(f"{path}/!unknown:weft.test/{event_id}", {})).refused(404, "M_NOT_FOUND")
    (await admin.post(f"{path}/unknown/{event_id}", {})).refused(400, "M_INVALID_PARAM")
    (await bob.post(f"{path}/{room_id}/{event_id}", {})).refused(403, "M_FORBIDDEN")
    (await admin.get(f"{ADMIN}/v1/purge_history_status/none")).refused(404, "M_NOT_FOUND")


# -- redacting


async def test_what_somebody_sent_is_redacted(start_server: Start) -> None:
    server = await start_server()
    admin, alice, bob = await people(server)
    rooms = [await alice.create_room(preset="public_chat") for _ in range(2)]
    for room_id in rooms:
        await bob.join(room_id)
    sent = [await bob.send(room_id, f"spam {number}") for room_id in rooms for number in range(3)]
    kept = await alice.send(rooms[0], "fine")
    path = f"{ADMIN}/v1/user/{bob.user_id}/redact"
    redact_id = (await admin.post(path, {"rooms": [], "reason": "spam"})).ok()["redact_id"]
    status = f"{ADMIN}/v1/user/redact_status/{redact_id}"
    assert await until(admin, status, "completed", "failed") == {"status": "completed", "failed_redactions": {}}
    for number, event_id in enumerate(sent):
        event = (await alice.get(f"{V3}/rooms/{rooms[number // 3]}/event/{event_id}")).ok()
        assert event["content"] == {}
        assert event["unsigned"]["redacted_because"]["sender"] == bob.user_id
        assert event["unsigned"]["redacted_because"]["content"]["reason"] == "spam"
    assert (await alice.get(f"{V3}/rooms/{rooms[0]}/event/{kept}")).ok()["content"]["body"] == "fine"
    # By an administrator who has no say there.
    late = await bob.send(rooms[0], "more")
    body = {"rooms": [rooms[0]], "use_admin": True, "limit": 1}
    redact_id = (await admin.post(path, body)).ok()["redact_id"]
    job = await until(admin, f"{ADMIN}/v1/user/redact_status/{redact_id}", "completed", "failed")
    assert job["failed_redactions"].keys() == {late}
    (await admin.post(path, {"rooms": ["unknown"]})).refused(400, "M_INVALID_PARAM")
    (await admin.post(path, {})).refused(400, "M_MISSING_PARAM")
    (await admin.post(f"{ADMIN}/v1/user/bob/redact", {"rooms": []})).refused(400, "M_INVALID_PARAM")
    (await admin.get(f"{ADMIN}/v1/user/redact_status/none")).refused(404, "M_NOT_FOUND")

    tasks = (await admin.get(f"{ADMIN}/v1/scheduled_tasks", resource_id=bob.user_id)).ok()["scheduled_tasks"]
    assert [(task["action"], task["status"]) for task in tasks] == [("redact_all_events", "complete")] * 2
    assert (await admin.get(f"{ADMIN}/v1/scheduled_tasks", status="failed")).ok() == {"scheduled_tasks": []}
    assert (await admin.get(f"{ADMIN}/v1/scheduled_tasks", max_timestamp=5)).ok() == {"scheduled_tasks": []}
