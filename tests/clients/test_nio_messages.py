"""matrix-nio, unmodified: people who talk. Edits, replies, reactions, redactions, threads, receipts, typing, paging."""

from __future__ import annotations

from nio import (
    AsyncClient,
    MessageDirection,
    ReactionEvent,
    ReceiptType,
    RedactedEvent,
    RedactionEvent,
    RoomContextResponse,
    RoomGetEventResponse,
    RoomMessagesResponse,
    RoomMessageText,
    RoomReadMarkersResponse,
    RoomRedactResponse,
    RoomTypingResponse,
    UpdateReceiptMarkerResponse,
)
from nio.api import RelationshipType, ThreadInclusion

from tests.clients.nio_people import expect, room_of, send, sync, sync_until, timeline


async def test_messages_arrive_in_order_with_their_transaction_ids(alice: AsyncClient, bob: AsyncClient) -> None:
    room_id = await room_of(alice, bob)
    sent = [await send(alice, room_id, f"message {number}") for number in range(3)]
    seen: list[str] = []

    def all_there(response: object) -> bool:
        seen.extend(event.event_id for event in timeline(response, room_id) if isinstance(event, RoomMessageText))
        return seen == sent

    await sync_until(bob, all_there)
    seen.clear()
    await sync_until(alice, all_there)
    last = expect(RoomGetEventResponse, await alice.room_get_event(room_id, sent[-1])).event
    assert last.transaction_id
    assert not expect(RoomGetEventResponse, await bob.room_get_event(room_id, sent[-1])).event.transaction_id


async def test_an_edit_replaces_what_was_said(alice: AsyncClient, bob: AsyncClient) -> None:
    room_id = await room_of(alice, bob)
    original = await send(alice, room_id, "teh message")
    edit = await send(
        alice,
        room_id,
        {
            "msgtype": "m.text",
            "body": "* the message",
            "m.new_content": {"msgtype": "m.text", "body": "the message"},
            "m.relates_to": {"rel_type": "m.replace", "event_id": original},
        },
    )
    response = await sync_until(bob, lambda response: edit in ids(response, room_id))
    replacing = next(event for event in timeline(response, room_id) if event.event_id == edit)
    assert replacing.source["content"]["m.relates_to"]["event_id"] == original
    shown = expect(RoomGetEventResponse, await bob.room_get_event(room_id, original)).event
    bundled = shown.source["unsigned"]["m.relations"]["m.replace"]
    assert (bundled["event_id"], bundled["content"]["m.new_content"]["body"]) == (edit, "the message")


async def test_replies_and_reactions(alice: AsyncClient, bob: AsyncClient) -> None:
    room_id = await room_of(alice, bob)
    question = await send(alice, room_id, "Tea?")
    answer = await send(
        bob,
        room_id,
        {"msgtype": "m.text", "body": "Yes please", "m.relates_to": {"m.in_reply_to": {"event_id": question}}},
    )
    relation = {"rel_type": "m.annotation", "event_id": question, "key": "🫖"}
    reaction = await send(bob, room_id, {"m.relates_to": relation}, "m.reaction")
    response = await sync_until(alice, lambda response: reaction in ids(response, room_id))
    events = {event.event_id: event for event in timeline(response, room_id)}
    assert isinstance(events[answer], RoomMessageText)
    seen = events[reaction]
    assert isinstance(seen, ReactionEvent)
    assert (seen.reacts_to, seen.key, seen.sender) == (question, "🫖", bob.user_id)
    related = [event async for event in alice.room_get_event_relations(room_id, question, RelationshipType.annotation)]
    assert [event.event_id for event in related] == [reaction]


async def test_what_is_redacted_is_gone(alice: AsyncClient, bob: AsyncClient) -> None:
    room_id = await room_of(alice, bob)
    secret = await send(alice, room_id, "a secret")
    await sync_until(bob, lambda response: secret in ids(response, room_id))
    redaction = expect(RoomRedactResponse, await alice.room_redact(room_id, secret, "a mistake")).event_id
    response = await sync_until(bob, lambda response: redaction in ids(response, room_id))
    event = next(event for event in timeline(response, room_id) if event.event_id == redaction)
    assert isinstance(event, RedactionEvent)
    assert (event.redacts, event.reason) == (secret, "a mistake")
    gone = expect(RoomGetEventResponse, await bob.room_get_event(room_id, secret)).event
    assert isinstance(gone, RedactedEvent)
    assert (gone.redacter, gone.reason) == (alice.user_id, "a mistake")


async def test_a_thread(alice: AsyncClient, bob: AsyncClient) -> None:
    room_id = await room_of(alice, bob)
    root = await send(alice, room_id, "Where shall we eat?")
    thread = {"rel_type": "m.thread", "event_id": root, "is_falling_back": True, "m.in_reply_to": {"event_id": root}}
    replies = [
        await send(person, room_id, {"msgtype": "m.text", "body": body, "m.relates_to": thread})
        for person, body in ((bob, "Pizza"), (alice, "Again?"), (bob, "Soup, then"))
    ]
    await send(alice, room_id, "not in the thread")
    found = [event async for event in alice.room_get_event_relations(room_id, root, RelationshipType.thread, limit=2)]
    assert [event.event_id for event in found] == replies[::-1]
    roots = [event async for event in alice.room_get_threads(room_id, ThreadInclusion.participated)]
    assert [event.event_id for event in roots] == [root]
    summary = roots[0].source["unsigned"]["m.relations"]["m.thread"]
    assert (summary["count"], summary["latest_event"]["event_id"]) == (3, replies[-1])
    assert summary["current_user_participated"] is True


async def test_receipts_and_read_markers(alice: AsyncClient, bob: AsyncClient) -> None:
    room_id = await room_of(alice, bob)
    first = await send(alice, room_id, "first")
    second = await send(alice, room_id, "second")
    await sync_until(bob, lambda response: second in ids(response, room_id))
    assert bob.rooms[room_id].unread_notifications == 2

    expect(UpdateReceiptMarkerResponse, await bob.update_receipt_marker(room_id, first, thread_id=None))
    await sync_until(alice, lambda _: bob.user_id in alice.rooms[room_id].read_receipts)
    assert alice.rooms[room_id].read_receipts[bob.user_id].event_id == first

    expect(RoomReadMarkersResponse, await bob.room_read_markers(room_id, fully_read_event=first, read_event=second))
    await sync_until(bob, lambda _: bob.rooms[room_id].fully_read_marker == first)
    await sync_until(alice, lambda _: alice.rooms[room_id].read_receipts[bob.user_id].event_id == second)
    assert bob.rooms[room_id].unread_notifications == 0


async def test_receipts_in_threads_and_private_ones(alice: AsyncClient, bob: AsyncClient) -> None:
    room_id = await room_of(alice, bob)
    event = await send(alice, room_id, "hello")
    expect(UpdateReceiptMarkerResponse, await bob.update_receipt_marker(room_id, event, ReceiptType.read_private))
    await sync_until(bob, lambda _: bob.user_id in bob.rooms[room_id].threaded_read_receipts)
    expect(UpdateReceiptMarkerResponse, await bob.update_receipt_marker(room_id, event))
    await sync_until(alice, lambda _: bob.user_id in alice.rooms[room_id].threaded_read_receipts)
    receipt = alice.rooms[room_id].threaded_read_receipts[bob.user_id]["main"]
    assert (receipt.event_id, receipt.receipt_type) == (event, "m.read")


async def test_typing(alice: AsyncClient, bob: AsyncClient) -> None:
    room_id = await room_of(alice, bob)
    expect(RoomTypingResponse, await alice.room_typing(room_id, True, timeout=30_000))
    await sync_until(bob, lambda _: bob.rooms[room_id].typing_users == [alice.user_id])
    expect(RoomTypingResponse, await alice.room_typing(room_id, False))
    await sync_until(bob, lambda _: bob.rooms[room_id].typing_users == [])


async def test_paging_backwards_and_forwards_finds_everything_once(alice: AsyncClient, bob: AsyncClient) -> None:
    room_id = await room_of(alice, bob)
    sent = [await send(alice, room_id, f"message {number}") for number in range(25)]
    info = (await sync(bob)).rooms.join[room_id]
    assert info.timeline.limited
    in_timeline = [event.event_id for event in info.timeline.events if isinstance(event, RoomMessageText)]
    older, start = await pages(bob, room_id, info.timeline.prev_batch, MessageDirection.back)
    assert older[::-1] + in_timeline == sent
    again, _ = await pages(bob, room_id, start, MessageDirection.front)
    assert again == sent


async def test_what_was_said_around_an_event(alice: AsyncClient, bob: AsyncClient) -> None:
    room_id = await room_of(alice, bob)
    sent = [await send(alice, room_id, f"message {number}") for number in range(9)]
    context = expect(RoomContextResponse, await bob.room_context(room_id, sent[4], limit=4))
    assert context.event.event_id == sent[4]
    assert [event.event_id for event in context.events_before] == [sent[3], sent[2]]
    assert [event.event_id for event in context.events_after] == [sent[5], sent[6]]
    before, _ = await pages(bob, room_id, context.start, MessageDirection.back)
    after, _ = await pages(bob, room_id, context.end, MessageDirection.front)
    assert (before[::-1], after) == (sent[:2], sent[7:])


def ids(response: object, room_id: str) -> list[str]:
    return [event.event_id for event in timeline(response, room_id)]


async def pages(
    client: AsyncClient, room_id: str, token: str | None, direction: MessageDirection
) -> tuple[list[str], str]:
    """The ids of all messages from `token` on, and the token where they end."""
    found: list[str] = []
    for _ in range(50):
        page = expect(RoomMessagesResponse, await client.room_messages(room_id, token, direction=direction, limit=4))
        found += [event.event_id for event in page.chunk if isinstance(event, RoomMessageText)]
        if not page.chunk or page.end is None:
            return found, token or ""
        token = page.end
    raise AssertionError("paging never ends")
