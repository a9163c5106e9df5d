"""Calls: relays and their passwords, and tokens for LiveKit.

https://spec.matrix.org/v1.19/client-server-api/#voice-over-ip
https://github.com/matrix-org/matrix-spec-proposals/pull/4195
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import pytest
import pytest_asyncio
from aiohttp import web
from joserfc import jwt
from joserfc.jwk import OctKey

from tests.modules.conftest import Start
from weft.modules.voip.livekit import hashed
from weft.testing import Client, TestServer

V3 = "/_matrix/client/v3"
TOKEN = "/_weft/livekit/get_token"
LEGACY = "/_weft/livekit/sfu/get"
SECRET = "a secret of the LiveKit server, long enough"
URIS = ["turn:turn.weft.test:3478?transport=udp", "turns:turn.weft.test:5349"]


def written(folder: Path, text: str) -> str:
    file = folder / "secret"
    file.write_text(f"{text}\n")
    return str(file)


# -- relays


async def test_without_a_relay_there_is_none(server: TestServer) -> None:
    alice = await server.user("alice")
    (await alice.get(f"{V3}/voip/turnServer")).refused(404, "M_NOT_FOUND")


async def test_a_password_of_ones_own(start_server: Start, tmp_path: Path) -> None:
    voip = {"turn_uris": URIS, "turn_secret_file": written(tmp_path, "shared"), "turn_lifetime": "1h"}
    server = await start_server({"voip": voip})
    alice = await server.user("alice")
    told = (await alice.get(f"{V3}/voip/turnServer")).ok()
    assert (told["uris"], told["ttl"]) == (URIS, 3600)
    until, _, user_id = told["username"].partition(":")
    assert user_id == alice.user_id
    assert 3590 <= int(until) - server.clock.seconds <= 3600
    mac = hmac.new(b"shared", told["username"].encode(), hashlib.sha1).digest()
    assert base64.b64decode(told["password"]) == mac


async def test_one_password_for_everybody(start_server: Start, tmp_path: Path) -> None:
    voip = {"turn_uris": URIS, "turn_username": "weft", "turn_password_file": written(tmp_path, "known")}
    server = await start_server({"voip": voip})
    told = (await (await server.user("alice")).get(f"{V3}/voip/turnServer")).ok()
    assert (told["username"], told["password"]) == ("weft", "known")


@pytest.mark.parametrize("may", [False, True])
async def test_guests_use_relays_where_they_may(start_server: Start, tmp_path: Path, may: bool) -> None:
    voip = {"turn_uris": URIS, "turn_secret_file": written(tmp_path, "shared"), "turn_guests": may}
    server = await start_server({"voip": voip})
    made = (await server.client().post(f"{V3}/register?kind=guest", {})).ok()
    answer = await server.client(made["access_token"]).get(f"{V3}/voip/turnServer")
    if may:
        assert answer.ok()["uris"] == URIS
    else:
        answer.refused(403, "M_GUEST_ACCESS_FORBIDDEN")


# -- LiveKit


class LiveKitServer:
    """Stands in for a LiveKit server: notes the rooms that are made."""

    def __init__(self) -> None:
        self.made: list[tuple[dict[str, Any], dict[str, Any]]] = []
        self.url = ""
        self.works = True

    async def create(self, request: web.Request) -> web.Response:
        if not self.works:
            return web.Response(status=503)
        token = request.headers["Authorization"].removeprefix("Bearer ")
        self.made.append((read(token), await request.json()))
        return web.json_response({})


def read(token: str) -> dict[str, Any]:
    """The claims of a token that the secret has signed."""
    return dict(jwt.decode(token, OctKey.import_key(SECRET), algorithms=["HS256"]).claims)


@pytest_asyncio.fixture
async def livekit() -> AsyncIterator[LiveKitServer]:
    there = LiveKitServer()
    app = web.Application()
    app.router.add_post("/twirp/livekit.RoomService/CreateRoom", there.create)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    there.url = f"ws://{host}:{port}"
    yield there
    await runner.cleanup()


@pytest_asyncio.fixture
async def calling(start_server: Start, livekit: LiveKitServer, tmp_path: Path) -> TestServer:
    voip = {"livekit_url": livekit.url, "livekit_key": "weft", "livekit_secret_file": written(tmp_path, SECRET)}
    return await start_server({"voip": voip, "server": {"public_url": "https://weft.test/"}})


async def openid(client: Client) -> dict[str, Any]:
    token: dict[str, Any] = (await client.post(f"{V3}/user/{client.user_id}/openid/request_token")).ok()
    return token


def asked(token: dict[str, Any], user_id: str, **others: Any) -> dict[str, Any]:
    member = {"id": "member", "claimed_user_id": user_id, "claimed_device_id": "DEVICE"}
    return {"room_id": "!a:weft.test", "slot_id": "m.call#ROOM", "openid_token": token, "member": member, **others}


async def test_a_user_of_ours_joins_a_call(calling: TestServer, livekit: LiveKitServer) -> None:
    alice = await calling.user("alice")
    nobody = calling.client()
    answer = (await nobody.post(TOKEN, asked(await openid(alice), alice.user_id))).ok()
    assert answer["url"] == livekit.url
    claims = read(answer["jwt"])
    room = hashed("!a:weft.test", "m.call#ROOM")
    assert (claims["iss"], claims["sub"]) == ("weft", hashed(alice.user_id, "DEVICE", "member"))
    assert (claims["video"]["room"], claims["video"]["roomJoin"]) == (room, True)
    assert "roomCreate" not in claims["video"]
    assert 3590 <= claims["exp"] - calling.clock.seconds <= 3600
    [(by, made)] = livekit.made
    assert (by["video"], made["name"]) == ({"roomCreate": True}, room)


def test_names_are_those_of_lk_jwt_service() -> None:
    text = orjson.dumps(["!room:x", "slot"])
    assert hashed("!room:x", "slot") == base64.b64encode(hashlib.sha256(text).digest()).decode().rstrip("=")
    assert text == b'["!room:x","slot"]'


async def test_as_older_clients_ask(calling: TestServer) -> None:
    alice = await calling.user("alice")
    body = {"room": "!a:weft.test", "openid_token": await openid(alice), "device_id": "DEVICE"}
    claims = read((await calling.client().post(LEGACY, body)).ok()["jwt"])
    assert claims["sub"] == f"{alice.user_id}:DEVICE"
    assert claims["video"]["room"] == hashed("!a:weft.test", "m.call#ROOM")


async def test_who_is_not_who_they_say_gets_none(calling: TestServer, livekit: LiveKitServer) -> None:
    alice = await calling.user("alice")
    token = await openid(alice)
    nobody = calling.client()
    (await nobody.post(TOKEN, asked(token, "@bob:weft.test"))).refused(401, "M_UNAUTHORIZED")
    wrong = {**token, "access_token": "made up"}
    (await nobody.post(TOKEN, asked(wrong, alice.user_id))).refused(401, "M_UNAUTHORIZED")
    elsewhere = {**token, "matrix_server_name": "nowhere.test"}
    (await nobody.post(TOKEN, asked(elsewhere, alice.user_id))).refused(401, "M_UNAUTHORIZED")
    await calling.server.accounts.deactivate(alice.user_id, erase=False)
    (await nobody.post(TOKEN, asked(token, alice.user_id))).refused(401, "M_UNAUTHORIZED")
    assert livekit.made == []


@pytest.mark.parametrize("missing", ["room_id", "slot_id", "openid_token", "member"])
async def test_a_request_that_lacks_something(calling: TestServer, missing: str) -> None:
    body = asked({"access_token": "x", "matrix_server_name": "weft.test"}, "@alice:weft.test")
    del body[missing]
    (await calling.client().post(TOKEN, body)).refused(400, "M_MISSING_PARAM")


async def test_a_livekit_server_that_is_down(calling: TestServer, livekit: LiveKitServer) -> None:
    livekit.works = False
    alice = await calling.user("alice")
    (await calling.client().post(TOKEN, asked(await openid(alice), alice.user_id))).refused(502, "M_UNKNOWN")


async def test_clients_find_it(calling: TestServer) -> None:
    alice = await calling.user("alice")
    service = {"type": "livekit", "livekit_service_url": "https://weft.test/_weft/livekit"}
    path = "/_matrix/client/unstable/org.matrix.msc4143/rtc/transports"
    assert (await alice.get(path)).ok() == {"rtc_transports": [service]}
    document = (await calling.client().get("/.well-known/matrix/client")).ok()
    assert document["org.matrix.msc4143.rtc_foci"] == [service]


async def test_a_service_of_somebody_elses(start_server: Start) -> None:
    server = await start_server({"voip": {"livekit_service_url": "https://rtc.test/jwt"}})
    alice = await server.user("alice")
    path = "/_matrix/client/unstable/org.matrix.msc4143/rtc/transports"
    assert (await alice.get(path)).ok()["rtc_transports"][0]["livekit_service_url"] == "https://rtc.test/jwt"
    (await server.client().post(TOKEN, asked(await openid(alice), alice.user_id))).refused(404, "M_NOT_FOUND")


async def test_without_any(server: TestServer) -> None:
    alice = await server.user("alice")
    path = "/_matrix/client/unstable/org.matrix.msc4143/rtc/transports"
    assert (await alice.get(path)).ok() == {"rtc_transports": []}
