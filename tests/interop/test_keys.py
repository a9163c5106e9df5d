"""Keys and messages to devices between servers of different kinds, by plain HTTP."""

from __future__ import annotations

import asyncio
import secrets
from typing import Any

from tests.federation.people import becomes, create, eventually, join
from tests.interop.conftest import Pair
from tests.interop.people import Person, Society
from tests.modules.encryption import V3, Identity, Keys, claim, query, sign


async def test_one_time_keys_are_claimed_once_and_then_the_fallback(pair: Pair, person: Society) -> None:
    for owner_at, asker_at in ((pair.host, pair.guest), (pair.guest, pair.host)):
        owner, asker = await person("owner", owner_at), await person("asker", asker_at)
        keys = Keys(owner)
        uploaded = keys.one_time(8)
        fallback = keys.fallback()
        assert await keys.upload(one_time_keys=uploaded, fallback_keys=fallback) == {"signed_curve25519": 8}
        given = await asyncio.gather(*(claim(asker, owner) for _ in range(8)))
        found = {name: value for one in given for name, value in one[owner.device_id].items()}
        assert found == uploaded
        for _ in range(2):
            assert (await claim(asker, owner))[owner.device_id] == fallback


async def test_cross_signing_keys_are_seen_from_the_other_side(pair: Pair, person: Society) -> None:
    """Those there were before the room is shared, new ones, and a signature that comes later."""
    alice, bob = await person("alice", pair.host), await person("bob", pair.guest)
    devices, identities = (Keys(alice), Keys(bob)), (Identity(alice.user_id), Identity(bob.user_id))
    for one, keys, identity in zip((alice, bob), devices, identities, strict=True):
        await keys.upload()
        await identity.upload(one)
    room_id = await create(alice)
    await join(bob, room_id, alice.home)
    for one, other in ((alice, bob), (bob, alice)):
        await becomes(one, room_id, other.user_id, "join")
    for number, (viewer, owner) in enumerate(((bob, alice), (alice, bob))):
        keys, identity = devices[number], identities[number]
        shown = await query(viewer, owner.user_id)
        for usage in ("master", "self_signing"):
            assert shown[f"{usage}_keys"][owner.user_id]["keys"] == identity.key(usage)["keys"]
        # Whom somebody trusts is told to nobody else.
        assert owner.user_id not in shown.get("user_signing_keys", {})
        signed = identity.sign(keys.device(), "self_signing")
        assert await sign(owner, owner.user_id, owner.device_id, signed) == {}
        await _signs(viewer, identity, owner.device_id)


async def test_cross_signing_keys_that_come_later_are_seen_from_the_other_side(pair: Pair, person: Society) -> None:
    """The other server has them of its own accord: it was told."""
    alice, bob = await person("alice", pair.host), await person("bob", pair.guest)
    room_id = await create(alice)
    await join(bob, room_id, alice.home)
    for one, other in ((alice, bob), (bob, alice)):
        await becomes(one, room_id, other.user_id, "join")
        await Keys(other).upload()
    for viewer, owner in ((bob, alice), (alice, bob)):
        await eventually(lambda viewer=viewer, owner=owner: _knows(viewer, owner))
        token = (await viewer.sync())["next_batch"]
        identity = Identity(owner.user_id)
        await identity.upload(owner)

        async def is_there(viewer: Person = viewer, identity: Identity = identity) -> bool:
            shown = (await query(viewer, identity.user_id)).get("master_keys", {}).get(identity.user_id, {})
            return bool(shown.get("keys") == identity.key("master")["keys"])

        await eventually(is_there)
        news = await viewer.sync(since=token)
        assert owner.user_id in news["device_lists"]["changed"]


async def test_messages_to_devices_arrive_once_and_in_order(pair: Pair, person: Society) -> None:
    """To one device, to all of somebody's, and while the receiver's server is away."""
    for sender_at, receiver_at in ((pair.host, pair.guest), (pair.guest, pair.host)):
        sender, receiver = await person("sender", sender_at), await person("receiver", receiver_at)
        sent = [f"message {number}" for number in range(6)]
        for text in sent[:3]:
            await _tell(sender, receiver, receiver.device_id, text)
        receiver.server.stop()
        try:
            for text in sent[3:]:
                await _tell(sender, receiver, "*" if text == sent[5] else receiver.device_id, text)
        finally:
            await receiver.server.start()
        assert await _received(sender, receiver, len(sent)) == [(sender.user_id, text) for text in sent]


async def _knows(viewer: Person, owner: Person) -> bool:
    return owner.device_id in (await query(viewer, owner.user_id))["device_keys"].get(owner.user_id, {})


async def _signs(viewer: Person, identity: Identity, device_id: str) -> None:
    """Waits until somebody sees that a device is signed by its owner."""
    by, user_id = f"ed25519:{identity.public('self_signing')}", identity.user_id

    async def is_so() -> bool:
        shown = (await query(viewer, user_id))["device_keys"][user_id][device_id]
        return by in shown["signatures"][user_id]

    await eventually(is_so)


async def _tell(sender: Person, receiver: Person, device_id: str, text: str, kind: str = "test.message") -> None:
    path = f"{V3}/sendToDevice/{kind}/{secrets.token_hex(8)}"
    (await sender.put(path, {"messages": {receiver.user_id: {device_id: {"text": text}}}})).ok()


async def _received(sender: Person, receiver: Person, count: int) -> list[tuple[str, Any]]:
    """The messages to somebody's device, once there are so many: senders and texts.

    Synapse tries a server again, that was away, when there is something new to tell it; so there is, now and then.
    """
    found: list[tuple[str, Any]] = []
    since: str | None = None

    async def are_there() -> bool:
        nonlocal since
        answer = await receiver.sync(since=since, timeout=1_000)
        since = answer["next_batch"]
        events = answer.get("to_device", {}).get("events", [])
        found.extend((event["sender"], event["content"]["text"]) for event in events if event["type"] == "test.message")
        if len(found) < count:
            await _tell(sender, receiver, receiver.device_id, "are you there?", "test.question")
        return len(found) >= count

    await eventually(are_there, 30)
    await are_there()
    return found
