"""Where a server is: the specification's steps as a table, and what is kept of the answers.

https://spec.matrix.org/v1.19/server-server-api/#resolving-server-names
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from email.utils import formatdate

import dns.asyncresolver
import dns.exception
import dns.message
import dns.name
import dns.rdataclass
import dns.rdatatype
import dns.resolver
import pytest
from multidict import CIMultiDict, CIMultiDictProxy

from weft.federation import srv as srv_module
from weft.federation.discovery import MAX_TARGETS, Discovery, Target, in_order
from weft.federation.srv import Srv, SrvRecord
from weft.federation.well_known import (
    DEFAULT_MS,
    FIRST_PAUSE_MS,
    LONGEST_MS,
    LONGEST_PAUSE_MS,
    MAX_REDIRECTS,
    SHORTEST_MS,
    WellKnown,
    lifetime_ms,
)
from weft.http.client import Reply
from weft.protocol.errors import PeerError, Unreachable
from weft.storage.cache import Budget

FED, OLD = "_matrix-fed._tcp.", "_matrix._tcp."


class World:
    """What domains say, and what DNS says."""

    def __init__(self, delegated: Mapping[str, str] | None = None, records: Mapping[str, str] | None = None) -> None:
        self.delegated = delegated or {}
        self.dns = records or {}
        self.looked: list[str] = []

    async def server(self, host: str) -> str | None:
        return self.delegated.get(host)

    async def records(self, name: str) -> Sequence[SrvRecord]:
        self.looked.append(name)
        found = self.dns.get(name)
        if found is None:
            return []
        host, _, port = found.rpartition(":")
        return [SrvRecord(0, 0, int(port), host)]


@pytest.mark.parametrize(
    ("name", "delegated", "records", "target"),
    [
        # 1. An IP address.
        ("1.2.3.4", None, {}, Target("1.2.3.4", 8448, "1.2.3.4", "1.2.3.4")),
        ("1.2.3.4:99", None, {}, Target("1.2.3.4", 99, "1.2.3.4:99", "1.2.3.4")),
        ("[1:2::3]", None, {}, Target("1:2::3", 8448, "[1:2::3]", "1:2::3")),
        ("[1:2::3]:99", None, {}, Target("1:2::3", 99, "[1:2::3]:99", "1:2::3")),
        # 2. A port.
        ("a.test:99", "b.test", {FED + "a.test": "c.test:1"}, Target("a.test", 99, "a.test:99", "a.test")),
        # 3.1. It is delegated to an IP address.
        ("a.test", "1.2.3.4", {}, Target("1.2.3.4", 8448, "1.2.3.4", "1.2.3.4")),
        ("a.test", "1.2.3.4:99", {}, Target("1.2.3.4", 99, "1.2.3.4:99", "1.2.3.4")),
        ("a.test", "[::5]:99", {}, Target("::5", 99, "[::5]:99", "::5")),
        # 3.2. To a port.
        ("a.test", "b.test:99", {FED + "b.test": "c.test:1"}, Target("b.test", 99, "b.test:99", "b.test")),
        # 3.3. To a name with records.
        ("a.test", "b.test", {FED + "b.test": "c.test:1"}, Target("c.test", 1, "b.test", "b.test")),
        # 3.4. To a name with records of the old service; the new one wins.
        ("a.test", "b.test", {OLD + "b.test": "d.test:2"}, Target("d.test", 2, "b.test", "b.test")),
        (
            "a.test",
            "b.test",
            {OLD + "b.test": "d.test:2", FED + "b.test": "c.test:1"},
            Target("c.test", 1, "b.test", "b.test"),
        ),
        # 3.5. To a name without.
        ("a.test", "b.test", {FED + "a.test": "c.test:1"}, Target("b.test", 8448, "b.test", "b.test")),
        # 4. It is not delegated, and has records.
        ("a.test", None, {FED + "a.test": "c.test:1"}, Target("c.test", 1, "a.test", "a.test")),
        # 5. Of the old service.
        ("a.test", None, {OLD + "a.test": "d.test:2"}, Target("d.test", 2, "a.test", "a.test")),
        # 6. None of it.
        ("a.test", None, {}, Target("a.test", 8448, "a.test", "a.test")),
    ],
)
async def test_the_steps(name: str, delegated: str | None, records: dict[str, str], target: Target) -> None:
    world = World({"a.test": delegated} if delegated else {}, records)
    assert await Discovery(world, world, pick=lambda below: 0).resolve(name) == [target]


@pytest.mark.parametrize("name", ["", "a b", "a.test:99999", "[::zz]", "a/b", "@a"])
async def test_what_is_no_name(name: str) -> None:
    with pytest.raises(PeerError):
        await Discovery(World(), World(), pick=lambda below: 0).resolve(name)


def test_urls_have_brackets_where_they_must() -> None:
    assert Target("::5", 99, "", "").url == "https://[::5]:99"
    assert Target("a.test", 8448, "", "").url == "https://a.test:8448"


async def test_several_records() -> None:
    class Many(World):
        async def records(self, name: str) -> Sequence[SrvRecord]:
            return [SrvRecord(number, 0, number, f"h{number}.test") for number in range(9, 0, -1)]

    targets = await Discovery(Many(), Many(), pick=lambda below: 0).resolve("a.test")
    assert [target.port for target in targets] == list(range(1, MAX_TARGETS + 1))


def test_records_are_spread_by_weight() -> None:
    records = [SrvRecord(1, weight, weight, "") for weight in (0, 10, 30)] + [SrvRecord(0, 0, 99, "")]
    firsts = [in_order(records, lambda below, draw=draw: draw % below)[1].port for draw in range(41)]
    assert in_order(records, lambda below: 0)[0].port == 99
    assert (firsts.count(0), firsts.count(10), firsts.count(30)) == (1, 10, 30)
    assert len(in_order(records, lambda below: below - 1)) == 4


# -- /.well-known/matrix/server


class Domain:
    """A domain's web server, and a clock."""

    def __init__(self) -> None:
        self.now_ms = 1_000_000_000_000
        self.asked = 0
        self.body = b'{"m.server": "b.test:443"}'
        self.status = 200
        self.headers: dict[str, str] = {}
        self.there = True
        self.known = WellKnown(self.fetch, Budget(1 << 20).cache("test", 1.0, lambda _: 1), now_ms=lambda: self.now_ms)

    async def fetch(self, method: str, url: str, *, timeout: float, max_bytes: int, max_redirects: int) -> Reply:
        self.asked += 1
        await asyncio.sleep(0)
        assert (method, url) == ("GET", "https://a.test/.well-known/matrix/server")
        assert max_bytes <= 1 << 20
        assert timeout <= 30
        assert max_redirects == MAX_REDIRECTS
        if not self.there:
            raise Unreachable("gone")
        return Reply(self.status, CIMultiDictProxy(CIMultiDict(self.headers)), self.body, url)


async def test_a_good_answer_is_kept_for_a_day() -> None:
    domain = Domain()
    assert await asyncio.gather(*(domain.known.server("a.test") for _ in range(9))) == ["b.test:443"] * 9
    domain.now_ms += DEFAULT_MS - 1
    assert await domain.known.server("a.test") == "b.test:443"
    assert domain.asked == 1
    domain.now_ms += 1
    domain.body = b'{"m.server": "c.test", "more": [1.5]}'
    assert await domain.known.server("a.test") == "c.test"


@pytest.mark.parametrize(
    ("headers", "lifetime"),
    [
        ({}, DEFAULT_MS),
        ({"cache-control": "max-age=7200"}, 7_200_000),
        ({"Cache-Control": 'public, Max-Age = "7200"'}, 7_200_000),
        ({"cache-control": "max-age=999999999"}, LONGEST_MS),
        ({"cache-control": "max-age=0"}, SHORTEST_MS),
        ({"cache-control": "no-store"}, SHORTEST_MS),
        ({"cache-control": "no-cache, max-age=7200"}, SHORTEST_MS),
        ({"cache-control": "private"}, DEFAULT_MS),
        ({"expires": formatdate(1_000_000_000 + 7200, usegmt=True)}, 7_200_000),
        ({"expires": "0"}, SHORTEST_MS),
        ({"expires": formatdate(5, usegmt=True)}, SHORTEST_MS),
        ({"cache-control": "max-age=3600", "expires": "0"}, 3_600_000),
    ],
)
def test_how_long_an_answer_is_kept(headers: dict[str, str], lifetime: int) -> None:
    assert lifetime_ms(CIMultiDict(headers), 1_000_000_000_000) == lifetime


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (404, b'{"m.server": "b.test"}'),
        (204, b""),
        (200, b""),
        (200, b"<html>"),
        (200, b"[]"),
        (200, b"{}"),
        (200, b'{"m.server": 5}'),
        (200, b'{"m.server": ""}'),
        (200, b'{"m.server": "https://b.test"}'),
        (200, b'{"m.server": "b.test:0x1"}'),
        (200, b"[" * 40_000),
    ],
)
async def test_what_is_no_answer_delegates_to_nobody(status: int, body: bytes) -> None:
    domain = Domain()
    domain.status, domain.body = status, body
    assert await domain.known.server("a.test") is None
    assert await domain.known.server("a.test") is None
    assert domain.asked == 1


async def test_a_domain_without_an_answer_is_asked_ever_more_rarely() -> None:
    domain = Domain()
    domain.there = False
    pauses = []
    for _ in range(9):
        before = domain.now_ms
        asked = domain.asked
        while domain.asked == asked:
            assert await domain.known.server("a.test") is None
            domain.now_ms += 10_000
        pauses.append(domain.now_ms - before)
    assert pauses[1] == pytest.approx(FIRST_PAUSE_MS, abs=20_000)
    assert pauses[-1] == pytest.approx(LONGEST_PAUSE_MS, abs=20_000)


async def test_yesterday_s_answer_serves_while_the_domain_is_gone_but_not_for_ever() -> None:
    domain = Domain()
    await domain.known.server("a.test")
    domain.there = False
    domain.now_ms += DEFAULT_MS + 1
    assert await domain.known.server("a.test") == "b.test:443"
    assert domain.asked == 2
    domain.now_ms += LONGEST_MS
    assert await domain.known.server("a.test") is None


# -- SRV records


class Resolver:
    """Stands in for the system's resolver."""

    def __init__(self) -> None:
        self.asked = 0
        self.error: Exception | None = None

    async def resolve(self, name: str, kind: object, **options: object) -> object:
        self.asked += 1
        if self.error is not None:
            raise self.error
        text = f"{name}. 7200 IN SRV 1 2 3 c.test.\n{name}. 7200 IN SRV 0 0 0 ."
        head = f"id 1\nopcode QUERY\nrcode NOERROR\nflags QR\n;QUESTION\n{name}. IN SRV\n"
        message = dns.message.from_text(f"{head};ANSWER\n{text}\n")
        return dns.resolver.Answer(dns.name.from_text(name), dns.rdatatype.SRV, dns.rdataclass.IN, message)


@pytest.fixture
def resolver(monkeypatch: pytest.MonkeyPatch) -> Resolver:
    made = Resolver()
    monkeypatch.setattr(dns.asyncresolver, "Resolver", lambda: made)
    return made


async def test_records_are_kept_as_long_as_they_say(resolver: Resolver) -> None:
    now = 0
    srv = Srv(Budget(1 << 20).cache("test", 1.0, lambda _: 1), now_ms=lambda: now)
    for _ in range(3):
        assert list(await srv.records("_matrix._tcp.a.test")) == [SrvRecord(1, 2, 3, "c.test")]
    assert resolver.asked == 1
    now += 7_200_000
    # Where DNS is down, what it said before still serves.
    resolver.error = dns.exception.Timeout()
    assert list(await srv.records("_matrix._tcp.a.test")) == [SrvRecord(1, 2, 3, "c.test")]
    assert resolver.asked == 2


@pytest.mark.parametrize(
    "error", [dns.resolver.NXDOMAIN(), dns.exception.Timeout(), OSError("no network"), dns.name.LabelTooLong()]
)
async def test_no_records(resolver: Resolver, error: Exception) -> None:
    resolver.error = error
    now = 0
    srv = Srv(Budget(1 << 20).cache("test", 1.0, lambda _: 1), now_ms=lambda: now)
    assert list(await srv.records("_matrix._tcp.a.test")) == []
    assert list(await srv.records("_matrix._tcp.a.test")) == []
    assert resolver.asked == 1
    now += srv_module.SHORTEST_MS
    await srv.records("_matrix._tcp.a.test")
    assert resolver.asked == 2
