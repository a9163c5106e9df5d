"""Moderation policy lists that a server enforces."""

from __future__ import annotations

from urllib.parse import quote

import msgspec

from tests.federation.kit import MemoryKit
from tests.federation.people import becomes, create, eventually, join, say, told
from weft.settings import PolicyLists
from weft.testing import Client, TestServer

V3 = "/_matrix/client/v3"
BAN = {"recommendation": "m.ban", "reason": "spam"}


async def invite(who: Client, room_id: str, user_id: str | None) -> int:
    return (await who.post(f"{V3}/rooms/{quote(room_id)}/invite", {"user_id": user_id})).status


async def enforce(server: TestServer, *rooms: str) -> None:
    server.settings = msgspec.structs.replace(server.settings, policy_lists=PolicyLists(rooms=rooms))
    await server.restart()


async def test_who_is_on_a_list_is_kept_out(memory_servers: MemoryKit) -> None:
    one, two = await memory_servers(2)
    alice, bob, eve = await one.user("alice"), await two.user("bob"), await two.user("eve")
    the_list, shared, bobs = await create(alice), await create(alice), await create(bob)
    await join(eve, shared, "one.test")
    await alice.set_state(the_list, "m.policy.rule.user", {"entity": "@eve:*", **BAN}, "eve")
    await enforce(one, the_list)
    # Neither way round; others of that server go on as before.
    assert await invite(eve, await create(eve), alice.user_id) == 403
    assert await invite(alice, shared, eve.user_id) == 403
    assert (await alice.post(f"{V3}/createRoom", {"invite": [eve.user_id]})).status == 403
    assert await invite(bob, bobs, alice.user_id) == 200
    # Who is in stays.
    await say(eve, shared, "still here")
    await told(alice, shared, "still here")


async def test_a_list_counts_as_it_is_now(memory_servers: MemoryKit) -> None:
    one, two = await memory_servers(2)
    alice, bob = await one.user("alice"), await two.user("bob")
    the_list = await create(bob)
    bobs, kept = await create(bob), await create(bob)
    await join(alice, kept, "two.test")
    await enforce(one, the_list)
    # Nobody of this server was in the list's room when it started.
    await join(alice, the_list, "two.test")
    await bob.set_state(the_list, "m.policy.rule.room", {"entity": bobs, **BAN}, "room")
    path = f"{V3}/join/{quote(bobs)}?server_name=two.test"

    async def is_closed() -> bool:
        return (await alice.post(path)).status == 403

    await eventually(is_closed)
    assert await invite(bob, bobs, alice.user_id) == 403
    await bob.set_state(the_list, "m.policy.rule.server", {"entity": "two.test", **BAN}, "server")

    async def is_refused() -> bool:
        return await invite(alice, kept, "@carol:two.test") == 403

    await eventually(is_refused)
    await bob.set_state(the_list, "m.policy.rule.room", {}, "room")
    await bob.set_state(the_list, "m.policy.rule.server", {}, "server")

    async def is_open() -> bool:
        return (await alice.post(path)).status == 200

    await eventually(is_open)
    await becomes(alice, bobs, str(alice.user_id), "join")


async def test_no_list_shuts_out_the_servers_own_users(memory_servers: MemoryKit) -> None:
    (one,) = await memory_servers(1)
    alice, bob = await one.user("alice"), await one.user("bob")
    the_list = await create(alice)
    await alice.set_state(the_list, "m.policy.rule.user", {"entity": "*", **BAN}, "all")
    await alice.set_state(the_list, "m.policy.rule.server", {"entity": "*", **BAN}, "all")
    await enforce(one, the_list)
    assert await invite(alice, await create(alice), bob.user_id) == 200
