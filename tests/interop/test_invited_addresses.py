"""An address is invited, and turns out to be somebody's on another server: the identity server vouches for it.

https://spec.matrix.org/v1.19/client-server-api/#third-party-invites
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.federation.people import becomes, create, eventually, invited, say, told
from tests.interop.conftest import Pair
from tests.interop.identity import IdentityServer
from tests.interop.people import Person, Society, agree, content
from weft.http.serve import Tls

versions = pytest.mark.parametrize("version", ["6", "10", "11", "12"])


@pytest_asyncio.fixture
async def identity(tls: Tls) -> AsyncIterator[IdentityServer]:
    server = IdentityServer(tls)
    await server.start()
    yield server
    await server.stop()


async def invite(alice: Person, room_id: str, address: str, identity: IdentityServer) -> str:
    """Alice invites an address; the token by which the room knows that."""
    body = {
        "medium": "email",
        "address": address,
        "id_server": identity.name,
        "id_access_token": identity.token,
    }
    done = await alice.post(f"/_matrix/client/v3/rooms/{room_id}/invite", body)
    if done.status != 200:
        # A server that does not ask identity servers: her client has done that.
        offer = identity.store({"medium": "email", "address": address, "room_id": room_id, "sender": alice.user_id})
        token: str = offer["token"]
        key = offer["public_keys"][0]
        shown = {**key, "public_keys": [key], "display_name": offer["display_name"]}
        await alice.set_state(room_id, "m.room.third_party_invite", shown, token)
    kept: str = identity.waiting[-1]["token"]
    return kept


def method_of(person: Person) -> str:
    """How a server is told: the specification says PUT; Synapse takes what identity servers in use say."""
    return "POST" if type(person.server).__name__ == "Synapse" else "PUT"


@versions
async def test_whose_address_it_is_comes_in(
    pair: Pair, person: Society, identity: IdentityServer, version: str
) -> None:
    alice, bob = await person("alice", pair.host), await person("bob", pair.guest)
    room_id = await create(alice, version, preset="private_chat", name="Tea")
    address = f"{bob.user_id[1:10]}@example.org"
    token = await invite(alice, room_id, address, identity)
    assert await identity.bound(bob, address, method_of(bob)) == 200
    await invited(bob, room_id)
    member = await content(alice, room_id, "m.room.member", bob.user_id)
    assert member["membership"] == "invite"
    assert member["third_party_invite"]["signed"]["token"] == token
    assert identity.asked == [identity.key.verify_key.to_base64()]
    await bob.join(room_id)
    await becomes(alice, room_id, bob.user_id, "join")
    await say(bob, room_id, "found me")
    await told(alice, room_id, "found me")
    await agree(room_id, alice, bob)


@pytest.mark.refusals
async def test_a_key_that_is_not_good_any_more(pair: Pair, person: Society, identity: IdentityServer) -> None:
    """The server of who invited asks, and makes no invite; an address whose invite was taken back gets none either."""
    alice, bob = await person("alice", pair.host), await person("bob", pair.guest)
    address = f"{bob.user_id[1:10]}@example.org"
    room_id = await create(alice, preset="private_chat")
    await invite(alice, room_id, address, identity)
    other = await create(alice, preset="private_chat")
    revoked = await invite(alice, other, address, identity)
    await alice.set_state(other, "m.room.third_party_invite", {}, revoked)
    identity.is_key_good = False
    await identity.bound(bob, address, method_of(bob))

    async def was_asked() -> bool:
        return bool(identity.asked)

    await eventually(was_asked)
    identity.is_key_good = True
    third = await create(alice, preset="private_chat")
    await invite(alice, third, address, identity)
    identity.waiting = identity.waiting[-1:]
    assert await identity.bound(bob, address, method_of(bob)) == 200
    await invited(bob, third)
    for one in (room_id, other):
        assert await content(alice, one, "m.room.member", bob.user_id) is None
