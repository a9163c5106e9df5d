"""What is known of access tokens without asking the database.

Tokens are remembered by their hash. An index by user lets everything of a user be forgotten at once; what it holds of
tokens that went by themselves is swept out when it has grown to twice the cache.
"""

from __future__ import annotations

import sys
from typing import Final, NamedTuple

from weft.http.call import Requester
from weft.storage.cache import Budget

#: Of the memory budget: a few thousand tokens for every 100 megabytes.
_SHARE: Final = 0.02
_SLACK: Final = 1_000


class Known(NamedTuple):
    """`expires_ms`: None for a token that lasts."""

    requester: Requester
    expires_ms: int | None


class TokenCache:
    def __init__(self, budget: Budget) -> None:
        self._by_hash = budget.cache("access tokens", _SHARE, _size)
        self._by_user: dict[str, set[bytes]] = {}
        #: Counts what was forgotten; who looked something up while it moved may not remember what was found.
        self.generation = 0

    def get(self, hash_: bytes) -> Known | None:
        return self._by_hash.get(hash_)

    def put(self, hash_: bytes, known: Known) -> None:
        self._by_hash.put(hash_, known)
        self._by_user.setdefault(known.requester.user_id, set()).add(hash_)
        if len(self._by_user) > 2 * len(self._by_hash) + _SLACK:
            self._sweep()

    def forget_user(self, user_id: str) -> None:
        self.generation += 1
        for hash_ in self._by_user.pop(user_id, ()):
            self._by_hash.drop(hash_)

    def _sweep(self) -> None:
        for user_id, hashes in list(self._by_user.items()):
            hashes.intersection_update([each for each in hashes if self._by_hash.peek(each) is not None])
            if not hashes:
                del self._by_user[user_id]


def _size(known: Known) -> int:
    requester = known.requester
    return 600 + sys.getsizeof(requester.user_id) + sys.getsizeof(requester.device_id)
