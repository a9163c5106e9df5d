"""Makes events: a draft of what somebody wants to say becomes a PDU at the room's front.

The caller brings what is not here: the clock, the signing key, the state that the event builds on, and for room
versions 1 and 2 the event's id.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from weft.protocol.event import Event, reference_hash, seal
from weft.protocol.event_auth import auth_event_keys
from weft.protocol.room_versions import EventIdFormat, RoomVersion
from weft.protocol.signatures import SigningKey, encode_base64
from weft.protocol.stickiness import FIELD as STICKY
from weft.protocol.stickiness import sticky

#: https://spec.matrix.org/v1.19/server-server-api/#pdus
MAX_PREV_EVENTS = 20
MAX_DEPTH = (1 << 53) - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What somebody wants to say, before it has a place in the graph."""

    type: str
    sender: str
    content: dict[str, Any]
    state_key: str | None = None
    #: The target of an `m.room.redaction`; `build` puts it where the room version has it.
    redacts: str | None = None
    #: Milliseconds since the epoch; the server's clock where it is None.
    origin_server_ts: int | None = None
    #: For how many milliseconds it is sticky; None: it is not.
    sticky_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Identity:
    """A local domain that makes events: its name and key, and a source of ids for room versions 1 and 2."""

    server_name: str
    signing_key: SigningKey
    new_localpart: Callable[[], str]


def auth_keys(draft: Draft, version: RoomVersion) -> list[tuple[str, str]]:
    """The places in the state that must be known before the draft can be judged."""
    if draft.type == "m.room.create":
        return []
    return auth_event_keys(draft.type, draft.state_key, draft.sender, draft.content, version)


def build(
    draft: Draft,
    *,
    version: RoomVersion,
    room_id: str | None,
    prev_events: Sequence[Event],
    auth_events: Sequence[Event],
    identity: Identity,
    now_ms: int,
) -> Event:
    """The draft as a signed event on top of `prev_events` (at most 20: the newest are kept).

    `room_id` is None for the create event of a room whose id is that event's hash.
    Raises `InvalidEvent` or `BadJson` where the draft can't be an event of this room version.
    """
    pdu = template(
        draft, version=version, room_id=room_id, prev_events=prev_events, auth_events=auth_events, now_ms=now_ms
    )
    if version.format.event_id is EventIdFormat.SERVER_ASSIGNED:
        pdu["event_id"] = f"${identity.new_localpart()}:{identity.server_name}"
    return seal(pdu, version, identity.server_name, identity.signing_key)


def template(
    draft: Draft,
    *,
    version: RoomVersion,
    room_id: str | None,
    prev_events: Sequence[Event],
    auth_events: Sequence[Event],
    now_ms: int,
) -> dict[str, Any]:
    """The PDU that `build` seals: without hashes, signatures, and the id that some room versions put into it."""
    newest = sorted(prev_events, key=lambda event: event.depth, reverse=True)[:MAX_PREV_EVENTS]
    depth = min(MAX_DEPTH, 1 + newest[0].depth) if newest else 1
    content = draft.content
    pdu: dict[str, Any] = {
        "type": draft.type,
        "sender": draft.sender,
        "origin_server_ts": draft.origin_server_ts if draft.origin_server_ts is not None else now_ms,
        "depth": depth,
        "prev_events": references(newest, version),
        "auth_events": references(auth_events, version),
    }
    if room_id is not None:
        pdu["room_id"] = room_id
    if draft.state_key is not None:
        pdu["state_key"] = draft.state_key
    if draft.redacts is not None:
        if version.redaction.redacts_in_content:
            content = {**content, "redacts": draft.redacts}
        else:
            pdu["redacts"] = draft.redacts
    if draft.sticky_ms is not None:
        pdu[STICKY] = sticky(draft.sticky_ms)
    pdu["content"] = content
    return pdu


def references(events: Sequence[Event], version: RoomVersion) -> list[Any]:
    """Events as `prev_events` and `auth_events` name them."""
    if not version.format.references_are_pairs:
        return [event.event_id for event in events]
    return [[event.event_id, {"sha256": encode_base64(reference_hash(event.pdu, version))}] for event in events]
