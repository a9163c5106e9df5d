"""What an operator looks at in a room: its graph, and other servers' copies of it."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote
from xml.etree import ElementTree

import pytest

from weft.http import operator
from weft.testing import TestServer

SVG = "{http://www.w3.org/2000/svg}"


def graph_of(room_id: str, query: str = "") -> str:
    return f"/_weft/admin/v1/rooms/{quote(room_id, safe='')}/graph{query}"


def comparison_of(room_id: str) -> str:
    return f"/_weft/admin/v1/rooms/{quote(room_id, safe='')}/comparison"


async def test_the_graph_of_a_room(server: TestServer) -> None:
    admin, alice = await server.user("admin"), await server.user("alice")
    room_id = (await alice.post("/_matrix/client/v3/createRoom", {"name": "secret plans"})).ok()["room_id"]
    said = await alice.put(f"/_matrix/client/v3/rooms/{room_id}/send/m.room.message/1", {"body": "private words"})
    answer = await admin.get(graph_of(room_id))
    assert answer.status == 200
    assert answer.headers["content-type"] == "image/svg+xml"
    assert "sandbox" in answer.headers["content-security-policy"]
    svg = answer.body.decode()
    ids = {group.attrib["id"] for group in ElementTree.fromstring(svg).iter(f"{SVG}g")}
    assert said.ok()["event_id"] in ids
    assert "m.room.create" in svg
    assert "private words" not in svg
    one = (await admin.get(graph_of(room_id, "?limit=1"))).body.decode()
    assert said.ok()["event_id"] in one
    assert "is not here" in one, "what it builds on is not drawn"


async def test_only_administrators_look(server: TestServer) -> None:
    await server.user("admin")
    alice = await server.user("alice")
    room_id = (await alice.post("/_matrix/client/v3/createRoom", {})).ok()["room_id"]
    for path in (graph_of(room_id), comparison_of(room_id)):
        (await server.client().get(path)).refused(401, "M_MISSING_TOKEN")
        (await alice.get(path)).refused(403, "M_FORBIDDEN")


@pytest.mark.parametrize("query", ["?limit=0", "?limit=2001", "?limit=x"])
async def test_limits(server: TestServer, query: str) -> None:
    admin = await server.user("admin")
    (await admin.get(graph_of("!room:weft.test", query))).refused(400, "M_INVALID_PARAM")


async def test_rooms_that_are_not_here(server: TestServer) -> None:
    admin = await server.user("admin")
    for path in (graph_of("!room:weft.test"), comparison_of("!room:weft.test")):
        (await admin.get(path)).refused(404, "M_NOT_FOUND")


async def test_who_knows_the_servers_secret_looks(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("very secret\n")
    server = TestServer(tmp_path, settings={"registration": {"shared_secret_file": "secret"}})
    await server.start()
    alice = await server.user("alice")
    room_id = (await alice.post("/_matrix/client/v3/createRoom", {})).ok()["room_id"]
    path = graph_of(room_id, "?limit=3")
    now_ms = server.clock()

    def header(secret: str = "very secret", method: str = "GET", path: str = path, at_ms: int = now_ms) -> str:
        return operator.proof(secret, method=method, path=path, now_ms=at_ms)

    async def look(proof: str) -> int:
        return (await server.client().request("GET", path, headers={operator.HEADER.lower(): proof})).status

    assert await look(header()) == 200
    for wrong in (
        header(secret="another"),
        header(method="POST"),
        header(path=graph_of(room_id)),
        header(at_ms=now_ms - 61_000),
        header(at_ms=now_ms + 61_000),
        header()[:-1],
        "",
        ".",
        "9" * 100,
    ):
        assert await look(wrong) == 403
    await server.stop()


async def test_a_room_that_no_other_server_is_in(server: TestServer) -> None:
    admin = await server.user("admin")
    room_id = (await admin.post("/_matrix/client/v3/createRoom", {"room_version": "11"})).ok()["room_id"]
    found = (await admin.get(comparison_of(room_id))).ok()
    assert found["room_version"] == "11"
    assert found["servers"] == []
    assert len(found["ends"]) == 1
