"""HTTPS to other servers: which certificate must be shown, what is asked for, and which addresses are never reached."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from tests.federation.kit import Loopback
from tests.http.certificates import make_certificate
from tests.http.kit import Tokens, answers, endpoint
from weft.federation.discovery import Discovery
from weft.federation.https_transport import HttpsTransport
from weft.federation.srv import SrvRecord
from weft.federation.transport import OutgoingRequest
from weft.http.app import App
from weft.http.client import AddressDenied, HttpClient
from weft.http.serve import HttpServer, Listener, Tls
from weft.protocol.api.endpoint import Raw
from weft.protocol.errors import Unreachable
from weft.server.federating import http_client
from weft.settings import Federation

REQUEST = OutgoingRequest(
    origin="here.test", destination="a.test", method="GET", uri="/test?x=%41", headers={"X-One": "1"}, timeout=10
)
ECHO = answers(
    endpoint(),
    lambda call: Raw(
        body=b"%s?%s" % (call.raw_path, call.query_string), headers={"X-Host": call.headers["host"], "X-One": "2"}
    ),
)


class Where:
    """`a.test` is delegated, or has records, or neither."""

    def __init__(self, *ports: int, delegated: str | None = None) -> None:
        self.ports = ports
        self.delegated = delegated

    async def server(self, host: str) -> str | None:
        return self.delegated

    async def records(self, name: str) -> Sequence[SrvRecord]:
        return [SrvRecord(number, 0, port, "srv.test") for number, port in enumerate(self.ports)]


@asynccontextmanager
async def server(tls: Tls, address: str = "127.0.0.1") -> AsyncIterator[int]:
    """A server with a certificate; gives its port."""
    app = App([ECHO], authenticator=Tokens())
    one = HttpServer([Listener(address, 0, frozenset({"federation"}), tls)], lambda listener: app, grace=1)
    await one.start()
    try:
        yield one.addresses()[0][2]
    finally:
        await one.stop()


@asynccontextmanager
async def transport(where: Where, settings: Federation) -> AsyncIterator[HttpsTransport]:
    client: HttpClient = http_client(settings)
    client._resolver = Loopback()
    made = HttpsTransport(Discovery(where, where, pick=lambda below: 0), client)
    yield made
    await made.close()


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Tls:
    """A certificate for `a.test` and for 127.0.0.1."""
    folder: Path = tmp_path_factory.mktemp("tls") / "certificate"
    return Tls(*make_certificate(folder, "a.test", addresses=["127.0.0.1"]))


def trusting(tls: Tls, **more: object) -> Federation:
    return Federation(enabled=True, extra_ca_files=(tls.certificate,), private_addresses=True, **more)


async def test_the_server_is_called_by_its_name(tls: Tls) -> None:
    async with server(tls) as port, transport(Where(port), trusting(tls)) as https:
        reply = await https.send(REQUEST)
    assert reply.body == b"/test?x=%41"
    assert reply.headers["X-Host"] == "a.test"


async def test_the_certificate_must_be_for_the_name_and_not_for_where_it_leads(tls: Tls) -> None:
    async with server(tls) as port:
        async with transport(Where(port), trusting(tls)) as https:
            with pytest.raises(Unreachable):
                await https.send(replace(REQUEST, destination="b.test"))
        async with transport(Where(delegated=f"b.test:{port}"), trusting(tls)) as https:
            with pytest.raises(Unreachable):
                await https.send(REQUEST)
        async with transport(Where(delegated=f"a.test:{port}"), trusting(tls)) as https:
            reply = await https.send(replace(REQUEST, destination="b.test"))
            assert reply.headers["X-Host"] == f"a.test:{port}"


async def test_a_connection_that_is_kept_is_not_another_name_s(tls: Tls) -> None:
    async with server(tls) as port, transport(Where(port), trusting(tls)) as https:
        await https.send(REQUEST)
        with pytest.raises(Unreachable):
            await https.send(replace(REQUEST, destination="b.test"))


async def test_an_address_has_a_certificate_too(tls: Tls) -> None:
    async with server(tls) as port, transport(Where(), trusting(tls)) as https:
        reply = await https.send(replace(REQUEST, destination=f"127.0.0.1:{port}"))
        assert reply.headers["X-Host"] == f"127.0.0.1:{port}"


async def test_the_next_of_several_is_tried(tls: Tls) -> None:
    async with server(tls) as port, transport(Where(1, port), trusting(tls)) as https:
        assert (await https.send(REQUEST)).ok
    async with transport(Where(1, 2), trusting(tls)) as https:
        with pytest.raises(Unreachable):
            await https.send(REQUEST)


async def test_an_unknown_authority_is_not_believed_unless_none_is_asked_for(tls: Tls) -> None:
    private = Federation(enabled=True, private_addresses=True)
    async with server(tls) as port:
        async with transport(Where(port), private) as https:
            with pytest.raises(Unreachable):
                await https.send(REQUEST)
        careless = Federation(enabled=True, private_addresses=True, verify_certificates=False)
        async with transport(Where(port), careless) as https:
            assert (await https.send(replace(REQUEST, destination="b.test"))).ok


@pytest.mark.parametrize(
    ("settings", "reached"),
    [
        ({}, False),
        ({"allowed_addresses": ("127.0.0.0/8",)}, True),
        ({"allowed_addresses": ("127.0.0.1",)}, True),
        ({"allowed_addresses": ("10.0.0.0/8",)}, False),
        ({"allowed_addresses": ("127.0.0.0/8",), "denied_addresses": ("127.0.0.1",)}, False),
        ({"private_addresses": True}, True),
        ({"private_addresses": True, "denied_addresses": ("127.0.0.0/8",)}, False),
    ],
)
async def test_which_addresses_are_reached(tls: Tls, settings: dict[str, object], reached: bool) -> None:
    chosen = Federation(enabled=True, extra_ca_files=(tls.certificate,), **settings)
    for where in ("name", "address"):
        async with server(tls) as port, transport(Where(port), chosen) as https:
            request = REQUEST if where == "name" else replace(REQUEST, destination=f"127.0.0.1:{port}")
            if reached:
                assert (await https.send(request)).ok
            else:
                with pytest.raises(AddressDenied):
                    await https.send(request)
