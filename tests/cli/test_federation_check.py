"""`weft doctor` on the way to a domain: what it finds, and what it says is to be done."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from multidict import CIMultiDict, CIMultiDictProxy

from tests.federation.kit import HttpsKit, Loopback
from tests.http.certificates import make_certificate
from weft.cli.federation_check import Outside, examine_domain
from weft.cli.findings import Verdict
from weft.federation.srv import SrvRecord
from weft.http.addresses import AddressGuard
from weft.http.client import HttpClient, Reply
from weft.http.serve import HttpServer, Listener, Tls
from weft.protocol.errors import Unreachable
from weft.protocol.signatures import VerifyKey
from weft.testing import TestServer

DOMAIN = "one.test"


class World(HttpClient):
    """The domain's web server says what a test gives it; all else is really asked."""

    def __init__(self, certificate: Path) -> None:
        super().__init__(guard=AddressGuard(deny=()), extra_cas=[certificate], resolver=Loopback())
        self.documents: dict[str, tuple[int, bytes]] = {}
        self.services: dict[str, list[SrvRecord]] = {}
        self.public = ["203.0.114.7"]

    async def request(self, method: str, url: str, **options: Any) -> Reply:
        host = url.removeprefix("https://").partition("/")[0]
        if not url.endswith("/.well-known/matrix/server"):
            return await super().request(method, url, **options)
        if host not in self.documents:
            raise Unreachable(f"https://{host} can't be reached: nobody is there")
        status, body = self.documents[host]
        return Reply(status, CIMultiDictProxy(CIMultiDict()), body, url)

    async def records(self, name: str) -> Sequence[SrvRecord]:
        return self.services.get(name, [])

    async def addresses(self, host: str) -> Sequence[str]:
        return self.public


class Domain:
    """One server at `place`, its key, and the world around it."""

    def __init__(self, server: TestServer, world: World, port: int) -> None:
        self.server = server
        self.world = world
        self.port = port
        self.place = f"{DOMAIN}:{port}"
        self.key = server.server.federation.own_keys.current[DOMAIN].verify_key

    async def examine(self, name: str = DOMAIN, *, key: VerifyKey | None = None, is_running: bool = True) -> list[str]:
        outside = Outside(self.world, self.world.records, self.world.addresses, self.server.clock)
        findings = examine_domain(name, key or self.key, outside, is_running=is_running)
        return [f"{one.verdict.value} {one.text.removeprefix('Federation: ')}" async for one in findings]


@pytest_asyncio.fixture
async def domain(tmp_path: Path) -> Any:
    kit = HttpsKit(tmp_path)
    (server,) = await kit(1)
    (record,) = await kit.records(f"_matrix-fed._tcp.{DOMAIN}")
    world = World(kit.certificate)
    yield Domain(server, world, record.port)
    await world.close()
    await kit.close()


def verdicts(lines: Sequence[str]) -> set[str]:
    return {line.partition(" ")[0] for line in lines}


async def test_a_document_that_names_the_server(domain: Domain) -> None:
    domain.world.documents[DOMAIN] = 200, b'{"m.server": "%s"}' % domain.place.encode()
    found = await domain.examine()
    assert verdicts(found) == {Verdict.GOOD.value}, found
    assert found[0] == f"ok https://{DOMAIN}/.well-known/matrix/server names {domain.place}."
    assert f"{DOMAIN}'s key, {domain.key.key_id}" in found[2]
    assert "is Weft" in found[3]


async def test_records(domain: Domain) -> None:
    domain.world.documents[DOMAIN] = 404, b""
    domain.world.services[f"_matrix-fed._tcp.{DOMAIN}"] = [SrvRecord(1, 1, domain.port, DOMAIN)]
    found = await domain.examine()
    assert verdicts(found) == {"ok"}, found
    assert "there is no https://" in found[0]
    assert f"leads to {domain.place}" in found[1]
    old = domain.world.services.pop(f"_matrix-fed._tcp.{DOMAIN}")
    domain.world.services[f"_matrix._tcp.{DOMAIN}"] = old
    found = await domain.examine()
    assert verdicts(found) == {"ok", "warn"}
    assert any("old name of that record" in line for line in found)


async def test_a_name_with_a_port(domain: Domain) -> None:
    found = await domain.examine(domain.place)
    assert found[0].startswith("ok other servers go to ")
    assert any("is not" in line and line.startswith("FAIL") for line in found), "it is another name's server"


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (200, b"<html>", "FAIL"),
        (200, b'{"m.server": ""}', "FAIL"),
        (200, b"{}", "FAIL"),
        (500, b"{}", "FAIL"),
        (200, b'{"m.server": "one.test"}', "warn the document names no port"),
    ],
)
async def test_documents_that_lead_nowhere(domain: Domain, status: int, body: bytes, said: str) -> None:
    domain.world.documents[DOMAIN] = status, body
    found = await domain.examine()
    assert any(line.startswith(said) for line in found[:2]), found


async def test_a_domain_that_does_not_answer_goes_on_with_port_8448(domain: Domain) -> None:
    found = await domain.examine()
    assert found[0].startswith("warn ")
    assert "can't be read" in found[0]
    assert found[1] == f"ok without a port or SRV records, other servers go to {DOMAIN}:8448."
    assert found[2].startswith("FAIL ")
    assert "Open that port" in found[2]
    stopped = await domain.examine(is_running=False)
    assert stopped[2].startswith("warn ")
    assert "start it and look again" in stopped[2]


async def test_addresses(domain: Domain) -> None:
    domain.world.documents[DOMAIN] = 200, b'{"m.server": "%s"}' % domain.place.encode()
    domain.world.public = ["10.0.0.3", "203.0.114.7"]
    found = await domain.examine()
    assert f"warn {DOMAIN} leads to 10.0.0.3, where servers on the internet can't and don't go." in found
    domain.world.public = []
    found = await domain.examine()
    assert found[-1] == f"FAIL {DOMAIN} has no address: make an A or AAAA record for it."


async def test_another_servers_key(domain: Domain) -> None:
    domain.world.documents[DOMAIN] = 200, b'{"m.server": "%s"}' % domain.place.encode()
    other = replace(domain.key, key_id="ed25519:other")
    found = await domain.examine(key=other)
    assert any(line.startswith("FAIL") and "another server answers there" in line for line in found)


async def test_an_expired_document_of_keys(domain: Domain) -> None:
    domain.world.documents[DOMAIN] = 200, b'{"m.server": "%s"}' % domain.place.encode()
    outside = Outside(domain.world, domain.world.records, domain.world.addresses, lambda: 4_000_000_000_000)
    found = [one.text async for one in examine_domain(DOMAIN, domain.key, outside, is_running=True)]
    assert any("has expired" in text for text in found)


async def test_a_certificate_of_another_name(domain: Domain, tmp_path: Path) -> None:
    tls = Tls(*make_certificate(tmp_path / "wrong", "other.test"))
    listener = HttpServer(
        [Listener("127.0.0.1", 0, frozenset({"federation"}), tls)], lambda _: domain.server.app(), grace=1
    )
    await listener.start()
    ((_, _, port),) = listener.addresses()
    domain.world.documents[DOMAIN] = 200, b'{"m.server": "%s:%d"}' % (DOMAIN.encode(), port)
    found = await domain.examine()
    await listener.stop()
    assert found[-1].startswith(f"FAIL the certificate at {DOMAIN}:{port} is not accepted")
    assert f"Get one for {DOMAIN}" in found[-1]


async def test_a_place_that_is_no_matrix_server(domain: Domain, tmp_path: Path) -> None:
    async def nothing(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 404, "headers": []})
        await send({"type": "http.response.body", "body": b"not found"})

    tls = Tls(*make_certificate(tmp_path / "again", DOMAIN))
    listener = HttpServer([Listener("127.0.0.1", 0, frozenset({"federation"}), tls)], lambda _: nothing, grace=1)
    await listener.start()
    ((_, _, port),) = listener.addresses()
    world = World(tls.certificate)
    domain.world = world
    world.documents[DOMAIN] = 200, b'{"m.server": "%s:%d"}' % (DOMAIN.encode(), port)
    found = await domain.examine()
    await world.close()
    await listener.stop()
    assert "/_matrix/key/v2/server answers 404" in found[-2]
    assert "Have the proxy pass everything below /_matrix on" in found[-1]
    assert verdicts(found[-2:]) == {"FAIL"}


async def test_names_of_this_machine(domain: Domain) -> None:
    (found,) = await domain.examine("localhost")
    assert found.startswith("warn localhost is a name that only this machine knows.")
