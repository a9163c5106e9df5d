"""The shape that an event must have to be looked at at all, by room version.

Checks types, grammar and limits of a PDU's own fields; what `content` means is the authorisation rules'
and the clients' business. An event that breaks these rules is dropped, or refused to the client who sends it.

Rules: https://spec.matrix.org/v1.19/rooms/v12/#event-format
       https://spec.matrix.org/v1.19/client-server-api/#size-limits
"""

from __future__ import annotations

from typing import Any, Final

from weft.protocol.canonical_json import MAX_INTEGER
from weft.protocol.errors import InvalidEvent
from weft.protocol.identifiers import MAX_ID_BYTES, is_valid_event_id, is_valid_room_id, is_valid_user_id
from weft.protocol.room_versions import EventFormat, EventIdFormat, RoomVersion

#: Of a whole event: canonical JSON, signatures included.
MAX_EVENT_BYTES: Final = 65_536
MAX_PREV_EVENTS: Final = 20
MAX_AUTH_EVENTS: Final = 10
#: Of `type` and `state_key`, in UTF-8.
MAX_KEY_BYTES: Final = 255
#: Room versions without strict canonical JSON count as far as 64 bits go.
MAX_LAX_INTEGER: Final = 2**63 - 1


def check_template(pdu: dict[str, Any], version: RoomVersion) -> None:
    """Everything but `hashes` and `signatures`, which an event that we are about to send does not have yet.

    Raises `InvalidEvent`.
    """
    _check_short_text(pdu.get("type"), "type")
    if "state_key" in pdu:
        _check_short_text(pdu["state_key"], "state_key")
    sender = pdu.get("sender")
    if type(sender) is not str or not is_valid_user_id(sender):
        raise InvalidEvent("The event's sender is not a user id.")
    if type(pdu.get("content")) is not dict:
        raise InvalidEvent("The event's content is not an object.")
    _check_ids(pdu, version.format)
    _check_numbers(pdu, version.format)
    _check_references(pdu.get("prev_events"), "prev_events", MAX_PREV_EVENTS, version.format)
    _check_references(pdu.get("auth_events"), "auth_events", MAX_AUTH_EVENTS, version.format)
    if type(pdu.get("redacts", "")) is not str and not version.redaction.redacts_in_content:
        raise InvalidEvent("The event's redacts is not a string.")


def check_seals(pdu: dict[str, Any]) -> None:
    """`hashes` and `signatures`: their shape only. Raises `InvalidEvent`."""
    hashes = pdu.get("hashes")
    if type(hashes) is not dict or type(hashes.get("sha256")) is not str:
        raise InvalidEvent("The event has no hashes with a sha256.")
    signatures = pdu.get("signatures")
    if type(signatures) is not dict:
        raise InvalidEvent("The event has no signatures.")
    for by_key in signatures.values():
        if type(by_key) is not dict or not all(type(signature) is str for signature in by_key.values()):
            raise InvalidEvent("The event's signatures are not strings by server and key.")


def check_size(wire: bytes) -> None:
    """Raises `InvalidEvent` (as `M_TOO_LARGE`) if the event's canonical JSON is longer than events may be."""
    if len(wire) > MAX_EVENT_BYTES:
        raise _too_large(f"The event has {len(wire)} bytes; {MAX_EVENT_BYTES} are allowed.")


def _check_ids(pdu: dict[str, Any], rules: EventFormat) -> None:
    if rules.event_id is EventIdFormat.SERVER_ASSIGNED:
        event_id = pdu.get("event_id")
        if type(event_id) is not str or not is_valid_event_id(event_id, rules.event_id):
            raise InvalidEvent("The event's event_id is not an event id with a domain.")
    elif "event_id" in pdu:
        raise InvalidEvent("Events of this room version do not carry an event_id.")
    if rules.room_id_is_create_hash and pdu["type"] == "m.room.create" and pdu.get("state_key") == "":
        if "room_id" in pdu:
            raise InvalidEvent("A create event of this room version does not carry a room_id.")
        return
    room_id = pdu.get("room_id")
    if type(room_id) is not str or not is_valid_room_id(room_id, is_create_hash=rules.room_id_is_create_hash):
        raise InvalidEvent("The event's room_id is not a room id of this room version.")


def _check_numbers(pdu: dict[str, Any], rules: EventFormat) -> None:
    limit = MAX_INTEGER if rules.strict_canonical_json else MAX_LAX_INTEGER
    depth, sent_at = pdu.get("depth"), pdu.get("origin_server_ts")
    if type(depth) is not int or not 0 <= depth <= limit:
        raise InvalidEvent(f"The event's depth is not an integer between 0 and {limit}.")
    if type(sent_at) is not int or not -limit <= sent_at <= limit:
        raise InvalidEvent(f"The event's origin_server_ts is not an integer within ±{limit}.")


def _check_references(references: object, field: str, most: int, rules: EventFormat) -> None:
    if type(references) is not list:
        raise InvalidEvent(f"The event's {field} is not a list.")
    if len(references) > most:
        raise InvalidEvent(f"The event has {len(references)} {field}; {most} are allowed.")
    for reference in references:
        event_id = _id_of_pair(reference) if rules.references_are_pairs else reference
        if type(event_id) is not str or not _names_an_event(event_id):
            raise InvalidEvent(f"An entry of the event's {field} does not name an event.")


def _id_of_pair(pair: object) -> object:
    """The id in `[event id, {"sha256": hash}]`; None where it isn't such a pair."""
    if type(pair) is not list or len(pair) != 2 or type(pair[1]) is not dict:
        return None
    return pair[0] if all(type(digest) is str for digest in pair[1].values()) else None


def _names_an_event(event_id: str) -> bool:
    """Sigil and length only: an id that no event can have is one that is never found, and events may refer to those."""
    return event_id[:1] == "$" and _fits(event_id, MAX_ID_BYTES) and "\0" not in event_id


def _check_short_text(value: object, field: str) -> None:
    if type(value) is not str:
        raise InvalidEvent(f"The event's {field} is not a string.")
    if not _fits(value, MAX_KEY_BYTES):
        raise _too_large(f"The event's {field} is longer than {MAX_KEY_BYTES} bytes.")


def _fits(text: str, most: int) -> bool:
    """A lone surrogate counts like any other character here; the check of canonical JSON finds it."""
    return len(text) <= most and (text.isascii() or len(text.encode(errors="surrogatepass")) <= most)


def _too_large(message: str) -> InvalidEvent:
    return InvalidEvent(message, errcode="M_TOO_LARGE", status=413)
