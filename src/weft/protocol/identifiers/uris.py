"""Links to users, rooms, aliases and events: the `matrix:` scheme and matrix.to.

Both spell the same value, a `MatrixUri`; what one writes the other's reader need not read.

Rules: https://spec.matrix.org/v1.19/appendices/#uris
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple
from urllib.parse import quote, unquote

from weft.protocol.errors import InvalidParam
from weft.protocol.identifiers.entities import (
    MAX_ID_BYTES,
    parse_room_alias,
    parse_room_id,
    parse_user_id,
)
from weft.protocol.identifiers.server_names import is_valid_server_name

_SCHEME: Final = "matrix:"
_MATRIX_TO: Final = "https://matrix.to/#/"
_LONGEST: Final = 8192
_MOST_QUERY_ITEMS: Final = 100
#: Left as they are by both writers, as in the specification's examples.
_SAFE: Final = ":!$@"

_SIGILS: Final = {"u": "@", "user": "@", "r": "#", "room": "#", "roomid": "!"}
_TYPES: Final = {"@": "u", "#": "r", "!": "roomid"}
_EVENT_TYPES: Final = frozenset({"e", "event"})
_ACTIONS: Final = {"join": "#!", "chat": "@"}


class MatrixUri(NamedTuple):
    """What a link points at. `identifier` and `event_id` have their sigils."""

    identifier: str
    event_id: str | None = None
    #: Servers through which to reach it; those that are no server names were dropped.
    via: tuple[str, ...] = ()
    #: `join` for rooms, `chat` for users, or None; `matrix:` links only.
    action: str | None = None


def parse_matrix_uri(uri: str) -> MatrixUri:
    """Reads a `matrix:` URI. Raises `InvalidParam`."""
    if len(uri) > _LONGEST or uri[: len(_SCHEME)].lower() != _SCHEME:
        raise InvalidParam("This is not a matrix: URI.")
    path, _, query = uri[len(_SCHEME) :].partition("#")[0].partition("?")
    if path.startswith("//"):
        path = path[2:].partition("/")[2]
    match path.split("/"):
        case [kind, name] if kind in _SIGILS:
            return _uri(_SIGILS[kind] + _decode(name), None, query)
        case [kind, name, event, event_name] if kind in _SIGILS and event in _EVENT_TYPES:
            return _uri(_SIGILS[kind] + _decode(name), "$" + _decode(event_name), query)
    raise InvalidParam("This matrix: URI points at nothing known.")


def parse_matrix_to(uri: str) -> MatrixUri:
    """Reads a matrix.to link, also one whose parts were not percent-encoded. Raises `InvalidParam`."""
    if len(uri) > _LONGEST or not uri.startswith(_MATRIX_TO):
        raise InvalidParam("This is not a matrix.to link.")
    path, _, query = uri.removeprefix(_MATRIX_TO).partition("?")
    identifier, _, event_id = path.partition("/")
    return _uri(_decode(identifier), _decode(event_id) or None, query, with_action=False)


def format_matrix_uri(link: MatrixUri) -> str:
    """The `matrix:` form of a valid value."""
    uri = f"{_SCHEME}{_TYPES[link.identifier[0]]}/{quote(link.identifier[1:], _SAFE)}"
    if link.event_id is not None:
        uri += "/e/" + quote(link.event_id[1:], _SAFE)
    action = [f"action={link.action}"] if link.action is not None else []
    return _with_query(uri, action + _vias(link))


def format_matrix_to(link: MatrixUri) -> str:
    """The matrix.to form of a valid value; its action is not written."""
    uri = _MATRIX_TO + quote(link.identifier, _SAFE)
    if link.event_id is not None:
        uri += "/" + quote(link.event_id, _SAFE)
    return _with_query(uri, _vias(link))


def _vias(link: MatrixUri) -> list[str]:
    return [f"via={quote(server, ':')}" for server in link.via]


def _with_query(uri: str, items: list[str]) -> str:
    return f"{uri}?{'&'.join(items)}" if items else uri


def _uri(identifier: str, event_id: str | None, query: str, *, with_action: bool = True) -> MatrixUri:
    _check_identifier(identifier)
    if event_id is not None:
        if identifier[0] == "@":
            raise InvalidParam("A user has no events.")
        _check_event_id(event_id)
    via: list[str] = []
    action = None
    for name, value in _query_items(query):
        if name == "via" and is_valid_server_name(value):
            via.append(value)
        elif with_action and name == "action" and identifier[0] in _ACTIONS.get(value, ""):
            action = value
    return MatrixUri(identifier, event_id, tuple(via), action)


def _check_identifier(identifier: str) -> None:
    match identifier[:1]:
        case "@":
            parse_user_id(identifier)
        case "#":
            parse_room_alias(identifier)
        case "!":
            parse_room_id(identifier)
        case _:
            raise InvalidParam("This link points at nothing known.")


def _check_event_id(event_id: str) -> None:
    """A link need not know the room's version, so any `$…` of legal length will do."""
    if event_id[0] != "$" or not 1 < len(event_id.encode()) <= MAX_ID_BYTES or "\0" in event_id:
        raise InvalidParam("This link points at no event.")


def _query_items(query: str) -> Iterator[tuple[str, str]]:
    for item in query.split("&", _MOST_QUERY_ITEMS)[:_MOST_QUERY_ITEMS]:
        name, _, value = item.partition("=")
        yield _decode(name), _decode(value)


def _decode(text: str) -> str:
    try:
        return unquote(text, errors="strict")
    except UnicodeDecodeError:
        raise InvalidParam("A percent-encoded part is not UTF-8.") from None
