"""Server names: a DNS name, an IPv4 address or an IPv6 address in brackets, and perhaps a port.

Names are compared by case, byte for byte; nothing here changes one.

Rules: https://spec.matrix.org/v1.19/appendices/#server-name
"""

from __future__ import annotations

import re
from functools import lru_cache
from ipaddress import AddressValueError, IPv6Address
from typing import Final, NamedTuple

from weft.protocol.errors import InvalidParam

_GRAMMAR: Final = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]{2,45}\]|[0-9A-Za-z.-]{1,255})(?::(?P<port>[0-9]{1,5}))?", re.A)
_DOTTED_QUAD: Final = re.compile(r"[0-9]+\.[0-9]+\.[0-9]+\.[0-9]+", re.A)
#: Four numbers up to 255, each of at most three digits; leading zeros are within the grammar.
_IPV4: Final = re.compile(r"(?:(?:25[0-5]|2[0-4][0-9]|[01]?[0-9]{1,2})(?:\.(?!$)|$)){4}", re.A)
_LONGEST: Final = 255 + len(":65535")
_MAX_PORT: Final = 65535


class ServerName(NamedTuple):
    #: As written; an IPv6 address keeps its brackets.
    host: str
    #: None where the name has no port.
    port: int | None


def parse_server_name(name: str) -> ServerName:
    """Host and port. Raises `InvalidParam`."""
    parts = _parse(name)
    if parts is None:
        raise InvalidParam(f"{name[:64]!r} is not a server name.")
    return parts


def is_valid_server_name(name: str) -> bool:
    return _parse(name) is not None


def is_ip_literal(name: str) -> bool:
    """Whether the host of a valid server name is an address instead of a DNS name."""
    return name.startswith("[") or _DOTTED_QUAD.fullmatch(name.partition(":")[0]) is not None


@lru_cache(maxsize=4096)
def _parse(name: str) -> ServerName | None:
    match = _GRAMMAR.fullmatch(name) if len(name) <= _LONGEST else None
    if match is None:
        return None
    host, digits = match.group("host", "port")
    port = None if digits is None else int(digits)
    if not _is_host(host) or (port is not None and port > _MAX_PORT):
        return None
    return ServerName(host, port)


def _is_host(host: str) -> bool:
    """The grammar lets any dotted quad pass as a DNS name; no such name can exist, so only addresses may."""
    if host.startswith("["):
        try:
            IPv6Address(host[1:-1])
        except AddressValueError:
            return False
        return True
    return _DOTTED_QUAD.fullmatch(host) is None or _IPV4.fullmatch(host) is not None
