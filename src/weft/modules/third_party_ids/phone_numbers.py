"""Phone numbers as people dial them."""

from __future__ import annotations

import phonenumbers

from weft.protocol.errors import InvalidParam
from weft.protocol.third_party_ids import MSISDN, ThirdPartyId


def dialled(country: str, number: str) -> ThirdPartyId:
    """The number as it would be dialled from a country (two letters, ISO 3166). Raises `InvalidParam`."""
    if country.upper() not in phonenumbers.SUPPORTED_REGIONS:
        raise InvalidParam("That is not the code of a country: two letters, such as GB.")
    try:
        parsed = phonenumbers.parse(number, country.upper())
    except phonenumbers.NumberParseException:
        raise InvalidParam("That is not a phone number.") from None
    if not phonenumbers.is_possible_number(parsed) or parsed.extension:
        raise InvalidParam("That is not a phone number.")
    return ThirdPartyId(MSISDN, phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)[1:])
