"""What anybody may ask of a server: its keys, other servers' keys, its version."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest

from tests.modules.conftest import Start
from weft.federation.keyring import Keyring
from weft.federation.own_keys import OwnKeys
from weft.modules.server_keys.service import LIFETIME_MS, ServerKeysService
from weft.protocol import canonical_json, server_keys
from weft.protocol.server_keys import OldKey
from weft.protocol.signatures import SigningKey, verify_json
from weft.testing import Network, TestServer
from weft.testing.server import key_of

KEY = "/_matrix/key/v2"


def read(document: dict[str, Any], name: str) -> server_keys.ServerKeys:
    return server_keys.parse(canonical_json.encode(document), server_name=name)


@pytest.mark.parametrize("path", ["/server", "/server/", "/server/ed25519:auto"])
async def test_a_server_tells_its_keys(server: TestServer, path: str) -> None:
    now_ms = server.clock()
    document = read((await server.client().get(KEY + path)).ok(), "weft.test")
    assert list(document.keys.values()) == [key_of("weft.test").verify_key]
    assert now_ms < document.valid_until_ms <= now_ms + LIFETIME_MS + 10_000


async def test_the_keys_are_those_of_the_domain_that_was_asked(start_server: Start) -> None:
    server = await start_server({"server": {"names": ["one.test", "two.test:8448"]}})
    for host, domain in [
        ("one.test", "one.test"),
        ("one.test:8448", "one.test"),
        ("two.test:8448", "two.test:8448"),
        ("proxy.test", "one.test"),
        ("[::1]", "one.test"),
        ("", "one.test"),
    ]:
        answer = await server.client().request("GET", f"{KEY}/server", headers={"host": host})
        assert read(answer.ok(), domain).keys["ed25519:test"] == key_of(domain).verify_key


async def test_the_document_is_made_anew_before_it_grows_old(server: TestServer) -> None:
    first = (await server.client().get(f"{KEY}/server")).ok()["valid_until_ts"]
    server.clock.advance(600)
    assert (await server.client().get(f"{KEY}/server")).ok()["valid_until_ts"] == first
    server.clock.advance(7200)
    assert (await server.client().get(f"{KEY}/server")).ok()["valid_until_ts"] > first


def test_former_keys_are_told_too() -> None:
    former, current = SigningKey("ed25519:1", bytes(32)), SigningKey("ed25519:2", b"2" * 32)
    own = OwnKeys({"a.test": current}, {"a.test": [OldKey(former.verify_key, 5), OldKey(current.verify_key, 6)]})
    service = ServerKeysService(own, cast("Keyring", None), lambda: 1_000)
    document = server_keys.parse(service.own("a.test"))
    assert document.old_keys == {"ed25519:1": OldKey(former.verify_key, 5)}
    assert document.keys == {"ed25519:2": current.verify_key}


async def test_a_notary_vouches_for_its_own_keys(server: TestServer) -> None:
    (document,) = (await server.client().get(f"{KEY}/query/weft.test")).ok()["server_keys"]
    assert read(document, "weft.test").keys


async def test_a_notary_vouches_for_others(tmp_path: Path) -> None:
    network = Network()
    servers = []
    for name in ("one.test", "two.test"):
        (tmp_path / name).mkdir()
        servers.append(TestServer(tmp_path / name, settings={"server": {"names": [name]}}, network=network))
        await servers[-1].start()
    one, two = servers
    client = one.client()
    (document,) = (await client.get(f"{KEY}/query/two.test")).ok()["server_keys"]
    read(document, "two.test")
    verify_json(document, "one.test", key_of("one.test").verify_key)

    # It answers for servers that are gone, and is silent about those that nobody knows.
    await two.stop()
    wanted = {"two.test": {}, "three.test": {}, "one.test": {"ed25519:x": {"minimum_valid_until_ts": 5}}, "!": {}}
    documents = (await client.post(f"{KEY}/query", {"server_keys": wanted})).ok()["server_keys"]
    assert {one["server_name"] for one in documents} == {"one.test", "two.test"}
    assert (await client.post(f"{KEY}/query", {"server_keys": {}})).ok() == {"server_keys": []}
    await one.stop()


async def test_a_notary_answers_several_at_a_time(server: TestServer) -> None:
    answer = (await server.client().post(f"{KEY}/query", {"server_keys": {"weft.test": {}, "gone.test": {}}})).ok()
    assert [one["server_name"] for one in answer["server_keys"]] == ["weft.test"]
    too_many = {f"s{number}.test": {} for number in range(101)}
    (await server.client().post(f"{KEY}/query", {"server_keys": too_many})).refused(400, "M_BAD_JSON")


async def test_a_notary_is_not_asked_for_nonsense(server: TestServer) -> None:
    assert (await server.client().get(f"{KEY}/query/not%20a%20name")).ok() == {"server_keys": []}
    bad = await server.client().get(f"{KEY}/query/weft.test", minimum_valid_until_ts="soon")
    bad.refused(400, "M_INVALID_PARAM")


async def test_the_version(server: TestServer) -> None:
    said = (await server.client().get("/_matrix/federation/v1/version")).ok()
    assert said["server"]["name"] == "Weft"


async def test_without_federation_nobody_is_answered(start_server: Start) -> None:
    server = await start_server({"federation": {"enabled": False}})
    (await server.client().get(f"{KEY}/server")).refused(404, "M_UNRECOGNIZED")
    (await server.client().get("/_matrix/federation/v1/version")).refused(404, "M_UNRECOGNIZED")
