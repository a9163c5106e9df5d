"""`m.presence` in `/sync`, of those who share a room, and of the user themselves.

A change wakes those who wait where they are few. Where they are many it waits for the next occasion, or for the moment
(every ten seconds) when all of them are woken for all that has changed: otherwise a thousand people in one room would
wake each other all the time.

https://spec.matrix.org/v1.19/client-server-api/#presence
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

import orjson

from weft.modules.events.sharing import Sharers
from weft.modules.module import Sync
from weft.modules.presence import store
from weft.modules.presence.service import Presence, visible
from weft.modules.presence.store import FLUSH, KIND, ONLINE, State
from weft.rooms.engine import Engine
from weft.storage.positions import Entry

EVENT_TYPE = "m.presence"
#: How many may be woken for one change.
_FEW = 50


class PresenceSync:
    kinds = frozenset({KIND, FLUSH})

    def __init__(self, engine: Engine, presence: Presence) -> None:
        self._engine = engine
        self._presence = presence
        #: Whose changes some have not been woken for.
        self._left: set[str] = set()

    def wakes(self, entry: Entry) -> Iterable[str] | None:
        if entry.kind == FLUSH or entry.user_id is None:
            return _Flushed(self)
        return _FewSharers(self, entry.user_id)

    def few(self, user_id: str) -> Iterable[str]:
        """Who is to be woken at once for a change."""
        sharers = list(islice(self.sharers(user_id), _FEW + 1))
        if len(sharers) > _FEW:
            self._left.add(user_id)
            return ()
        return sharers

    def sharers(self, user_id: str) -> Sharers:
        return Sharers(self._presence.sharing, self._engine.log, user_id)

    def flushed(self) -> list[str]:
        """Who has not been woken for something."""
        left, self._left = self._left, set()
        return self._presence.sharing.in_any_room_of(left, self._engine.log.waiting)

    async def contribute(self, sync: Sync) -> None:
        if not self._presence.enabled:
            return
        here = await self._presence.here()
        if sync.since is None:
            await self._tell(sync, list(here.values()))
            return
        changed = await self._changed(sync)
        if sync.newly_joined:
            known = {state.user_id for state in changed}
            changed += [
                state
                for state in list(here.values())
                if state.user_id not in known
                and not sync.newly_joined.isdisjoint(await self._presence.sharing.joined(state.user_id))
            ]
        await self._tell(sync, changed)

    async def _changed(self, sync: Sync) -> list[State]:
        if sync.since is None:
            return []
        entries = sync.entries([KIND])
        if entries is None:
            return await self._engine.database.read(store.changed_since, sync.since)
        changed = {entry.user_id for entry in entries if entry.user_id is not None}
        here = await self._presence.here()
        gone = changed - here.keys()
        states = [here[user_id] for user_id in changed if user_id in here]
        if gone:
            states += await self._engine.database.get(store.find, gone)
        return states

    async def _tell(self, sync: Sync, states: list[State]) -> None:
        sharing = self._presence.sharing
        joined = await sharing.joined(sync.user_id)
        seen = visible(states, joined, sharing, sync.user_id)
        if seen is None:
            seen = [state for state in states if await sharing.share(sync.user_id, state.user_id)]
        now_ms = self._engine.outside.now_ms()
        for state in seen:
            if sync.wants("presence", EVENT_TYPE, state.user_id):
                last_active = self._presence.last_active_ms(state)
                sync.presence.append(event_of(state, max(0, now_ms - last_active)))


class _FewSharers:
    """Those whom a change concerns; gone through, those who are to be woken for it at once."""

    def __init__(self, part: PresenceSync, user_id: str) -> None:
        self._part = part
        self._user_id = user_id

    def __contains__(self, user_id: object) -> bool:
        return user_id in self._part.sharers(self._user_id)

    def __iter__(self) -> Iterator[str]:
        return iter(self._part.few(self._user_id))


class _Flushed:
    """Concerns nobody by itself; gone through, those who were not woken for what has changed."""

    def __init__(self, part: PresenceSync) -> None:
        self._part = part

    def __contains__(self, user_id: object) -> bool:
        return False

    def __iter__(self) -> Iterator[str]:
        return iter(self._part.flushed())


def event_of(state: State, last_active_ago: int) -> bytes:
    """Somebody's presence as the event that clients get."""
    content: dict[str, object] = {"presence": state.state}
    if state.last_active_ms:
        content["last_active_ago"] = last_active_ago
    if state.state == ONLINE:
        content["currently_active"] = state.currently_active
    if state.status_msg is not None:
        content["status_msg"] = state.status_msg
    return orjson.dumps({"type": EVENT_TYPE, "sender": state.user_id, "content": content})
