"""What servers show each other of a room that one of them is not in: a few state events, whole and signed.

Users are shown them in the stripped form. In room versions before 12 a peer may still send stripped events, which prove
nothing and are shown as they are.

https://spec.matrix.org/v1.19/client-server-api/#stripped-state
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import msgspec

from weft.protocol.client_event import stripped
from weft.protocol.errors import InvalidEvent
from weft.protocol.event import Event
from weft.protocol.room_versions import RoomVersion
from weft.rooms.incoming import Incoming, read

#: What of a room is shown; the create event comes first, since it must be there.
PREVIEW_KEYS: Final[tuple[tuple[str, str], ...]] = (
    ("m.room.create", ""),
    ("m.room.join_rules", ""),
    ("m.room.name", ""),
    ("m.room.avatar", ""),
    ("m.room.topic", ""),
    ("m.room.canonical_alias", ""),
    ("m.room.encryption", ""),
)
_MOST: Final = 50


class Preview(NamedTuple):
    """`shown` is what users see. `problem` says what a strict reader has against what came; None: nothing."""

    shown: list[dict[str, Any]]
    problem: str | None


async def read_preview(incoming: Incoming, room_id: str, version: RoomVersion, pdus: Sequence[msgspec.Raw]) -> Preview:
    """Checks what another server shows of a room. In strict room versions what is not signed well is left out."""
    is_strict = version.format.room_id_is_create_hash
    whole: list[Event] = []
    shown: list[dict[str, Any]] = []
    problem: str | None = None
    for pdu in pdus[:_MOST]:
        try:
            event = read(pdu, version)
        except InvalidEvent as error:
            problem = problem or f"An event of the room's state is not in its version's format: {error.message}"
            loose = None if is_strict else _loosely(pdu)
            if loose is not None:
                shown.append(loose)
            continue
        if event.room_id != room_id or not event.is_state:
            problem = problem or "An event of the room's state is of another room."
            continue
        whole.append(event)
    failed = await incoming.failed_signatures(whole)
    if failed:
        problem = problem or "An event of the room's state is not signed well."
    kept = [event for event in whole if event.event_id not in failed]
    if not any(event.type == "m.room.create" for event in kept):
        problem = problem or "The room's create event is missing."
    return Preview([*(stripped(event) for event in kept), *shown], problem)


def _loosely(pdu: msgspec.Raw) -> dict[str, Any] | None:
    try:
        event = msgspec.json.decode(pdu)
    except (ValueError, RecursionError):
        return None
    if not isinstance(event, dict):
        return None
    kept = {key: event.get(key) for key in ("type", "state_key", "sender", "content")}
    is_good = all(isinstance(kept[key], str) for key in ("type", "state_key", "sender"))
    return kept if is_good and isinstance(kept["content"], dict) else None
