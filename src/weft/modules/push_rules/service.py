"""Push rules of users: stored as what each changed of the defaults, compiled once, kept in memory.

https://spec.matrix.org/v1.19/client-server-api/#push-rules
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import orjson

from weft.modules.push_rules import store
from weft.protocol.errors import NotFound
from weft.protocol.push_rules import Kind, Ruleset, UserRules, add_rule, dump, rule_to_json, to_json
from weft.rooms.engine import Engine
from weft.storage.database import WriteTransaction
from weft.storage.derived import Derived
from weft.storage.positions import Entry

#: A compiled rule takes many times the bytes that it is stored in.
_PER_BYTE = 20
_OVERHEAD = 1_000

Edit = Callable[[UserRules], UserRules]


class Held:
    """The rules of one user, as they are used; `kinds` are those that are shown."""

    __slots__ = ("_json", "_kinds", "rules", "ruleset")

    def __init__(self, rules: UserRules, kinds: Sequence[Kind]) -> None:
        self.rules = rules
        self._kinds = kinds
        self.ruleset = Ruleset.of(rules)
        self._json: bytes | None = None

    def json(self, user_id: str) -> bytes:
        """`{"global": …}`, defaults included."""
        if self._json is None:
            self._json = orjson.dumps({"global": to_json(self.rules, user_id, self._kinds)})
        return self._json


class PushRules:
    """`kinds` are those of this server."""

    def __init__(self, engine: Engine, kinds: Sequence[Kind]) -> None:
        self._engine = engine
        self.kinds = kinds
        self._users: Derived[str, Held] = Derived(engine.budget.cache("push_rules", 0.03, _size), self._load)

    async def ruleset_of(self, user_id: str) -> Ruleset:
        """The user's rules, compiled; one and the same object for all who changed nothing."""
        return (await self._users.get(user_id)).ruleset

    def ruleset_now(self, user_id: str) -> Ruleset | None:
        """As `ruleset_of`, where it is at hand."""
        held = self._users.now(user_id)
        return held.ruleset if held is not None else None

    async def rules_of(self, user_id: str) -> UserRules:
        """What the user set."""
        return (await self._users.get(user_id)).rules

    async def json(self, user_id: str) -> bytes:
        """All rules as clients see them: `{"global": …}`."""
        return (await self._users.get(user_id)).json(user_id)

    async def change(self, user_id: str, edit: Edit) -> None:
        """Replaces the user's rules by what `edit` (from `weft.protocol.push_rules`) makes of them."""
        await self._engine.database.write(store.change, user_id, edit)

    async def on_room_upgraded(self, user_id: str, old_room_id: str, new_room_id: str) -> None:
        """Gives the room that follows another one the user's rule for its predecessor, if there is one."""
        await self.change(user_id, partial(_carried_over, user_id=user_id, old=old_room_id, new=new_room_id))

    def removed(self, tx: WriteTransaction, user_id: str) -> None:
        """Forgets the user's rules, in the transaction in which the account ends."""
        store.remove(tx, user_id)

    def apply(self, entries: Sequence[Entry]) -> None:
        """Forgets what the log says has changed."""
        for entry in entries:
            if entry.kind == store.KIND and entry.user_id is not None:
                self._users.drop(entry.user_id)

    async def _load(self, user_id: str) -> Held:
        return Held(await self._engine.database.get(store.of_user, user_id), self.kinds)


def _size(held: Held) -> int:
    # The JSON with the defaults is some 9 kB, shown to those who sync from the beginning.
    return _OVERHEAD + 10_000 + _PER_BYTE * len(dump(held.rules))


def _carried_over(rules: UserRules, *, user_id: str, old: str, new: str) -> UserRules:
    kind: Kind = "room"
    try:
        rule = rule_to_json(rules, user_id, kind, old)
    except NotFound:
        return rules
    return add_rule(rules, kind, new, actions=rule["actions"])
