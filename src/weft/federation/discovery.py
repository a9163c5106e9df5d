"""Where a server is: from its name to addresses, ports, and the names that it must prove and is called by.

The specification's steps, in its order:

1. the name is an IP address;
2. the name has a port;
3. its domain says in `/.well-known/matrix/server` who stands in for it (`well_known`), and that one is an address,
   has a port, has SRV records, or is at 8448;
4. the name has SRV records of `_matrix-fed._tcp`;
5. or of `_matrix._tcp`, as it was before;
6. otherwise it is at 8448.

Names that are left in the end are looked up where a connection is made, by the resolver of `weft.http.client`, whose
guard judges the addresses.

https://spec.matrix.org/v1.19/server-server-api/#resolving-server-names
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple, Protocol

from weft.federation.srv import SrvRecord
from weft.protocol.errors import InvalidParam, PeerError
from weft.protocol.identifiers import parse_server_name
from weft.protocol.identifiers.server_names import is_ip_literal

DEFAULT_PORT: Final = 8448
#: The services whose records are looked for, in order.
SERVICES: Final = ("_matrix-fed._tcp", "_matrix._tcp")
#: Targets of SRV records that are tried.
MAX_TARGETS: Final = 4


class Target(NamedTuple):
    """Where to connect, and what to say there."""

    #: A DNS name or an IP address, without brackets.
    host: str
    port: int
    #: The `Host` header.
    host_header: str
    #: The DNS name or IP address that the certificate must be for; also what TLS asks for (SNI).
    certificate_name: str

    @property
    def url(self) -> str:
        """Where requests go, without a path."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"https://{host}:{self.port}"


class Delegation(Protocol):
    """`weft.federation.well_known.WellKnown`."""

    async def server(self, host: str) -> str | None:
        """The server that stands in for a domain; None if the domain names none."""


class SrvLookup(Protocol):
    """`weft.federation.srv.Srv`."""

    async def records(self, name: str) -> Sequence[SrvRecord]:
        """The records of a service at a domain; none where there are none, or none can be had."""


class Discovery:
    """`pick` chooses a number below its argument, by which load is spread over SRV records."""

    def __init__(self, delegation: Delegation, srv: SrvLookup, *, pick: Callable[[int], int]) -> None:
        self._delegation = delegation
        self._srv = srv
        self._pick = pick

    async def resolve(self, server_name: str) -> list[Target]:
        """Where to find a server, the best place first. Raises `PeerError` for what is no server name."""
        target = explicit_target(server_name)
        if target is not None:
            return [target]
        delegated = await self._delegation.server(server_name)
        if delegated is None:
            return await self._by_srv(server_name)
        target = explicit_target(delegated)
        return [target] if target is not None else await self._by_srv(delegated)

    async def _by_srv(self, host: str) -> list[Target]:
        for service in SERVICES:
            records = await self._srv.records(f"{service}.{host}")
            if records:
                ordered = in_order(records, self._pick)[:MAX_TARGETS]
                return [Target(record.target, record.port, host, host) for record in ordered]
        return [Target(host, DEFAULT_PORT, host, host)]


def explicit_target(server_name: str) -> Target | None:
    """Where a name that is an address or has a port leads; None for any other."""
    try:
        host, port = parse_server_name(server_name)
    except InvalidParam as error:
        raise PeerError(error.message) from None
    if port is None and not is_ip_literal(server_name):
        return None
    bare = host.removeprefix("[").removesuffix("]")
    return Target(bare, DEFAULT_PORT if port is None else port, server_name, bare)


def in_order(records: Sequence[SrvRecord], pick: Callable[[int], int]) -> list[SrvRecord]:
    """By priority, and at random by weight among equals (RFC 2782)."""
    ordered: list[SrvRecord] = []
    for priority in sorted({record.priority for record in records}):
        # Those without weight first, so that they have a small chance.
        waiting = sorted((one for one in records if one.priority == priority), key=lambda one: one.weight > 0)
        while waiting:
            chosen = pick(sum(one.weight for one in waiting) + 1)
            for index, one in enumerate(waiting):
                chosen -= one.weight
                if chosen <= 0:
                    ordered.append(waiting.pop(index))
                    break
    return ordered
