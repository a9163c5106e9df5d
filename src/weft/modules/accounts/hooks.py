"""What other modules do when an account begins or ends.

What happens in the transaction is part of it: rows that an account always has, rows that go with it. What takes events
in rooms happens after the commit, by a durable follower: it is done again if the process died in the middle.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from weft.protocol.ui_auth import PhoneIdentifier, ThirdPartyIdentifier
from weft.storage.database import WriteTransaction


class NewAccount(NamedTuple):
    user_id: str
    is_guest: bool
    now_ms: int
    #: The name that whoever made the account gave it, if any.
    display_name: str | None


class Deactivation(NamedTuple):
    user_id: str
    #: Whether everything that is not an event has to go as well: account data, profile …
    erase: bool


class ProvenAddress(NamedTuple):
    """An address that whoever registers has shown to be theirs, canonically spelled."""

    medium: str
    address: str
    validated_ms: int


async def _nobody(identifier: ThirdPartyIdentifier | PhoneIdentifier) -> str | None:
    return None


async def _nothing_to_unbind(user_id: str, id_server: str | None) -> bool:
    return True


@dataclass(slots=True)
class Hooks:
    created: list[Callable[[WriteTransaction, NewAccount], None]] = field(default_factory=list)
    deactivated: list[Callable[[WriteTransaction, Deactivation], None]] = field(default_factory=list)
    #: Called with the id of a user whose account had ended and begins again.
    reactivated: list[Callable[[WriteTransaction, str], None]] = field(default_factory=list)
    #: Called with the user's id in the transaction that sets another password.
    password_changed: list[Callable[[WriteTransaction, str], None]] = field(default_factory=list)
    #: Awaited in order with the user's id; bears being called again.
    after_deactivation: list[Callable[[str], Awaitable[None]]] = field(default_factory=list)
    #: In the transaction that makes an account, or makes a guest's a full one. May raise `MatrixError`.
    proven: list[Callable[[WriteTransaction, str, Sequence[ProvenAddress]], None]] = field(default_factory=list)
    #: The stages of authentication by which somebody who has lost the password shows who they are.
    recovery: list[str] = field(default_factory=list)
    #: Whose an address is that somebody gives as their name; None for nobody's.
    owner_of: Callable[[ThirdPartyIdentifier | PhoneIdentifier], Awaitable[str | None]] = _nobody
    #: Has the addresses of a user who is leaving taken from identity servers: the one that is named, or those that
    #: were told. False if one of them did not do it.
    unbind: Callable[[str, str | None], Awaitable[bool]] = _nothing_to_unbind
