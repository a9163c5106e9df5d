"""Identity servers: binding and unbinding addresses, and inviting by them. The identity server is a real one (HTTP).

https://spec.matrix.org/v1.19/client-server-api/#third-party-invites
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.federation.identity_service import TOKEN, IdentityService, identity_service, vouch
from tests.modules.conftest import Start
from weft.testing import Answer, Client, TestServer

V3 = "/_matrix/client/v3"
BOB = "bob@example.org"


@pytest_asyncio.fixture
async def identity() -> AsyncIterator[IdentityService]:
    async with identity_service(lambda mxid: Client(lambda: pytest.fail("nobody is to be told"))) as service:
        yield service


@pytest_asyncio.fixture
async def server(start_server: Start, identity: IdentityService) -> TestServer:
    """A server that deals with the identity server."""
    started = await start_server({"third_party_ids": {"identity_servers": [f"http://{identity.name}", "id.test"]}})
    identity.homeserver = lambda mxid: started.client()
    vouch(started, identity)
    return started


async def bind(client: Client, identity: IdentityService, address: str = BOB, **more: Any) -> Answer:
    known = {"id_server": identity.name, "id_access_token": TOKEN, "client_secret": "secret"}
    return await client.post(f"{V3}/account/3pid/bind", {**known, "sid": identity.validated(address), **more})


def by_address(identity: IdentityService, address: str = BOB, **more: Any) -> dict[str, str]:
    known = {"id_server": identity.name, "id_access_token": TOKEN}
    return {**known, "medium": "email", "address": address, **more}


async def offers(client: Client, room_id: str) -> dict[str, Any]:
    """The invites to addresses in a room."""
    state = (await client.get(f"{V3}/rooms/{room_id}/state")).ok()
    return {each["state_key"]: each["content"] for each in state if each["type"] == "m.room.third_party_invite"}


# --- Binding ---------------------------------------------------------------------------------------------------------


async def test_binding_and_unbinding(server: TestServer, identity: IdentityService) -> None:
    bob = await server.user("bob")
    assert (await bind(bob, identity)).ok() == {}
    assert identity.bound == {("email", BOB): "@bob:weft.test"}
    # Telling the world is one thing, having it on the account another.
    assert (await bob.get(f"{V3}/account/3pid")).ok() == {"threepids": []}
    gone = {"medium": "email", "address": "BOB@example.org"}
    assert (await bob.post(f"{V3}/account/3pid/unbind", gone)).ok() == {"id_server_unbind_result": "success"}
    assert not identity.bound
    assert (await bob.post(f"{V3}/account/3pid/unbind", gone)).ok() == {"id_server_unbind_result": "no-support"}


async def test_removing_an_address_unbinds_it(server: TestServer, identity: IdentityService) -> None:
    bob = await server.user("bob")
    gone = {"medium": "email", "address": BOB, "id_server": identity.name}
    for body in (gone, {"medium": "email", "address": BOB}):
        (await bind(bob, identity)).ok()
        assert (await bob.post(f"{V3}/account/3pid/delete", body)).ok() == {"id_server_unbind_result": "success"}
        assert not identity.bound


async def test_nobody_unbinds_what_is_anothers(server: TestServer, identity: IdentityService) -> None:
    bob, carol = await server.user("bob"), await server.user("carol")
    (await bind(bob, identity)).ok()
    gone = {"medium": "email", "address": BOB, "id_server": identity.name}
    (await carol.post(f"{V3}/account/3pid/unbind", gone)).refused(403, "M_FORBIDDEN")
    answer = await carol.post(f"{V3}/account/3pid/delete", gone)
    assert answer.ok() == {"id_server_unbind_result": "no-support"}
    assert identity.bound


async def test_deactivating_unbinds(server: TestServer, identity: IdentityService) -> None:
    bob = await server.user("bob")
    (await bind(bob, identity)).ok()
    (await bind(bob, identity, "robert@example.org")).ok()
    identifier = {"type": "m.id.user", "user": bob.user_id}
    auth = {"type": "m.login.password", "identifier": identifier, "password": "correct horse"}
    answer = await bob.post(f"{V3}/account/deactivate", {"auth": auth})
    assert answer.ok() == {"id_server_unbind_result": "success"}
    assert not identity.bound


async def test_deactivating_does_not_wait_for_an_identity_server(server: TestServer, identity: IdentityService) -> None:
    bob = await server.user("bob")
    (await bind(bob, identity)).ok()
    identity.instead = (501, {})
    identifier = {"type": "m.id.user", "user": bob.user_id}
    auth = {"type": "m.login.password", "identifier": identifier, "password": "correct horse"}
    answer = await bob.post(f"{V3}/account/deactivate", {"auth": auth})
    assert answer.ok() == {"id_server_unbind_result": "no-support"}


@pytest.mark.parametrize(
    ("instead", "status", "errcode"),
    [
        ((403, {"errcode": "M_TERMS_NOT_SIGNED", "error": "Read them"}), 403, "M_TERMS_NOT_SIGNED"),
        ((400, {"errcode": "M_SESSION_NOT_VALIDATED", "error": "Not yet"}), 400, "M_SESSION_NOT_VALIDATED"),
        ((401, {"errcode": "M_UNKNOWN_TOKEN", "error": "Who?"}), 403, "M_FORBIDDEN"),
        ((200, {"mxid": "@bob:weft.test"}), 502, "M_UNKNOWN"),
        ((500, {}), 502, "M_UNKNOWN"),
        ((503, {}), 502, "M_UNKNOWN"),
    ],
)
async def test_what_an_identity_server_refuses(
    server: TestServer, identity: IdentityService, instead: tuple[int, Any], status: int, errcode: str
) -> None:
    """Nothing that it says looks to a client as if it were logged out here."""
    identity.instead = instead
    (await bind(await server.user("bob"), identity)).refused(status, errcode)


@pytest.mark.parametrize("id_server", ["other.test", "127.0.0.1:1", "localhost", "http://id.test", ""])
async def test_identity_servers_that_are_not_trusted(
    server: TestServer, identity: IdentityService, id_server: str
) -> None:
    bob = await server.user("bob")
    (await bind(bob, identity, id_server=id_server)).refused(400, "M_SERVER_NOT_TRUSTED")
    room_id = await bob.create_room()
    refused = await bob.post(f"{V3}/rooms/{room_id}/invite", by_address(identity, id_server=id_server))
    refused.refused(400, "M_SERVER_NOT_TRUSTED")
    gone = {"medium": "email", "address": BOB, "id_server": id_server}
    assert (await bob.post(f"{V3}/account/3pid/unbind", gone)).ok() == {"id_server_unbind_result": "no-support"}
    assert not identity.calls


async def test_a_name_leads_to_no_private_address(start_server: Start, identity: IdentityService) -> None:
    """Unless the operator has written it as an address."""
    server = await start_server({"third_party_ids": {"identity_servers": [identity.name]}})
    (await bind(await server.user("bob"), identity)).refused(502, "M_UNKNOWN")
    assert not identity.calls


@pytest.mark.parametrize("token", ["x\r\nX-Injected: y", "a token", "é", ""])
async def test_tokens_that_no_header_carries(server: TestServer, identity: IdentityService, token: str) -> None:
    (await bind(await server.user("bob"), identity, id_access_token=token)).refused(403, "M_FORBIDDEN")


# --- Inviting --------------------------------------------------------------------------------------------------------


async def test_an_address_is_invited_bound_and_its_owner_joins(server: TestServer, identity: IdentityService) -> None:
    alice, bob = await server.user("alice"), await server.user("bob")
    room_id = await alice.create_room(name="Sailing", preset="private_chat")
    (await alice.post(f"{V3}/rooms/{room_id}/invite", by_address(identity, "Bob@EXAMPLE.org"))).ok()
    (stored,) = identity.stored
    assert stored == {
        "medium": "email",
        "address": BOB,
        "room_id": room_id,
        "sender": alice.user_id,
        "room_name": "Sailing",
        "room_join_rules": "invite",
        "sender_display_name": "alice",
    }
    ((token, content),) = (await offers(alice, room_id)).items()
    key = {"public_key": identity.key.verify_key.to_base64(), "key_validity_url": f"{identity.url}/valid"}
    assert (token, content) == ("token0", {"display_name": "b...@e...", **key, "public_keys": [key, key]})
    assert room_id not in (await bob.sync()).get("rooms", {}).get("invite", {})

    (await bind(bob, identity)).ok()
    assert room_id in (await bob.sync())["rooms"]["invite"]
    await bob.join(room_id)
    member = (await alice.get(f"{V3}/rooms/{room_id}/state/m.room.member/{bob.user_id}")).ok()
    assert member["membership"] == "join"


@pytest.mark.parametrize("algorithms", [["sha256"], ["none"], ["rot13", "sha256"]])
async def test_who_has_bound_the_address_is_invited(
    server: TestServer, identity: IdentityService, algorithms: list[str]
) -> None:
    identity.algorithms = algorithms
    alice, bob = await server.user("alice"), await server.user("bob")
    (await bind(bob, identity)).ok()
    room_id = await alice.create_room(preset="private_chat")
    (await alice.post(f"{V3}/rooms/{room_id}/invite", by_address(identity, reason="Come"))).ok()
    assert not identity.stored
    await bob.join(room_id)


async def test_rooms_begin_with_invites_to_addresses(server: TestServer, identity: IdentityService) -> None:
    alice, bob, carol = [await server.user(name) for name in ("alice", "bob", "carol")]
    (await bind(bob, identity)).ok()
    invited = [by_address(identity), by_address(identity, "carol@example.org"), by_address(identity, "al@example.org")]
    (await bind(alice, identity, "al@example.org")).ok()
    room_id = await alice.create_room(preset="trusted_private_chat", invite_3pid=invited, is_direct=True)
    await bob.join(room_id)
    assert len(await offers(alice, room_id)) == 1
    (await bind(carol, identity, "carol@example.org")).ok()
    await carol.join(room_id)


async def test_no_room_is_made_where_nobody_can_be_looked_up(server: TestServer, identity: IdentityService) -> None:
    alice = await server.user("alice")
    identity.instead = (403, {"errcode": "M_TERMS_NOT_SIGNED", "error": "Read them"})
    answer = await alice.post(f"{V3}/createRoom", {"invite_3pid": [by_address(identity)]})
    answer.refused(403, "M_TERMS_NOT_SIGNED")
    assert (await alice.get(f"{V3}/joined_rooms")).ok() == {"joined_rooms": []}


async def test_who_may_not_invite_has_no_message_sent(server: TestServer, identity: IdentityService) -> None:
    alice, bob, carol = [await server.user(name) for name in ("alice", "bob", "carol")]
    room_id = await alice.create_room(preset="public_chat", power_level_content_override={"invite": 50})
    await bob.join(room_id)
    for client in (bob, carol):
        refused = await client.post(f"{V3}/rooms/{room_id}/invite", by_address(identity))
        refused.refused(403, "M_FORBIDDEN")
    (await bob.post(f"{V3}/rooms/!nowhere:weft.test/invite", by_address(identity))).refused(403, "M_FORBIDDEN")
    assert not identity.calls


@pytest.mark.parametrize(
    ("body", "errcode"),
    [
        ({}, "M_MISSING_PARAM"),
        ({"medium": "email", "address": BOB}, "M_MISSING_PARAM"),
        ({"medium": "email", "address": BOB, "id_server": "id.test"}, "M_MISSING_PARAM"),
        ({"medium": "email", "address": "bob", "id_server": "id.test", "id_access_token": "x"}, "M_INVALID_PARAM"),
        ({"medium": "fax", "address": BOB, "id_server": "id.test", "id_access_token": "x"}, "M_INVALID_PARAM"),
        ({"user_id": "bob"}, "M_INVALID_PARAM"),
    ],
)
async def test_invites_of_nobody(server: TestServer, body: dict[str, str], errcode: str) -> None:
    alice = await server.user("alice")
    room_id = await alice.create_room()
    (await alice.post(f"{V3}/rooms/{room_id}/invite", body)).refused(400, errcode)


@pytest.mark.parametrize(
    "answer",
    [
        {"algorithms": ["rot13"], "lookup_pepper": "x"},
        {"algorithms": "sha256", "lookup_pepper": "x"},
        {"algorithms": ["sha256"], "lookup_pepper": 5},
        {"mappings": {"x": "y"}},
        [],
    ],
)
async def test_answers_that_are_none(server: TestServer, identity: IdentityService, answer: Any) -> None:
    alice = await server.user("alice")
    room_id = await alice.create_room()
    identity.instead = (200, answer)
    (await alice.post(f"{V3}/rooms/{room_id}/invite", by_address(identity))).refused(502, "M_UNKNOWN")
