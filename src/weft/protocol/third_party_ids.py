"""Third-party identifiers: e-mail addresses and phone numbers, in the one spelling in which they are compared.

Whoever keeps an address, or looks for one, first makes it canonical; two spellings of one address are then equal.

https://spec.matrix.org/v1.19/appendices/#3pid-types
https://spec.matrix.org/v1.19/identity-service-api/#hashing-algorithms
"""

from __future__ import annotations

import base64
import hashlib
import re
import unicodedata
from typing import Final, NamedTuple

from weft.protocol.errors import InvalidParam

EMAIL: Final = "email"
MSISDN: Final = "msisdn"
MEDIA: Final = (EMAIL, MSISDN)

#: Bytes that a path of SMTP carries (RFC 5321, 4.5.3.1.3), without its angle brackets.
_MAX_EMAIL: Final = 254
#: A number with its country code, without the plus (E.164).
_MSISDN: Final = re.compile(r"[1-9][0-9]{5,14}")
#: What has no place in an address: it would end a header, or have several addresses be one.
_NOT_IN_EMAIL: Final = frozenset('()<>[]:;,\\"')


class ThirdPartyId(NamedTuple):
    """An address that has been made canonical."""

    medium: str
    address: str


def canonical(medium: str, address: str) -> ThirdPartyId:
    """Raises `InvalidParam` for another medium, and for what is no address of it."""
    match medium:
        case "email":
            return ThirdPartyId(EMAIL, canonical_email(address))
        case "msisdn":
            return ThirdPartyId(MSISDN, canonical_msisdn(address))
    raise InvalidParam("The medium must be email or msisdn.")


def canonical_email(text: str) -> str:
    """The address with its case folded. Raises `InvalidParam` for what is no address, or one with a name or quotes."""
    address = text.strip().casefold()
    local, at, domain = address.partition("@")
    if not at or not local or "@" in domain or not _is_domain(domain) or len(address.encode()) > _MAX_EMAIL:
        raise InvalidParam("That is not an e-mail address.")
    if any(char in _NOT_IN_EMAIL or unicodedata.category(char)[0] in "CZ" for char in address):
        raise InvalidParam("An e-mail address is written as user@domain, without a name, quotes or spaces.")
    return address


def _is_domain(domain: str) -> bool:
    return all(0 < len(label) < 64 for label in domain.split("."))


def canonical_msisdn(text: str) -> str:
    """The digits of a number that begins with its country's code. Raises `InvalidParam` for what is no such number."""
    digits = text.strip().removeprefix("+")
    if not digits.isascii() or not _MSISDN.fullmatch(digits):
        raise InvalidParam("That is not a phone number with its country's code, in digits.")
    return digits


def lookup_hash(third_party_id: ThirdPartyId, pepper: str) -> str:
    """By what an identity server's `sha256` look-up knows an address."""
    text = f"{third_party_id.address} {third_party_id.medium} {pepper}"
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()


def lookup_plain(third_party_id: ThirdPartyId) -> str:
    """By what an identity server's `none` look-up knows an address: readable to the identity server."""
    return f"{third_party_id.address} {third_party_id.medium}"
