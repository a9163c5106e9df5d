"""Which servers `m.room.server_acl` lets take part in a room.

A content that breaks the schema still decides: what is not a list is an empty list, what is not a string in a
list is not there, and what is not a boolean counts as true. A room without the event is open to everybody; whether
it has one, and which requests are to be checked, is the caller's matter.

Rules: https://spec.matrix.org/v1.19/client-server-api/#mroomserver_acl
       https://spec.matrix.org/v1.19/server-server-api/#server-access-control-lists-acls
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, Final

from weft.protocol import globs
from weft.protocol.errors import InvalidParam
from weft.protocol.identifiers import is_ip_literal, parse_server_name

#: No host is longer, so that a pattern asking for more characters matches none.
_LONGEST_HOST: Final = 255


class ServerAcl:
    """The evaluated form of one content. Hold on to it while the room's event stays the same."""

    __slots__ = ("_allow", "_allow_ip_literals", "_deny")

    def __init__(self, content: Mapping[str, Any]) -> None:
        self._allow_ip_literals = content.get("allow_ip_literals") is not False
        self._allow = _HostPatterns(_strings(content.get("allow")))
        self._deny = _HostPatterns(_strings(content.get("deny")))

    def allows(self, server_name: str) -> bool:
        """False for what is no server name at all."""
        try:
            host = parse_server_name(server_name).host.lower()
        except InvalidParam:
            return False
        if not self._allow_ip_literals and is_ip_literal(host):
            return False
        return not self._deny.match(host) and self._allow.match(host)


def is_allowed(content: Mapping[str, Any] | None, server_name: str) -> bool:
    """Whether a server may take part under this content; None is a room without the event."""
    if content is None:
        return True
    allow, deny = _strings(content.get("allow")), _strings(content.get("deny"))
    return _compiled(allow, deny, content.get("allow_ip_literals") is not False).allows(server_name)


@lru_cache(maxsize=256)
def _compiled(allow: tuple[str, ...], deny: tuple[str, ...], allow_ip_literals: bool) -> ServerAcl:
    return ServerAcl({"allow": allow, "deny": deny, "allow_ip_literals": allow_ip_literals})


class _HostPatterns:
    """Many patterns asked at once: plain names by hash, `*.example.org` and `evil*` by ends, the rest one by one."""

    __slots__ = ("_endings", "_everything", "_matchers", "_names", "_starts")

    def __init__(self, patterns: Iterable[str]) -> None:
        names, starts, endings, others = set[str](), set[str](), set[str](), set[str]()
        for pattern in {pattern.lower() for pattern in patterns}:
            if len(pattern) - pattern.count("*") > _LONGEST_HOST:
                continue
            if not globs.has_wildcards(pattern):
                names.add(pattern)
            elif not globs.has_wildcards(pattern[1:]) and pattern[0] == "*":
                endings.add(pattern[1:])
            elif not globs.has_wildcards(pattern[:-1]) and pattern[-1] == "*":
                starts.add(pattern[:-1])
            else:
                others.add(pattern)
        self._everything = "" in endings
        self._names = frozenset(names)
        self._starts = tuple(starts)
        self._endings = tuple(endings)
        self._matchers = [globs.matcher(pattern) for pattern in others]

    def match(self, host: str) -> bool:
        return (
            self._everything
            or host in self._names
            or host.endswith(self._endings)
            or host.startswith(self._starts)
            or any(matches(host) for matches in self._matchers)
        )


def _strings(value: Any) -> tuple[str, ...]:
    """What counts of a list in the content."""
    if not isinstance(value, list | tuple):
        return ()
    return tuple(entry for entry in value if isinstance(entry, str))
