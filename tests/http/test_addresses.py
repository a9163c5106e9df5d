"""Which addresses are talked to, and whose word is taken for somebody else's."""

from __future__ import annotations

import pytest

from weft.http.addresses import AddressGuard, ProxyTrust

DENIED = [
    "0.0.0.0", "10.1.2.3", "100.64.0.1", "127.0.0.1", "127.255.0.9", "169.254.169.254", "172.16.0.1", "172.31.255.255",
    "192.0.0.8", "192.0.2.1", "192.168.1.1", "198.18.0.1", "198.51.100.1", "203.0.113.9", "224.0.0.1", "239.1.1.1",
    "255.255.255.255", "::", "::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::127.0.0.1", "64:ff9b::10.0.0.1",
    "64:ff9b:1::1", "2002:7f00:1::", "2002:c0a8:101::1", "2001:0:4136:e378:8000:63bf:3fff:fdd2", "2001:db8::1",
    "fc00::1", "fd12::1", "fe80::1", "fe80::1%eth0", "fec0::1", "ff02::1", "", "localhost", "1.2.3", "2130706433",
]  # fmt: skip
PERMITTED = [
    "1.1.1.1", "9.255.255.255", "100.63.255.255", "100.128.0.1", "172.15.0.1", "172.32.0.1", "192.169.0.1", "223.1.1.1",
    "2606:4700::1111", "::ffff:1.1.1.1", "64:ff9b::1.1.1.1", "2002:101:101::1", "2a00:1450::8a",
]  # fmt: skip


@pytest.mark.parametrize("address", DENIED)
def test_denied(address: str) -> None:
    assert not AddressGuard().permits(address)


@pytest.mark.parametrize("address", PERMITTED)
def test_permitted(address: str) -> None:
    assert AddressGuard().permits(address)


def test_allowing_wins_and_denying_can_be_replaced() -> None:
    home = AddressGuard(allow=["10.0.0.0/8", "::1"])
    assert [home.permits(address) for address in ("10.9.8.7", "::ffff:10.9.8.7", "::1", "127.0.0.1")] == [
        True, True, True, False,
    ]  # fmt: skip
    other = AddressGuard(deny=["1.1.1.0/24"])
    assert [other.permits(address) for address in ("1.1.1.1", "127.0.0.1")] == [False, True]


@pytest.mark.parametrize(
    ("trusted", "peer", "forwarded", "expected"),
    [
        ((), "10.0.0.1", ["1.1.1.1"], "10.0.0.1"),
        (("10.0.0.1",), "10.0.0.1", ["1.1.1.1"], "1.1.1.1"),
        (("10.0.0.0/8",), "10.0.0.1", ["6.6.6.6, 1.1.1.1"], "1.1.1.1"),
        (("10.0.0.0/8",), "10.0.0.1", ["1.1.1.1, 10.0.0.2"], "1.1.1.1"),
        (("10.0.0.0/8",), "10.0.0.1", ["1.1.1.1", "10.0.0.2"], "1.1.1.1"),
        (("10.0.0.0/8",), "10.0.0.1", ["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
        (("10.0.0.0/8",), "192.0.2.1", ["1.1.1.1"], "192.0.2.1"),
        (("10.0.0.0/8",), "10.0.0.1", ["nonsense"], "10.0.0.1"),
        (("10.0.0.0/8",), "10.0.0.1", ["1.1.1.1, nonsense, 10.0.0.2"], "10.0.0.2"),
        (("10.0.0.0/8",), "10.0.0.1", [""], "10.0.0.1"),
        (("10.0.0.0/8",), "::ffff:10.0.0.1", ["2a00::1"], "2a00::1"),
        (("::1",), "::1", ["[2a00::1]:4711"], "2a00::1"),
        (("::1",), "::1", ["1.1.1.1:80"], "1.1.1.1"),
        (("unix",), "", ["1.1.1.1"], "1.1.1.1"),
        (("10.0.0.0/8",), "", ["1.1.1.1"], ""),
        (("10.0.0.0/8",), "testclient", ["1.1.1.1"], "testclient"),
    ],
)
def test_client_ip(trusted: tuple[str, ...], peer: str, forwarded: list[str], expected: str) -> None:
    assert ProxyTrust(trusted).client_ip(peer, forwarded) == expected
