"""What other modules do when an account begins or ends.

What happens in the transaction is part of it: rows that an account always has, rows that go with it. What takes events
in rooms happens after the commit, by a durable follower: it is done again if the process died in the middle.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import NamedTuple

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
