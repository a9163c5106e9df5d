"""An address that was invited turns out to be somebody's: their identity server tells their server.

https://spec.matrix.org/v1.19/server-server-api/#third-party-invites
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.federation.identity_server import IDENTITY, IdentityServer
from tests.federation.kit import Kit
from tests.federation.people import becomes, create, invited, join, membership
from weft.protocol.signatures import sign_json
from weft.testing import Answer, Client, TestServer
from weft.testing.server import key_of

ADDRESS = {"medium": "email", "address": "bob@example.org"}


async def offer(alice: Client, room_id: str, token: str) -> None:
    """Alice invites an address."""
    await alice.set_state(room_id, "m.room.third_party_invite", IdentityServer().offer, token)


def waiting(room_id: str, sender: Client, mxid: str, token: str, signer: str = IDENTITY) -> dict[str, Any]:
    """An invite that waited, as the identity server tells of it."""
    signed = sign_json({"mxid": mxid, "token": token}, IDENTITY, key_of(signer))
    return {**ADDRESS, "mxid": mxid, "room_id": room_id, "sender": sender.user_id, "signed": signed}


async def tell(server: TestServer, mxid: str, *invites: dict[str, Any], method: str = "PUT") -> Answer:
    """What an identity server says; it has no account, and signs no request."""
    body = {**ADDRESS, "mxid": mxid, "invites": invites}
    return await server.client().request(method, "/_matrix/federation/v1/3pid/onbind", json=body)


@pytest.mark.parametrize(("version", "method"), [("6", "PUT"), ("10", "POST"), ("12", "PUT")])
async def test_what_waited_becomes_an_invite(memory_servers: Kit, version: str, method: str) -> None:
    """By the server of who invited: another one, or Bob's own. What does not hold keeps nothing else back.

    Identity servers in use say POST where the specification says PUT.
    """
    one, two = await memory_servers(2)
    await memory_servers.identity_server()
    alice, bob, carol = await one.user("alice"), await two.user("bob"), await two.user("carol")
    far = await create(alice, version, preset="private_chat")
    near = await create(carol, version, preset="private_chat")
    forged = await create(alice, version, preset="private_chat")
    unknown = await create(carol, version, preset="private_chat")
    for sender, room_id in ((alice, far), (carol, near), (alice, forged)):
        await offer(sender, room_id, "token")
    answer = await tell(
        two,
        bob.user_id,
        waiting(forged, alice, bob.user_id, "token", signer="liar.test"),
        waiting(unknown, carol, bob.user_id, "token"),
        waiting("!nowhere:one.test", carol, bob.user_id, "token"),
        waiting(far, alice, bob.user_id, "token"),
        waiting(near, carol, bob.user_id, "token"),
        method=method,
    )
    assert answer.ok() == {}
    for room_id in (far, near):
        await invited(bob, room_id)
    await bob.join(far)
    await bob.join(near)
    await becomes(alice, far, bob.user_id, "join")
    for sender, room_id in ((alice, forged), (carol, unknown)):
        assert await membership(sender, room_id, bob.user_id) is None


async def test_who_is_in_already_is_not_invited(memory_servers: Kit) -> None:
    one, two = await memory_servers(2)
    alice, bob = await one.user("alice"), await two.user("bob")
    room_id = await create(alice)
    await offer(alice, room_id, "token")
    await join(bob, room_id, "one.test")
    (await tell(two, bob.user_id, waiting(room_id, alice, bob.user_id, "token"))).ok()
    assert await membership(bob, room_id, bob.user_id) == "join"


async def test_invites_of_nobody_here_are_refused(memory_servers: Kit) -> None:
    one, two = await memory_servers(2)
    alice, bob = await one.user("alice"), await two.user("bob")
    room_id = await create(alice, preset="private_chat")
    await offer(alice, room_id, "token")
    for mxid, other in (
        ("@nobody:two.test", "@nobody:two.test"),
        (alice.user_id, alice.user_id),
        ("@no user", "@no user"),
        (bob.user_id, "@nobody:two.test"),
    ):
        (await tell(two, mxid, waiting(room_id, alice, other, "token"))).refused(400, "M_INVALID_PARAM")
    found = (await alice.get(f"/_matrix/client/v3/rooms/{room_id}/members", membership="invite")).ok()
    assert found["chunk"] == []
    assert await membership(alice, room_id, bob.user_id) is None


@pytest.mark.parametrize("is_known", [True, False])
async def test_a_key_that_is_not_vouched_for_any_more(memory_servers: Kit, is_known: bool) -> None:
    """Nor is an invite made where the identity server does not say; it can be told once more."""
    one, two = await memory_servers(2)
    alice, bob, carol = await one.user("alice"), await two.user("bob"), await two.user("carol")
    far, near = [await create(one, preset="private_chat") for one in (alice, carol)]
    await offer(alice, far, "token")
    await offer(carol, near, "token")
    told = (waiting(far, alice, bob.user_id, "token"), waiting(near, carol, bob.user_id, "token"))
    if is_known:
        (await memory_servers.identity_server()).is_valid = False
    (await tell(two, bob.user_id, *told)).ok()
    for sender, room_id in ((alice, far), (carol, near)):
        assert await membership(sender, room_id, bob.user_id) is None
    await memory_servers.identity_server()
    (await tell(two, bob.user_id, *told)).ok()
    for room_id in (far, near):
        await invited(bob, room_id)
