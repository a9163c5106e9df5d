"""Application services: what their registrations say, and what is theirs by them.

Which names belong to whom is decided here, without looking anything up: by the regular expressions of the namespaces.

https://spec.matrix.org/v1.19/application-service-api/#registration
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from weft.protocol.identifiers import domain_of, is_valid_localpart_for_registration

_SHORTEST_TOKEN: Final = 8


@dataclass(frozen=True, slots=True)
class Namespace:
    """Names that begin as `pattern` says; `exclusive`: nobody else may make such ones."""

    pattern: re.Pattern[str]
    exclusive: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """One application service. `url` is None for one that is told nothing. `sender` is its own user."""

    id: str
    url: str | None
    as_token: str
    hs_token: str
    sender: str
    users: tuple[Namespace, ...] = ()
    aliases: tuple[Namespace, ...] = ()
    rooms: tuple[Namespace, ...] = ()
    #: Whether requests of its users, other than the sender, are limited.
    rate_limited: bool = True
    receive_ephemeral: bool = False
    protocols: tuple[str, ...] = ()

    def has_user(self, user_id: str) -> bool:
        """Whether it may act for a user of this server: its sender, or one of its namespaces."""
        return user_id == self.sender or (
            domain_of(user_id) == domain_of(self.sender) and _match(self.users, user_id) is not None
        )

    def has_alias(self, alias: str) -> bool:
        return _match(self.aliases, alias) is not None

    def has_room(self, room_id: str) -> bool:
        return _match(self.rooms, room_id) is not None

    def excludes_from_user(self, user_id: str) -> bool:
        """Whether nobody else may have the user."""
        return user_id == self.sender or (
            domain_of(user_id) == domain_of(self.sender) and _is_exclusive(self.users, user_id)
        )

    def excludes_from_alias(self, alias: str) -> bool:
        """Whether nobody else may make or delete the alias."""
        return _is_exclusive(self.aliases, alias)


class Registrations:
    """All application services of this server. Raises `ValueError` where two have the same id or `as_token`."""

    def __init__(self, registrations: Iterable[Registration] = ()) -> None:
        self._by_id: dict[str, Registration] = {}
        # By hash, so that how long a look-up takes says nothing of what is in it.
        self._by_token: dict[bytes, Registration] = {}
        for one in registrations:
            if one.id in self._by_id:
                raise ValueError(f'two application services have the id "{one.id}"')
            if _hash(one.as_token) in self._by_token:
                raise ValueError(f'"{one.id}" has the as_token of another application service')
            self._by_id[one.id] = one
            self._by_token[_hash(one.as_token)] = one

    def __iter__(self) -> Iterator[Registration]:
        return iter(self._by_id.values())

    def __bool__(self) -> bool:
        return bool(self._by_id)

    def get(self, service_id: str) -> Registration | None:
        return self._by_id.get(service_id)

    def by_token(self, token: str) -> Registration | None:
        """Whose `as_token` it is."""
        return self._by_token.get(_hash(token)) if self._by_token else None

    def user_is_taken(self, user_id: str, *, by: str | None = None) -> bool:
        """Whether a user id is some service's alone, other than that of the service `by`."""
        return any(one.excludes_from_user(user_id) for one in self if one.id != by)

    def alias_is_taken(self, alias: str, *, by: str | None = None) -> bool:
        """Whether an alias is some service's alone, other than that of the service `by`."""
        return any(one.excludes_from_alias(alias) for one in self if one.id != by)


NO_SERVICES: Final = Registrations()


def read_registration(value: object, server_name: str) -> Registration:
    """A registration as its file has it, for users of `server_name`.

    Raises `ValueError` that says what is wrong, in words for the administrator.
    """
    if not isinstance(value, dict):
        raise ValueError("is not a registration: expected keys such as id, url and as_token")
    fields: Mapping[str, Any] = value
    namespaces = fields.get("namespaces")
    namespaces = {} if namespaces is None else namespaces
    if not isinstance(namespaces, dict):
        raise ValueError("namespaces must have users, aliases and rooms")
    localpart = _text(fields, "sender_localpart")
    if not is_valid_localpart_for_registration(localpart, server_name):
        raise ValueError(f'sender_localpart "{localpart}" is no name that a user can have')
    protocols = fields.get("protocols") or []
    if not isinstance(protocols, list) or not all(isinstance(each, str) for each in protocols):
        raise ValueError("protocols must be a list of names")
    return Registration(
        id=_text(fields, "id"),
        url=_url(fields.get("url")),
        as_token=_token(fields, "as_token"),
        hs_token=_token(fields, "hs_token"),
        sender=f"@{localpart}:{server_name}",
        users=_namespaces(namespaces, "users"),
        aliases=_namespaces(namespaces, "aliases"),
        rooms=_namespaces(namespaces, "rooms"),
        rate_limited=_flag(fields, ("rate_limited",), default=True),
        # Bridges in use still write the name that it had before it was specified.
        receive_ephemeral=_flag(
            fields, ("receive_ephemeral", "push_ephemeral", "de.sorunome.msc2409.push_ephemeral"), default=False
        ),
        protocols=tuple(protocols),
    )


def _text(fields: Mapping[str, Any], name: str) -> str:
    value = fields.get(name)
    if not isinstance(value, str) or not value:
        raise ValueError(f"{name} is missing, or is no text")
    return value


def _token(fields: Mapping[str, Any], name: str) -> str:
    value = _text(fields, name)
    if len(value) < _SHORTEST_TOKEN:
        raise ValueError(f"{name} is too short: anybody could guess it")
    if not (value.isascii() and value.isprintable()) or " " in value:
        raise ValueError(f"{name} has characters that can't be sent in a header")
    return value


def _flag(fields: Mapping[str, Any], names: Iterable[str], *, default: bool) -> bool:
    for name in names:
        value = fields.get(name)
        if value is None:
            continue
        if not isinstance(value, bool):
            raise ValueError(f"{name} must be true or false")
        return value
    return default


def _url(value: object) -> str | None:
    if value is None or value == "":
        return None
    if not isinstance(value, str) or urlsplit(value).scheme not in ("http", "https") or not urlsplit(value).netloc:
        raise ValueError("url must be an http or https address, or null")
    return value.rstrip("/")


def _namespaces(namespaces: Mapping[str, Any], kind: str) -> tuple[Namespace, ...]:
    listed = namespaces.get(kind)
    listed = [] if listed is None else listed
    if not isinstance(listed, list):
        raise ValueError(f"namespaces.{kind} must be a list")
    return tuple(_namespace(kind, entry) for entry in listed)


def _namespace(kind: str, entry: object) -> Namespace:
    if not isinstance(entry, dict) or not isinstance(entry.get("regex"), str):
        raise ValueError(f"each of namespaces.{kind} needs a regex")
    exclusive = entry.get("exclusive", False)
    if not isinstance(exclusive, bool):
        raise ValueError(f"exclusive in namespaces.{kind} must be true or false")
    try:
        return Namespace(re.compile(entry["regex"]), exclusive)
    except re.error as error:
        raise ValueError(f"the regex {entry['regex']!r} of namespaces.{kind} is none: {error}") from None


def _match(namespaces: tuple[Namespace, ...], name: str) -> Namespace | None:
    # From the beginning, but not to the end: that is how other servers read registrations, and what bridges rely on.
    return next((one for one in namespaces if one.pattern.match(name)), None)


def _is_exclusive(namespaces: tuple[Namespace, ...], name: str) -> bool:
    return any(one.exclusive and one.pattern.match(name) is not None for one in namespaces)


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
