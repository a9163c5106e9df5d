"""Which server a request is from: through the whole application, with every way to get it wrong."""

from __future__ import annotations

import pytest

from tests.federation.invented import Invented, key
from tests.federation.kit import MemoryKit, processes
from tests.federation.people import eventually
from weft.protocol.request_auth import authorization
from weft.protocol.server_keys import OldKey
from weft.testing import TestServer

PROFILE = "/_matrix/federation/v1/query/profile?user_id=%40alice%3Aone.test"


async def start(kit: MemoryKit) -> tuple[TestServer, Invented]:
    (one,) = await kit(1)
    await one.user("alice")
    return one, Invented(kit.network, kit.clock)


async def test_a_signed_request_is_answered_and_its_keys_are_asked_for_once(memory_servers: MemoryKit) -> None:
    one, peer = await start(memory_servers)
    for _ in range(3):
        (await peer.ask(one, "GET", PROFILE)).ok()
    assert peer.asked == 1


async def test_servers_sign_their_requests_to_each_other(memory_servers: MemoryKit) -> None:
    from weft.protocol.api.federation import queries

    one, two = await memory_servers(2)
    alice = await one.user("alice")
    (await alice.put(f"/_matrix/client/v3/profile/{alice.user_id}/displayname", {"displayname": "Ali"})).ok()
    answer = await two.server.federation.peers.call(
        queries.QUERY_PROFILE,
        queries.QueryProfileRequest(user_id=alice.user_id),
        origin="two.test",
        destination="one.test",
    )
    assert answer["displayname"] == "Ali"


@pytest.mark.parametrize(
    "lie",
    [
        {"method": "POST"},
        {"uri": "/_matrix/federation/v1/query/profile?user_id=%40bob%3Aone.test"},
        {"uri": PROFILE.replace("%40", "@")},
        {"destination": "two.test"},
        {"content": b"{}"},
        {"origin": "other.test"},
        {"key": key("b")},
    ],
)
async def test_what_is_signed_must_be_what_is_sent(memory_servers: MemoryKit, lie: dict[str, object]) -> None:
    one, peer = await start(memory_servers)
    (await peer.ask(one, "GET", PROFILE, signed_as=lie)).refused(401, "M_UNAUTHORIZED")


@pytest.mark.parametrize("header", ["", "Bearer abc", "X-Matrix", "X-Matrix origin=peer.test,key=ed25519:a,sig=AAAA"])
async def test_a_request_without_a_good_signature_is_refused(memory_servers: MemoryKit, header: str) -> None:
    one, peer = await start(memory_servers)
    (await peer.ask(one, "GET", PROFILE, header=header or " ")).refused(401, "M_UNAUTHORIZED")


async def test_a_body_must_be_json(memory_servers: MemoryKit) -> None:
    one, peer = await start(memory_servers)
    uri = "/_matrix/federation/v1/publicRooms"
    (await peer.ask(one, "POST", uri, body=b'{"limit": 3, "x": 123456789012345678901}')).ok()
    header = authorization(key("a"), method="POST", uri=uri, origin="peer.test", destination="one.test", content=b'"x"')
    for body in (b"{", b"\xff", b"[" * 10_000, b"{} {}"):
        client = one.client()
        answer = await client.request("POST", uri, body=body, headers={"authorization": header})
        answer.refused(400, "M_NOT_JSON")
    (await peer.ask(one, "POST", uri, body=b'{"limit": 3}', signed_as={"content": b'{"limit":4}'})).refused(
        401, "M_UNAUTHORIZED"
    )


async def test_an_old_server_does_not_say_whom_it_means(memory_servers: MemoryKit) -> None:
    kit = memory_servers
    one = await kit.start("one.test", {"server": {"names": ["one.test", "second.test"]}})
    peer = Invented(kit.network, kit.clock)
    for meant, status in [("one.test", 404), ("second.test", 404), ("third.test", 401)]:
        full = authorization(key("a"), method="GET", uri=PROFILE, origin="peer.test", destination=meant, content=None)
        header = full.replace(f'destination="{meant}",', "")
        assert (await peer.ask(one, "GET", PROFILE, header=header)).status == status
        assert (await peer.ask(one, "GET", PROFILE, header=full)).status == status


async def test_keys_that_ended_or_are_not_known_do_not_count(memory_servers: MemoryKit) -> None:
    one, peer = await start(memory_servers)
    (await peer.ask(one, "GET", PROFILE)).ok()
    # It rotates its key: the new one is asked for, the old one counts no longer.
    peer.old_keys = [OldKey(key("a").verify_key, memory_servers.clock())]
    peer.keys = [key("b")]
    one.clock.advance(60)
    (await peer.ask(one, "GET", PROFILE)).ok()
    (await peer.ask(one, "GET", PROFILE, signed_as={"key": key("a")})).refused(401, "M_UNAUTHORIZED")
    assert peer.asked == 2
    # Keys that nobody has are not asked for with every request.
    for number in range(20):
        (await peer.ask(one, "GET", PROFILE, signed_as={"key": key(f"x{number}")})).refused(401, "M_UNAUTHORIZED")
    assert peer.asked <= 3


async def test_a_server_without_keys_is_told_so_and_forgiven(memory_servers: MemoryKit) -> None:
    one, peer = await start(memory_servers)
    peer.there = False
    for _ in range(10):
        (await peer.ask(one, "GET", PROFILE)).refused(401, "M_UNAUTHORIZED")
        one.clock.advance(1)
    assert peer.asked <= 2
    peer.there = True
    one.clock.advance(11)
    (await peer.ask(one, "GET", PROFILE)).ok()


async def test_who_asks_is_there(memory_servers: MemoryKit) -> None:
    one, peer = await start(memory_servers)

    async def all_think_so(is_there: bool) -> bool:
        return all(each.federation.peers.is_available("peer.test") is is_there for each in processes(one))

    one.server.federation.destinations.failed("peer.test")
    await eventually(lambda: all_think_so(False))
    (await peer.ask(one, "GET", PROFILE)).ok()
    await eventually(lambda: all_think_so(True))


async def test_several_signatures_must_agree(memory_servers: MemoryKit) -> None:
    one, peer = await start(memory_servers)
    peer.keys = [key("a"), key("b")]
    requests = one.server.federation.requests
    good = [
        authorization(one_key, method="GET", uri="/", origin="peer.test", destination="one.test", content=None)
        for one_key in (*peer.keys, key("unknown"))
    ]
    assert await requests.origin("GET", "/", ["Bearer x", *good], b"") == "peer.test"
    wrong = good[1].replace('sig="', 'sig="AAAA')
    other = good[0].replace("peer.test", "other.test")
    for headers in ([good[0], wrong], [good[0], other], good * 3):
        with pytest.raises(Exception, match=r"match|contradict|many"):
            await requests.origin("GET", "/", headers, b"")
