"""An address that was invited turns out to be somebody's: their identity server tells their server.

https://spec.matrix.org/v1.19/server-server-api/#third-party-invites
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.federation.kit import Kit
from tests.federation.people import becomes, create, invited, join, membership
from weft.protocol.signatures import sign_json
from weft.testing import Answer, Client, TestServer
from weft.testing.server import key_of

IDENTITY = "identity.test"
ADDRESS = {"medium": "email", "address": "bob@example.org"}


async def offer(alice: Client, room_id: str, token: str) -> None:
    """Alice invites an address."""
    content = {
        "display_name": "bob@…",
        "key_validity_url": f"https://{IDENTITY}/valid",
        "public_key": key_of(IDENTITY).verify_key.to_base64(),
    }
    await alice.set_state(room_id, "m.room.third_party_invite", content, token)


def waiting(room_id: str, sender: Client, mxid: str, token: str, signer: str = IDENTITY) -> dict[str, Any]:
    """An invite that waited, as the identity server tells of it."""
    signed = sign_json({"mxid": mxid, "token": token}, IDENTITY, key_of(signer))
    return {**ADDRESS, "mxid": mxid, "room_id": room_id, "sender": sender.user_id, "signed": signed}


async def tell(server: TestServer, mxid: str, *invites: dict[str, Any]) -> Answer:
    """What an identity server says; it has no account, and signs no request."""
    body = {**ADDRESS, "mxid": mxid, "invites": invites}
    return await server.client().put("/_matrix/federation/v1/3pid/onbind", body)


@pytest.mark.parametrize("version", ["6", "10", "12"])
async def test_what_waited_becomes_an_invite(memory_servers: Kit, version: str) -> None:
    """By the server of who invited: another one, or Bob's own. What does not hold keeps nothing else back."""
    one, two = await memory_servers(2)
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
