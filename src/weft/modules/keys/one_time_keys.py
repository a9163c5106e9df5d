"""One-time keys, by which a device is first written to: each is given away once. Fallback keys serve when none is left.

https://spec.matrix.org/v1.19/client-server-api/#one-time-and-fallback-keys
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import orjson

from weft.http.call import Requester
from weft.modules.keys import one_time_store as store
from weft.modules.keys.one_time_store import KIND, Stock, Wanted
from weft.modules.keys.restore_guard import RestoreGuard
from weft.rooms.engine import Engine
from weft.storage.derived import Derived
from weft.storage.positions import Entry

#: The algorithm that every client uses; it is counted also where there is none.
SIGNED_CURVE25519: Final = "signed_curve25519"
_BYTES: Final = 600

#: Keys (JSON) by `<algorithm>:<key_id>`, by device, by user.
Given = dict[str, dict[str, dict[str, Any]]]


class OneTimeKeys:
    """`guard_file`: where is written down that keys were given away; see `restore_guard`."""

    def __init__(self, engine: Engine, guard_file: Path | None) -> None:
        self._database = engine.database
        self.guard = RestoreGuard(engine, guard_file)
        #: What each `/sync` of a device tells, at hand for those that ask again and again.
        self._told: Derived[tuple[str, str], dict[str, bytes]] = Derived(
            engine.budget.cache("one-time key counts", 0.01, lambda _: _BYTES), self._tell
        )

    async def claim(self, wanted: Sequence[Wanted]) -> Given:
        """Gives away a key of each that is wanted of our users' devices."""
        given: Given = {}
        if not wanted:
            return given
        claimed = await self._database.write(store.claim, list(dict.fromkeys(wanted)))
        self.guard.note()
        for one, key_id, key in claimed:
            of_device = given.setdefault(one.user_id, {}).setdefault(one.device_id, {})
            of_device[f"{one.algorithm}:{key_id}"] = orjson.loads(key)
        return given

    async def stock(self, user_id: str, device_id: str) -> Stock:
        """What a device has here."""
        return await self._database.get(store.stock, user_id, device_id)

    async def told(self, requester: Requester) -> Mapping[str, bytes]:
        """What every answer of `/sync` tells a device of its own keys, as members of the answer."""
        if requester.device_id is None:
            return {}
        key = (requester.user_id, requester.device_id)
        return self._told.now(key) or await self._told.get(key)

    async def _tell(self, key: tuple[str, str]) -> dict[str, bytes]:
        counts, unused_fallback = await self.stock(*key)
        return {
            "device_one_time_keys_count": orjson.dumps(with_zero(counts)),
            "device_unused_fallback_key_types": orjson.dumps(unused_fallback),
        }

    def apply(self, entries: Sequence[Entry]) -> None:
        """Follows the log."""
        for entry in entries:
            if entry.kind == KIND and entry.user_id is not None and entry.key is not None:
                self._told.drop((entry.user_id, entry.key))


def with_zero(counts: Mapping[str, int]) -> dict[str, int]:
    """The counts as clients expect them: with that of the usual algorithm in any case."""
    return {SIGNED_CURVE25519: 0, **counts}
