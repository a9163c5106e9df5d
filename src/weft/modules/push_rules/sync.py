"""`m.push_rules` in `/sync`. https://spec.matrix.org/v1.19/client-server-api/#push-rules-events"""

from __future__ import annotations

from collections.abc import Iterable

from weft.modules.module import Sync
from weft.modules.push_rules import store
from weft.modules.push_rules.service import PushRules
from weft.rooms.engine import Engine
from weft.storage.positions import Entry

EVENT_TYPE = "m.push_rules"


class PushRulesSync:
    """All rules whenever one changed, and where there is no `since`."""

    kinds = frozenset({store.KIND})

    def __init__(self, engine: Engine, push_rules: PushRules) -> None:
        self._engine = engine
        self._push_rules = push_rules

    def wakes(self, entry: Entry) -> Iterable[str] | None:
        return None

    async def contribute(self, sync: Sync) -> None:
        if sync.wants("account_data", EVENT_TYPE) and await self._has_changed(sync):
            content = await self._push_rules.json(sync.user_id)
            sync.account_data.append(b'{"type":"m.push_rules","content":' + content + b"}")

    async def _has_changed(self, sync: Sync) -> bool:
        if sync.since is None:
            return True
        entries = sync.entries(self.kinds)
        if entries is None:
            return await self._engine.database.get(store.changed_since, sync.user_id, sync.since)
        return bool(entries)
