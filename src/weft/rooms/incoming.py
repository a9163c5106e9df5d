"""Reads events that other servers sent: everything that can be said of one without knowing others.

Format and size, signatures, content hash: checks 1 to 3 of the specification. What does not pass is dropped; an event
whose content hash is wrong goes on in its redacted form. An event whose server's keys can't be had just now is neither
good nor bad: it is kept for later (`keep`), since a state that lacked it for good would never again be the others'.

https://spec.matrix.org/v1.19/server-server-api/#checks-performed-on-receipt-of-a-pdu
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple

import msgspec
import structlog

from weft.federation.keyring import Keyring
from weft.protocol import canonical_json
from weft.protocol.errors import BadJson, InvalidEvent, NotJson, PeerError
from weft.protocol.event import Event, check_content_hash
from weft.protocol.room_versions import RoomVersion

log = structlog.get_logger(__name__)

#: So many events are parsed before others get a turn.
_PARSED_AT_ONCE = 50


class Inspected(NamedTuple):
    """The events that passed, in their order, and why others did not, by event id as far as they had one."""

    events: list[Event]
    refused: dict[str, str]
    #: The id of each PDU that was given, in the same order; "" for what is no event.
    ids: list[str]
    #: Those whose signatures can't be checked yet, not among the others.
    later: list[Event]


#: Keeps events of a room that this server is in until their signatures can be checked; whether they are of the state by
#: which it was just entered.
Keep = Callable[[str, Sequence[Event], bool], Awaitable[None]]


class Incoming:
    """Inspects events of other servers."""

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring
        #: Set once there is a place for them.
        self.keep: Keep | None = None

    async def inspect(self, room_id: str | None, version: RoomVersion, pdus: Sequence[msgspec.Raw]) -> Inspected:
        """Parses and verifies events that are said to be of a room; None: of whichever room they say."""
        parsed: dict[str, Event] = {}
        refused: dict[str, str] = {}
        ids: dict[bytes, str] = {}
        for index, pdu in enumerate(pdus):
            data = bytes(pdu)
            if data in ids:
                continue
            ids[data] = ""
            if index and not index % _PARSED_AT_ONCE:
                await asyncio.sleep(0)
            try:
                event = read(data, version)
            except InvalidEvent as invalid:
                log.info("what another server sent is no event", room_id=room_id, reason=invalid.message)
                continue
            ids[data] = event.event_id
            if room_id is not None and event.room_id != room_id:
                refused[event.event_id] = "The event is of another room."
                continue
            parsed.setdefault(event.event_id, event)
        failed = await self._keyring.verify_events(list(parsed.values()))
        later = [parsed[event_id] for event_id, error in failed.items() if not error.permanent]
        if later and room_id is not None and self.keep is not None:
            await self.keep(room_id, later, False)
        for event_id, error in failed.items():
            if not error.permanent:
                continue
            log.info("an event of another server is not signed well", event_id=event_id, reason=str(error))
            refused[event_id] = f"The event's signatures do not hold: {error}"
        passed = [whole(event) for event_id, event in parsed.items() if event_id not in failed]
        return Inspected(passed, refused, [ids[bytes(pdu)] for pdu in pdus], later)

    async def failed_signatures(self, events: Sequence[Event]) -> dict[str, PeerError]:
        """Which of some events are not signed as they have to be, and why, by event id."""
        return await self._keyring.verify_events(events)


def read(pdu: msgspec.Raw | bytes, version: RoomVersion) -> Event:
    """An event from its JSON. Raises `InvalidEvent`."""
    return Event.parse(decode(pdu, version), version, decoded=True)


def decode(pdu: msgspec.Raw | bytes, version: RoomVersion) -> Any:
    """The JSON of an event, its numbers read as the room version has them. Raises `InvalidEvent`."""
    data = bytes(pdu)
    try:
        if version.format.strict_canonical_json:
            return canonical_json.decode(data)
        return canonical_json.decode_lax(data)
    except (NotJson, BadJson) as error:
        raise InvalidEvent(error.message) from None


class _RoomOf(msgspec.Struct):
    room_id: str


def room_id_of(pdu: msgspec.Raw) -> str | None:
    """The room that a PDU says it is of, before anything is known of that; None where it says none."""
    try:
        return msgspec.json.decode(pdu, type=_RoomOf).room_id
    except (ValueError, RecursionError):
        return None


def whole(event: Event) -> Event:
    """The event if it is as its sender made it, otherwise what is left when it is redacted."""
    return event if check_content_hash(event) else event.redacted()
