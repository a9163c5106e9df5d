"""How a request between servers is signed: the `X-Matrix` header, and the JSON that its signature covers.

Reading is lenient where older servers need it: any order and case of names, values with or without quotes, spaces and
tabs around commas, no `destination`. Writing is the one spelling that every server reads.

https://spec.matrix.org/v1.19/server-server-api/#request-authentication
"""

from __future__ import annotations

import re
from typing import Any, Final, NamedTuple

import orjson

from weft.protocol import canonical_json
from weft.protocol.errors import InvalidParam, MatrixError
from weft.protocol.identifiers import is_valid_server_name, parse_key_id
from weft.protocol.signatures import ALGORITHM, SigningKey, decode_base64, encode_base64

SCHEME: Final = "X-Matrix"

#: More than any server needs: two names, a key id and a signature.
_MAX_HEADER: Final = 4096
#: One parameter; an unquoted value may hold what is no token (colons, base64), up to the next comma.
_PARAMETER: Final = re.compile(
    r"""[ \t]*(?P<name>[!#$%&'*+.^_`|~0-9A-Za-z-]+)[ \t]*=[ \t]*
        (?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<bare>[^ \t",]*))[ \t]*(?:,|$)""",
    re.VERBOSE | re.DOTALL,
)
_EMPTY: Final = re.compile(r"[ \t]*,")
_ESCAPED: Final = re.compile(r"\\(.)", re.DOTALL)


class Unauthorized(MatrixError):
    """The request is not signed, or not well."""

    errcode, status = "M_UNAUTHORIZED", 401


class Credentials(NamedTuple):
    """What a header claims."""

    origin: str
    #: None where an older server left it out: it means whoever gets the request.
    destination: str | None
    key_id: str
    signature: bytes


def parse(header: str) -> Credentials | None:
    """What an `Authorization` header claims; None if it is of another scheme. Raises `Unauthorized`."""
    scheme, _, rest = header.strip(" \t").partition(" ")
    if scheme.lower() != SCHEME.lower():
        return None
    if len(header) > _MAX_HEADER:
        raise Unauthorized("The X-Matrix header is too long.")
    values = _parameters(rest)
    origin, destination, key_id = values.get("origin"), values.get("destination"), values.get("key")
    signature = values.get("sig")
    if origin is None or key_id is None or signature is None:
        raise Unauthorized("The X-Matrix header lacks origin, key or sig.")
    if not is_valid_server_name(origin):
        raise Unauthorized("The X-Matrix header's origin is not a server name.")
    return Credentials(origin, destination, _checked_key_id(key_id), _signature(signature))


def _parameters(text: str) -> dict[str, str]:
    """The parameters by lower-case name."""
    values: dict[str, str] = {}
    place = 0
    while place < len(text):
        match = _PARAMETER.match(text, place)
        if match is None:
            empty = _EMPTY.match(text, place)
            if empty is None and text[place:].strip(" \t"):
                raise Unauthorized("The X-Matrix header can't be read.")
            place = len(text) if empty is None else empty.end()
            continue
        name, quoted = match["name"].lower(), match["quoted"]
        if name in values:
            raise Unauthorized("The X-Matrix header says something twice.")
        values[name] = match["bare"] if quoted is None else _ESCAPED.sub(r"\1", quoted)
        place = match.end()
    return values


def _checked_key_id(key_id: str) -> str:
    try:
        algorithm = parse_key_id(key_id).algorithm
    except InvalidParam:
        raise Unauthorized("The X-Matrix header's key is not the id of a key.") from None
    if algorithm != ALGORITHM or len(key_id) > 255:
        raise Unauthorized("The X-Matrix header's key is not an Ed25519 key.")
    return key_id


def _signature(text: str) -> bytes:
    try:
        return decode_base64(text)
    except ValueError:
        raise Unauthorized("The X-Matrix header's signature is not base64.") from None


def signed_bytes(*, method: str, uri: str, origin: str, destination: str, content: bytes | None) -> bytes:
    """What a request's signature covers. `content` is the body in canonical JSON, None for a request without one."""
    signed: dict[str, Any] = {"method": method, "uri": uri, "origin": origin, "destination": destination}
    if content is not None:
        signed["content"] = orjson.Fragment(content)
    return canonical_json.encode_checked(signed)


def authorization(
    key: SigningKey, *, method: str, uri: str, origin: str, destination: str, content: bytes | None
) -> str:
    """The header of a request of ours."""
    message = signed_bytes(method=method, uri=uri, origin=origin, destination=destination, content=content)
    signature = encode_base64(key.sign(message))
    return f'{SCHEME} origin="{origin}",destination="{destination}",key="{key.key_id}",sig="{signature}"'
