"""What lies between the events that a server knows and one that it is sent, fetched from others.

https://spec.matrix.org/v1.19/server-server-api/#retrieving-missing-events
"""

from __future__ import annotations

from collections.abc import Sequence

from tests.federation.invented_room import InventedRoom, json, pdus
from tests.federation.people import eventually
from tests.federation.stranger import Stranger
from tests.federation.victim import Victim, push, seen
from weft.federation.transport import OutgoingRequest
from weft.protocol.event import Event
from weft.testing import Answer, Client


def _tells_all(room: InventedRoom) -> None:
    """Asked for what lies between, the server tells of everything before as well."""

    def answer(request: OutgoingRequest, honest: Answer) -> Answer:
        return json({"events": pdus(list(room.events.values())[:-1])})

    room.lies["get_missing_events"] = answer


async def _joined(room: InventedRoom, stranger: Stranger, alice: Client) -> tuple[Event, Event]:
    """Alice joins and gets power, by which the room's first levels would be refused now. Those, and the new ones."""
    [first] = [event for event in room.events.values() if event.type == "m.room.power_levels"]
    (await alice.post(f"/_matrix/client/v3/join/{room.id}?via={stranger.name}", {})).ok()
    levels = room.add("m.room.power_levels", {"users": {room.mallory: 100, alice.user_id: 100}}, "")
    await push(stranger, levels)
    return first, levels


async def _sees(alice: Client, room: InventedRoom, events: Sequence[Event]) -> None:
    assert {event.event_id for event in events} <= set(await seen(alice, room.id))


async def test_what_was_before_what_is_here_is_no_news(victim: Victim, stranger: Stranger, alice: Client) -> None:
    """A server that answers with more than was missing does not have the room's past judged by its present."""
    room = InventedRoom(stranger)
    first, levels = await _joined(room, stranger, alice)
    withheld = room.say("one end", prev=[levels])
    other = room.say("another end", prev=[levels])
    await push(stranger, other)
    _tells_all(room)
    merged = room.say("together", prev=[withheld, other])
    await push(stranger, merged)
    await victim.settled()
    room.lies.clear()
    await _sees(alice, room, [first, withheld, other, merged])


async def test_a_late_event_that_builds_on_what_was_before_one_joined(
    victim: Victim, stranger: Stranger, alice: Client
) -> None:
    """What lies between is then the room's past."""
    room = InventedRoom(stranger)
    [old] = room.front
    first, levels = await _joined(room, stranger, alice)
    late = room.say("from far behind", prev=[old])
    room.say("together", prev=[late, levels])
    _tells_all(room)
    await push(stranger, *room.front)
    await victim.settled()
    room.lies.clear()
    await _sees(alice, room, [first, late, *room.front])


async def test_a_state_of_which_not_all_is_given_is_not_believed(
    victim: Victim, stranger: Stranger, alice: Client
) -> None:
    """What is missing in it would be missing for good. Once the events can be had, it is."""
    room = InventedRoom(stranger)
    await _joined(room, stranger, alice)
    topic = room.add("m.room.topic", {"topic": "new"}, "")
    said = room.say("after it", prev=[topic])
    room.lies["get_missing_events"] = lambda request, honest: json({"events": []})
    room.lies["event"] = lambda request, honest: json({"errcode": "M_NOT_FOUND", "error": "no"}, 404)
    await push(stranger, said)
    await victim.settled()
    assert said.event_id not in await seen(alice, room.id)
    del room.lies["event"]

    async def is_there() -> bool:
        return said.event_id in await seen(alice, room.id)

    await eventually(is_there, 20)
    state = (await alice.get(f"/_matrix/client/v3/rooms/{room.id}/state/m.room.topic")).ok()
    assert state == {"topic": "new"}
