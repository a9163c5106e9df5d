"""An address is invited on one server, and turns out to be somebody's on another."""

from __future__ import annotations

from tests.federation.identity_server import IDENTITY
from tests.federation.identity_service import TOKEN, identity_service
from tests.federation.kit import MemoryKit
from tests.federation.people import becomes, create, invited
from weft.testing import Client

V3 = "/_matrix/client/v3"


async def test_the_whole_course_between_two_servers(memory_servers: MemoryKit) -> None:
    clients: dict[str, Client] = {}
    async with identity_service(lambda mxid: clients[mxid.rpartition(":")[2]]) as identity:
        one, two = await memory_servers(2, third_party_ids={"identity_servers": [f"http://{identity.name}"]})
        clients.update({server.name: server.client() for server in (one, two)})
        memory_servers.network.register([IDENTITY], lambda: identity.app)
        alice, bob = await one.user("alice"), await two.user("bob")
        room_id = await create(alice, preset="private_chat")
        named = {"id_server": identity.name, "id_access_token": TOKEN}
        address = {**named, "medium": "email", "address": "bob@example.org"}
        (await alice.post(f"{V3}/rooms/{room_id}/invite", address)).ok()
        session = {"sid": identity.validated("bob@example.org"), "client_secret": "secret"}
        (await bob.post(f"{V3}/account/3pid/bind", {**named, **session})).ok()
        await invited(bob, room_id)
        await bob.join(room_id)
        await becomes(alice, room_id, bob.user_id, "join")
        # From now on the address is known to be Bob's.
        other = await create(alice, preset="private_chat", invite_3pid=[address])
        await invited(bob, other)
