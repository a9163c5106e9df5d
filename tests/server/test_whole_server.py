"""The server as a whole: inside another application, beside others, for several domains, moved to another folder."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route

from weft.protocol.errors import WeftError
from weft.storage.database import DatabaseError
from weft.testing import Client, TestServer

VERSIONS = "/_matrix/client/versions"


async def test_it_mounts_in_another_application(tmp_path: Path) -> None:
    weft = TestServer(tmp_path)
    await weft.start()

    async def home(_: Request) -> PlainTextResponse:
        return PlainTextResponse("the product around it")

    product = Starlette(routes=[Route("/", home), Mount("/", app=weft.app())])
    visitor = Client(lambda: product)
    assert (await visitor.get("/")).body == b"the product around it"
    assert "v1.19" in (await visitor.get(VERSIONS)).ok()["versions"]
    (await visitor.get("/_matrix/client/v3/nothing/here")).refused(404, "M_UNRECOGNIZED")
    (await visitor.get("/_matrix/client/v3/account/whoami")).refused(401, "M_MISSING_TOKEN")

    alice = await weft.user("alice")
    inside = Client(lambda: product, token=alice.token, user_id=alice.user_id)
    room_id = await inside.create_room(name="inside")
    event_id = await inside.send(room_id, "through the product")
    events = (await inside.sync())["rooms"]["join"][room_id]["timeline"]["events"]
    assert events[-1]["event_id"] == event_id
    await weft.stop()


async def test_several_servers_run_side_by_side(tmp_path: Path) -> None:
    servers = [TestServer(tmp_path / name, settings={"server": {"names": [name]}}) for name in ("one.test", "two.test")]
    for server in servers:
        (tmp_path / server.name).mkdir()
        await server.start()
    users = [await server.user("alice") for server in servers]
    assert [user.user_id for user in users] == ["@alice:one.test", "@alice:two.test"]
    room_id = await users[0].create_room()
    path = f"/_matrix/client/v3/rooms/{room_id}/state"
    assert (await users[0].get(path)).status == 200
    (await users[1].get(path)).refused(403, "M_FORBIDDEN")
    for server in servers:
        await server.stop()


async def test_several_domains_live_in_one_server(tmp_path: Path) -> None:
    server = TestServer(tmp_path, settings={"server": {"names": ["one.test", "two.test"]}})
    await server.start()
    alice = await server.user("alice")
    await server.server.accounts.create("@bob:two.test", "correct horse")
    bob = await server.login("@bob:two.test")
    room_id = await alice.create_room(preset="private_chat")
    await alice.invite(room_id, bob.user_id)
    await bob.join(room_id)
    event_id = await bob.send(room_id, "from the other domain")
    events = (await alice.sync())["rooms"]["join"][room_id]["timeline"]["events"]
    assert events[-1]["event_id"] == event_id
    stored = await server.server.engine.rooms.event(event_id)
    assert stored is not None
    assert list(stored.event.pdu["signatures"]) == ["two.test"], "each domain signs for its own users"
    await server.stop()


async def test_a_stopped_servers_folder_can_be_copied_and_started_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    here = TestServer(tmp_path / "here")
    await here.start()
    alice = await here.user("alice")
    room_id = await alice.create_room(name="moves")
    since = (await alice.sync())["next_batch"]
    event_id = await alice.send(room_id, "before")
    await here.stop()

    shutil.copytree(tmp_path / "here", tmp_path / "there")
    there = TestServer(tmp_path / "there", seed=1)
    await there.start()
    moved = there.client(alice.token, user_id=alice.user_id)
    events = (await moved.sync(since))["rooms"]["join"][room_id]["timeline"]["events"]
    assert [event["event_id"] for event in events] == [event_id]
    await moved.send(room_id, "after")
    await there.stop()


async def test_a_second_process_on_the_same_folder_is_refused(tmp_path: Path) -> None:
    first, second = TestServer(tmp_path), TestServer(tmp_path)
    await first.start()
    with pytest.raises(DatabaseError, match="Another process uses the database"):
        await second.start()
    await first.stop()
    assert issubclass(DatabaseError, WeftError)
