"""Two people on servers of different kinds talk in a room."""

from __future__ import annotations

import pytest

from tests.federation.people import becomes, create, join, say, told
from tests.interop.conftest import Pair
from tests.interop.people import Society, agree, content, receives, sees, send


@pytest.mark.parametrize("version", ["1", "3", "6", "10", "11", "12"])
async def test_two_people_talk(pair: Pair, person: Society, version: str) -> None:
    alice, bob = await person("alice", pair.host), await person("bob", pair.guest)
    room_id = await create(alice, version)
    await say(alice, room_id, "before")
    await join(bob, room_id, alice.home)
    await becomes(alice, room_id, bob.user_id, "join")
    await say(bob, room_id, "hello from the guest")
    await told(alice, room_id, "before", "hello from the guest")
    await say(alice, room_id, "hello from the host")
    await told(bob, room_id, "before", "hello from the guest", "hello from the host")
    await alice.set_state(room_id, "m.room.topic", {"topic": "tea"})
    await sees(bob, room_id, "m.room.topic", {"topic": "tea"})
    levels = await content(alice, room_id, "m.room.power_levels")
    levels["users"][bob.user_id] = 50
    await alice.set_state(room_id, "m.room.power_levels", levels)
    await sees(bob, room_id, "m.room.power_levels", levels)
    await bob.set_state(room_id, "m.room.name", {"name": "Kitchen"})
    await sees(alice, room_id, "m.room.name", {"name": "Kitchen"})
    await agree(room_id, alice, bob)


@pytest.mark.parametrize("version", ["6", "10", "11", "12"])
async def test_edits_reactions_and_redactions(pair: Pair, person: Society, version: str) -> None:
    alice, bob = await person("alice", pair.host), await person("bob", pair.guest)
    room_id = await create(alice, version)
    await join(bob, room_id, alice.home)
    for one, other in ((alice, bob), (bob, alice)):
        event_id = await say(one, room_id, "helo")
        await receives(other, room_id, event_id)
        better = {
            "msgtype": "m.text",
            "body": "* hello",
            "m.new_content": {"msgtype": "m.text", "body": "hello"},
            "m.relates_to": {"rel_type": "m.replace", "event_id": event_id},
        }
        edit = await send(one, room_id, "m.room.message", better)
        await receives(other, room_id, edit)
        liked = {"m.relates_to": {"rel_type": "m.annotation", "event_id": event_id, "key": "👍"}}
        reaction = await send(other, room_id, "m.reaction", liked)
        await receives(one, room_id, reaction)
        found = (await one.get(f"/_matrix/client/v1/rooms/{room_id}/relations/{event_id}/m.annotation")).ok()
        assert [event["event_id"] for event in found["chunk"]] == [reaction]
        path = f"/_matrix/client/v3/rooms/{room_id}/redact/{event_id}/{event_id[1:8]}"
        redaction = (await one.put(path, {"reason": "mistyped"})).ok()["event_id"]
        await receives(other, room_id, redaction)
        shown = await receives(other, room_id, event_id)
        assert shown["content"] == {}
        assert shown["unsigned"]["redacted_because"]["event_id"] == redaction
    await agree(room_id, alice, bob)
