"""User ids, room ids, room aliases and event ids.

Rules: https://spec.matrix.org/v1.19/appendices/#common-identifier-format
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from weft.protocol.errors import InvalidParam
from weft.protocol.identifiers.server_names import is_valid_server_name
from weft.protocol.room_versions import EventIdFormat

#: Of any of these ids, sigil and domain included, in UTF-8.
MAX_ID_BYTES: Final = 255

_NEW_LOCALPART: Final = re.compile(r"[a-z0-9._=/+-]+", re.A)
_COMPLIANT_LOCALPART: Final = re.compile(r"[!-9;-~]+", re.A)
_TO_ESCAPE: Final = re.compile(rb"[^a-z0-9._/+-]")
#: SHA-256 in unpadded base64.
_BASE64_HASH: Final = re.compile(r"[A-Za-z0-9+/]{43}", re.A)
_URL_SAFE_HASH: Final = re.compile(r"[A-Za-z0-9_-]{43}", re.A)


class UserId(NamedTuple):
    localpart: str
    domain: str


class RoomId(NamedTuple):
    opaque: str
    #: None from room version 12 on.
    domain: str | None


class RoomAlias(NamedTuple):
    localpart: str
    domain: str


class EventId(NamedTuple):
    opaque: str
    #: None from room version 3 on.
    domain: str | None


def domain_of(identifier: str) -> str:
    """What follows the first colon of an id that is known to be valid; "" if it has no domain. Checks nothing."""
    return identifier.partition(":")[2]


def localpart_of(identifier: str) -> str:
    """What stands between the sigil and the first colon of an id that is known to be valid. Checks nothing."""
    return identifier.partition(":")[0][1:]


# Users


def parse_user_id(identifier: str, *, strict: bool = False) -> UserId:
    """Accepts historical user ids too, unless `strict`. Raises `InvalidParam`."""
    parts = _split(identifier, "@")
    if parts is None or (strict and _NEW_LOCALPART.fullmatch(parts[0]) is None):
        raise InvalidParam(f"{identifier[:64]!r} is not a user id.")
    return UserId(*parts)


def is_valid_user_id(identifier: str, *, strict: bool = False) -> bool:
    parts = _split(identifier, "@")
    return parts is not None and (not strict or _NEW_LOCALPART.fullmatch(parts[0]) is not None)


def is_compliant_user_id(identifier: str) -> bool:
    """False also for historical ids that clients should not meet outside of events.

    https://spec.matrix.org/v1.19/appendices/#historical-user-ids
    """
    parts = _split(identifier, "@")
    return parts is not None and _COMPLIANT_LOCALPART.fullmatch(parts[0]) is not None


def is_valid_localpart_for_registration(localpart: str, server_name: str) -> bool:
    """Whether a new account of `server_name` may be called so: today's characters, and an id of legal length."""
    return (
        _NEW_LOCALPART.fullmatch(localpart) is not None and len(f"@{localpart}:{server_name}".encode()) <= MAX_ID_BYTES
    )


def localpart_from(text: str) -> str:
    """Maps any name (from single sign-on, from another network) to a localpart, the same way every time.

    Upper case is folded; `=` and what is not allowed becomes `=` and its hexadecimal bytes. The result may be too long.

    https://spec.matrix.org/v1.19/appendices/#mapping-from-other-character-sets
    """
    return _TO_ESCAPE.sub(lambda match: b"=%02x" % match[0][0], text.encode().lower()).decode()


# Rooms


def parse_room_id(identifier: str) -> RoomId:
    """Either form: with a domain, or the create event's hash. Raises `InvalidParam`."""
    if identifier[:1] == "!" and _URL_SAFE_HASH.fullmatch(identifier, 1) is not None:
        return RoomId(identifier[1:], None)
    parts = _split(identifier, "!")
    if parts is None or not parts[0]:
        raise InvalidParam(f"{identifier[:64]!r} is not a room id.")
    return RoomId(*parts)


def is_valid_room_id(identifier: str, *, is_create_hash: bool | None = None) -> bool:
    """`is_create_hash` asks for one of the two forms, by the room version's `format.room_id_is_create_hash`."""
    try:
        room_id = parse_room_id(identifier)
    except InvalidParam:
        return False
    return is_create_hash is None or is_create_hash == (room_id.domain is None)


def parse_room_alias(identifier: str) -> RoomAlias:
    """Raises `InvalidParam`."""
    parts = _split(identifier, "#")
    if parts is None or not parts[0]:
        raise InvalidParam(f"{identifier[:64]!r} is not a room alias.")
    return RoomAlias(*parts)


def is_valid_room_alias(identifier: str) -> bool:
    parts = _split(identifier, "#")
    return parts is not None and bool(parts[0])


# Events


def parse_event_id(identifier: str) -> EventId:
    """Any of the three forms. Raises `InvalidParam`."""
    if is_valid_event_id(identifier, EventIdFormat.BASE64) or is_valid_event_id(
        identifier, EventIdFormat.URL_SAFE_BASE64
    ):
        return EventId(identifier[1:], None)
    parts = _split(identifier, "$")
    if parts is None:
        raise InvalidParam(f"{identifier[:64]!r} is not an event id.")
    return EventId(*parts)


def is_valid_event_id(identifier: str, id_format: EventIdFormat) -> bool:
    """Whether an event of a room with this format of ids could be called so."""
    if id_format is EventIdFormat.SERVER_ASSIGNED:
        return _split(identifier, "$") is not None
    grammar = _BASE64_HASH if id_format is EventIdFormat.BASE64 else _URL_SAFE_HASH
    return identifier[:1] == "$" and grammar.fullmatch(identifier, 1) is not None


def _split(identifier: str, sigil: str) -> tuple[str, str] | None:
    """Localpart and domain; None if the sigil, the length, the characters or the domain is wrong."""
    if len(identifier) > MAX_ID_BYTES or identifier[:1] != sigil:
        return None
    localpart, colon, domain = identifier.partition(":")
    if not colon or not is_valid_server_name(domain):
        return None
    if not identifier.isascii() and not _fits(identifier):
        return None
    return None if "\0" in localpart else (localpart[1:], domain)


def _fits(identifier: str) -> bool:
    try:
        return len(identifier.encode()) <= MAX_ID_BYTES
    except UnicodeEncodeError:
        return False
