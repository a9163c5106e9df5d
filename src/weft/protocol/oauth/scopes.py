"""What a client asks for: full access to the Client-Server API, on a device whose id it has chosen.

Both spellings are read, the specification's and the one from before it, which clients still send. What else a client
asks for is passed over, as OAuth has it: the answer says what was granted.

https://spec.matrix.org/v1.19/client-server-api/#scope
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from weft.protocol.oauth.errors import OAuthError

STABLE: Final = "urn:matrix:client:"
UNSTABLE: Final = "urn:matrix:org.matrix.msc2967.client:"
OPENID: Final = "openid"
_API: Final = "api:*"
_DEVICE: Final = "device:"
#: What the specification has clients draw on.
_DEVICE_ID: Final = re.compile(r"[A-Za-z0-9._~-]{1,255}", re.A)
_LONGEST: Final = 1024

SUPPORTED: Final = (OPENID, STABLE + _API, STABLE + _DEVICE + "*")


class Scope(NamedTuple):
    """`granted` is spelled as it was asked for, without what is not known here."""

    device_id: str
    granted: str

    @property
    def wants_id_token(self) -> bool:
        return OPENID in self.granted.split(" ")


def read(text: str) -> Scope:
    """Raises `OAuthError` (`invalid_scope`) where it does not ask for the API on just one device."""
    if len(text) > _LONGEST:
        raise _invalid("The scope is too long.")
    tokens = list(dict.fromkeys(token for token in text.split(" ") if token))
    devices = {token: name for token in tokens if (name := _device_of(token)) is not None}
    access = [token for token in tokens if token in (STABLE + _API, UNSTABLE + _API)]
    if not access:
        raise _invalid(f"The scope must have {STABLE}{_API}.")
    if len(set(devices.values())) != 1:
        raise _invalid(f"The scope must have {STABLE}{_DEVICE}<device_id>, once.")
    device_id = next(iter(devices.values()))
    if not _DEVICE_ID.fullmatch(device_id):
        raise _invalid("A device id is made of letters, digits and the characters - . _ ~")
    return Scope(device_id, " ".join(token for token in tokens if token in {OPENID, *access, *devices}))


def _device_of(token: str) -> str | None:
    for prefix in (STABLE + _DEVICE, UNSTABLE + _DEVICE):
        if token.startswith(prefix):
            return token.removeprefix(prefix)
    return None


def _invalid(message: str) -> OAuthError:
    return OAuthError("invalid_scope", message)
