"""Dehydrated devices: found and written to like any other, and read by a login that comes later."""

from __future__ import annotations

from typing import Any

from tests.modules.encryption import V3, Keys, claim, query
from weft.testing import Client, TestServer

BASE = "/_matrix/client/unstable/org.matrix.msc3814.v1/dehydrated_device"


def keys_of(who: Client, device_id: str) -> Keys:
    return Keys(Client(who._app, user_id=who.user_id, device_id=device_id), device_id)


def body(who: Client, device_id: str, one_time: int = 2, **more: Any) -> dict[str, Any]:
    keys = keys_of(who, device_id)
    return {
        "device_id": device_id,
        "device_data": {"algorithm": "org.matrix.msc3814.v2", "pickle": "secret"},
        "device_keys": keys.device(dehydrated=True),
        "one_time_keys": keys.one_time(one_time),
        **more,
    }


async def send(who: Client, to: Client, device_id: str, number: int) -> None:
    path = f"{V3}/sendToDevice/m.test/{number}"
    (await who.put(path, {"messages": {to.user_id: {device_id: {"number": number}}}})).ok()


async def events(who: Client, device_id: str, token: str | None = None) -> tuple[list[int], str]:
    sent = {} if token is None else {"next_batch": token}
    found = (await who.post(f"{BASE}/{device_id}/events", sent)).ok()
    return [event["content"]["number"] for event in found["events"]], found["next_batch"]


async def test_it_is_a_device_like_any_other(server: TestServer) -> None:
    alice, bob = await server.user("alice"), await server.user("bob")
    room_id = await alice.create_room(preset="public_chat")
    (await bob.post(f"{V3}/join/{room_id}", {})).ok()
    since = (await bob.sync())["next_batch"]
    made = await alice.put(BASE, body(alice, "SLEEPS", initial_device_display_name="Asleep"))
    assert made.ok() == {"device_id": "SLEEPS"}
    assert alice.user_id in (await bob.sync(since))["device_lists"]["changed"]
    keys = (await query(bob, alice.user_id))["device_keys"][alice.user_id]["SLEEPS"]
    assert keys["dehydrated"] is True
    assert keys["unsigned"] == {"device_display_name": "Asleep"}
    sleeps = Client(alice._app, user_id=alice.user_id, device_id="SLEEPS")
    assert await claim(bob, sleeps) == {"SLEEPS": keys_of(alice, "SLEEPS").one_time(1)}
    devices = (await alice.get(f"{V3}/devices")).ok()["devices"]
    assert {"SLEEPS", alice.device_id} == {device["device_id"] for device in devices}
    found = (await alice.get(BASE)).ok()
    assert found == {"device_id": "SLEEPS", "device_data": body(alice, "SLEEPS")["device_data"]}


async def test_a_later_login_reads_what_was_sent_to_it(server: TestServer) -> None:
    alice, bob = await server.user("alice"), await server.user("bob")
    (await alice.put(BASE, body(alice, "SLEEPS"))).ok()
    (await alice.post(f"{V3}/logout")).ok()
    for number in range(130):
        await send(bob, alice, "SLEEPS", number)
    again = await server.login(str(alice.user_id))
    assert (await again.get(BASE)).ok()["device_id"] == "SLEEPS"
    for _ in range(2):  # a login that is broken off costs nothing
        first, token = await events(again, "SLEEPS")
        second, token = await events(again, "SLEEPS", token)
        assert first + second == list(range(130))
        assert await events(again, "SLEEPS", token) == ([], token)
    assert (await again.delete(BASE)).ok() == {"device_id": "SLEEPS"}
    (await again.get(BASE)).refused(404, "M_NOT_FOUND")
    (await again.delete(BASE)).refused(404, "M_NOT_FOUND")
    (await again.post(f"{BASE}/SLEEPS/events", {})).refused(404, "M_NOT_FOUND")
    assert "SLEEPS" not in (await query(bob, alice.user_id))["device_keys"][alice.user_id]


async def test_a_new_one_takes_the_place_of_the_old(server: TestServer) -> None:
    alice, bob = await server.user("alice"), await server.user("bob")
    (await alice.put(BASE, body(alice, "OLD"))).ok()
    await send(bob, alice, "OLD", 1)
    (await alice.put(BASE, body(alice, "NEW"))).ok()
    assert (await query(bob, alice.user_id))["device_keys"][alice.user_id].keys() == {"NEW"}
    (await alice.post(f"{BASE}/OLD/events", {})).refused(403, "M_FORBIDDEN")
    assert (await events(alice, "NEW"))[0] == []
    (await alice.put(BASE, body(alice, "NEW", one_time=1))).ok()
    assert (await alice.get(BASE)).ok()["device_id"] == "NEW"


async def test_what_is_refused(server: TestServer) -> None:
    alice = await server.user("alice")
    own = str(alice.device_id)
    (await alice.put(BASE, body(alice, own))).refused(400, "M_INVALID_PARAM")
    (await alice.put(BASE, {**body(alice, "X"), "device_id": "Y"})).refused(400, "M_BAD_JSON")
    (await alice.put(BASE, {**body(alice, "X"), "device_data": {"x": "y" * 70_000}})).refused(413, "M_TOO_LARGE")
    without = {key: value for key, value in body(alice, "X").items() if key != "device_keys"}
    (await alice.put(BASE, without)).refused(400, "M_MISSING_PARAM")
    (await alice.get(BASE)).refused(404, "M_NOT_FOUND")
    assert [one["device_id"] for one in (await alice.get(f"{V3}/devices")).ok()["devices"]] == [own]
