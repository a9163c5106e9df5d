"""Addresses in the one spelling in which they are compared."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weft.protocol.errors import InvalidParam
from weft.protocol.third_party_ids import ThirdPartyId, canonical, lookup_hash, lookup_plain


@pytest.mark.parametrize(
    ("given_", "expected"),
    [
        ("alice@example.org", "alice@example.org"),
        (" Alice@Example.ORG\n", "alice@example.org"),
        ("Strauß@Example.com", "strauss@example.com"),
        ("o'neil+weft@mail.example.org", "o'neil+weft@mail.example.org"),
        ("ΣΊΣΥΦΟΣ@example.org", "σίσυφοσ@example.org"),
    ],
)
def test_an_email_address_has_one_spelling(given_: str, expected: str) -> None:
    assert canonical("email", given_) == ("email", expected)


@pytest.mark.parametrize(
    "address",
    [
        "",
        "alice",
        "@example.org",
        "alice@",
        "a@b@example.org",
        "Alice <alice@example.org>",
        "alice@example..org",
        "alice@.org",
        '"a b"@example.org',
        "a b@example.org",
        "alice@example.org\r\nBcc: everybody@example.org",
        "alice@example.org,bob@example.org",
        "alice\u00a0x@example.org",
        "a" * 250 + "@x.org",
        "alice@" + "a" * 64 + ".org",
    ],
)
def test_what_is_no_email_address(address: str) -> None:
    with pytest.raises(InvalidParam):
        canonical("email", address)


def test_a_number_is_digits() -> None:
    assert canonical("msisdn", "+447700900001") == canonical("msisdn", "447700900001") == ("msisdn", "447700900001")


@pytest.mark.parametrize("address", ["", "+", "0447700900001", "44 7700", "4477009000012345", "44x", "٤٤٧٧٠٠٩٠٠٠٠١"])
def test_what_is_no_number(address: str) -> None:
    with pytest.raises(InvalidParam):
        canonical("msisdn", address)


def test_there_are_two_media() -> None:
    with pytest.raises(InvalidParam):
        canonical("carrier pigeon", "alice")


@given(st.text(max_size=40))
def test_canonical_is_canonical_already(text: str) -> None:
    try:
        first = canonical("email", f"{text}@example.org")
    except InvalidParam:
        return
    assert canonical("email", first.address) == first


def test_the_hashes_of_the_specification() -> None:
    """https://spec.matrix.org/v1.19/identity-service-api/#sha256"""
    pepper = "matrixrocks"
    alice = ThirdPartyId("email", "alice@example.com")
    assert lookup_hash(alice, pepper) == "4kenr7N9drpCJ4AfalmlGQVsOn3o2RHjkADUpXJWZUc"
    assert lookup_hash(ThirdPartyId("email", "bob@example.com"), pepper) == (
        "LJwSazmv46n0hlMlsb_iYxI0_HXEqy_yj6Jm636cdT8"
    )
    assert lookup_hash(ThirdPartyId("msisdn", "18005552067"), pepper) == "nlo35_T5fzSGZzJApqu8lgIudJvmOQtDaHtr-I4rU7I"
    assert lookup_plain(alice) == "alice@example.com email"
