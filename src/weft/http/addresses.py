"""Which network addresses we talk to, and whose word we take for somebody else's.

`AddressGuard` keeps outgoing requests away from our own machine and network, whatever name a stranger had us look
up. `ProxyTrust` reads `X-Forwarded-For` only from proxies that the operator named. Both are pure.

https://spec.matrix.org/v1.19/appendices/#threat-denial-of-service
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

#: Where no stranger's server is: private, loopback, link-local, shared, documentation, benchmarking, multicast …
#: https://www.iana.org/assignments/iana-ipv4-special-registry and its IPv6 sister
NOT_PUBLIC: Final[tuple[str, ...]] = (
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.88.99.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/4",
    "240.0.0.0/4",
    "::/128",
    "::1/128",
    "64:ff9b:1::/48",
    "100::/64",
    "2001::/23",
    "2001:db8::/32",
    "3fff::/20",
    "5f00::/16",
    "fc00::/7",
    "fe80::/10",
    "fec0::/10",
    "ff00::/8",
)
_NAT64: Final = IPv6Network("64:ff9b::/96")
_MAPPED: Final = IPv6Network("::/96")


class AddressGuard:
    """Lists of networks (`10.0.0.0/8`) or addresses: `never` wins over `allow`, which wins over `deny`.

    `deny` replaces the default.
    """

    def __init__(
        self, *, allow: Iterable[str] = (), deny: Iterable[str] = NOT_PUBLIC, never: Iterable[str] = ()
    ) -> None:
        self._allow = [ip_network(network, strict=False) for network in allow]
        self._deny = [ip_network(network, strict=False) for network in deny]
        self._never = [ip_network(network, strict=False) for network in never]

    def permits(self, address: str) -> bool:
        """False for what is denied, for an IPv6 address that leads to such an IPv4 one, and for what is no address."""
        try:
            parsed = ip_address(address.partition("%")[0])
        except ValueError:
            return False
        return all(self._permits_one(each) for each in _meanings(parsed))

    def _permits_one(self, address: Address) -> bool:
        if any(address in network for network in self._never):
            return False
        if any(address in network for network in self._allow):
            return True
        return not any(address in network for network in self._deny)


def _meanings(address: Address) -> list[Address]:
    """The address that is really reached, where an IPv6 address wraps an IPv4 one; several if that is unsure."""
    if isinstance(address, IPv4Address):
        return [address]
    if address.ipv4_mapped is not None:
        return [address.ipv4_mapped]
    low = IPv4Address(int(address) & 0xFFFFFFFF)
    if address in _NAT64:
        return [low]
    if address in _MAPPED and int(address) > 1:
        return [address, low]
    if address.sixtofour is not None:
        return [address, address.sixtofour]
    return [address]


class ProxyTrust:
    """The reverse proxies in front of us, as networks or addresses; `unix` trusts whoever reaches a local socket."""

    def __init__(self, proxies: Iterable[str] = ()) -> None:
        names = list(proxies)
        self._unix = "unix" in names
        self._networks = [ip_network(name) for name in names if name != "unix"]
        #: False: nobody is trusted, and nothing need be looked up.
        self.any = bool(names)
        self._trusts = lru_cache(maxsize=4096)(self._is_proxy)

    def client_ip(self, peer: str, forwarded_for: Iterable[str]) -> str:
        """The nearest address that is not a trusted proxy's; `peer` itself unless it is one.

        Read from the right: what stands further left was written by whom we don't know.
        """
        if not self._trusts(peer):
            return peer
        nearest = peer
        for hop in reversed([hop.strip() for value in forwarded_for for hop in value.split(",")]):
            address = _bare(hop)
            if address is None:
                return nearest
            nearest = address
            if not self._trusts(address):
                break
        return nearest

    def _is_proxy(self, address: str) -> bool:
        if not address:
            return self._unix
        try:
            parsed = ip_address(address)
        except ValueError:
            return False
        if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is not None:
            parsed = parsed.ipv4_mapped
        return any(parsed in network for network in self._networks)


def _bare(hop: str) -> str | None:
    """An address without the port or brackets that some proxies write."""
    if hop.startswith("["):
        hop = hop[1:].partition("]")[0]
    elif hop.count(":") == 1:
        hop = hop.partition(":")[0]
    try:
        return str(ip_address(hop))
    except ValueError:
        return None


NOBODY: Final = ProxyTrust()
