"""Who is there.

A user is connected while they sync, active when they do something that the log tells of. What follows from that (being
online, idle, gone) is worked out now and then by one process, which writes just what has changed. A sync by itself
writes nothing.

https://spec.matrix.org/v1.19/client-server-api/#presence
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from weft.http.call import Requester
from weft.modules.events.sharing import Sharing
from weft.modules.presence import store
from weft.modules.presence.store import FLUSH, KIND, OFFLINE, ONLINE, UNAVAILABLE, State
from weft.rooms.engine import Engine
from weft.storage.events import StoredEvent
from weft.storage.positions import Entry

#: How long after its last sync a client counts as connected.
_GRACE_MS = 30_000
#: How long somebody counts as connected who says so without syncing.
_SAID_SO_MS = 60_000
#: How long another server's word on a user counts.
_BELIEVED_MS = 35 * 60_000
_IDLE_MS = 5 * 60_000
_CURRENTLY_MS = 60_000
#: How exactly the other processes know until when somebody is connected.
_KEEP_EVERY_MS = 20_000
#: How often those are told who wait in such numbers that each single change must not wake them.
_FLUSH_MS = 10_000
_MAX_DEVICES = 20
_MAX_REMEMBERED = 50_000


@dataclass(slots=True)
class Connection:
    """What this process knows of a user's clients."""

    until_ms: int = 0
    #: What was written down of `until_ms`, for other processes.
    kept_ms: int = 0
    #: What each device said in its last sync.
    said: dict[str, str] = field(default_factory=dict)


class Presence:
    def __init__(self, engine: Engine, sharing: Sharing, *, enabled: bool) -> None:
        self._engine = engine
        self.sharing = sharing
        self.enabled = enabled
        self._started_ms = engine.outside.now_ms()
        #: Everybody who is not offline.
        self._here: dict[str, State] = {}
        self._is_read = False
        #: Whose presence changed in the log and has to be read.
        self._changed: set[str] = set()
        self._connections: dict[str, Connection] = {}
        #: When users did something, in milliseconds since the epoch, where the log says so.
        self._active: dict[str, int] = {}
        #: Who has entered a room of late: those in it may not know of their presence.
        self._entered: set[str] = set()
        self._to_flush = False
        self._flushed_ms = 0

    # -- what users say

    async def seen(self, requester: Requester, presence: str, wait_ms: int = 0) -> None:
        """A client syncs, and may go on waiting for `wait_ms`. `presence` is what it says of its user."""
        if not self.enabled or presence == OFFLINE or requester.appservice_id is not None:
            return
        user_id, device = requester.user_id, requester.device_id or ""
        now_ms = self._engine.outside.now_ms()
        connection = self._connection(user_id, now_ms + wait_ms + _GRACE_MS)
        before = connection.said.get(device)
        if before != presence:
            connection.said[device] = presence
            while len(connection.said) > _MAX_DEVICES:
                del connection.said[next(iter(connection.said))]
        state = (await self.here()).get(user_id)
        if state is None or (before is not None and before != presence and self._counts(connection, presence)):
            if state is None or state.state != presence:
                status = state.status_msg if state is not None else await self._status_of(user_id)
                await self._put(State(user_id, presence, status, now_ms, presence == ONLINE))
        elif self._engine.database.shared and connection.until_ms > connection.kept_ms:
            connection.kept_ms = connection.until_ms + _KEEP_EVERY_MS
            await self._engine.database.write(store.keep, user_id, connection.kept_ms)

    async def set(self, user_id: str, presence: str, status_msg: str | None) -> None:
        """A user says so themselves."""
        if not self.enabled:
            return
        now_ms = self._engine.outside.now_ms()
        self._connection(user_id, now_ms + _SAID_SO_MS)
        await self._put(State(user_id, presence, status_msg, now_ms, presence == ONLINE))

    async def told(self, state: State) -> None:
        """Another server says so of a user of its own; it is believed for a while."""
        if not self.enabled:
            return
        self._connection(state.user_id, self._engine.outside.now_ms() + _BELIEVED_MS)
        known = (await self.here()).get(state.user_id)
        if known is None and state.state == OFFLINE:
            return
        is_news = known is None or (known.state, known.status_msg, known.currently_active) != (
            state.state,
            state.status_msg,
            state.currently_active,
        )
        if is_news:
            await self._put(state)

    async def of(self, user_id: str) -> State | None:
        """Somebody's presence, as it is written down; None for one who never had any."""
        found = await self._engine.database.get(store.find, [user_id])
        return found[0] if found else None

    def last_active_ms(self, state: State) -> int:
        return max(state.last_active_ms, self._active.get(state.user_id, 0))

    async def here(self) -> dict[str, State]:
        """Everybody who is not offline. Not to be changed."""
        if not self._is_read:
            self._changed.clear()
            for state in await self._engine.database.get(store.here):
                self._take(state)
            self._is_read = True
        while self._changed:
            changed = list(self._changed)
            found = {state.user_id: state for state in await self._engine.database.get(store.find, changed)}
            for user_id in changed:
                self._changed.discard(user_id)
                if user_id in found:
                    self._take(found[user_id])
        return self._here

    async def _put(self, state: State) -> None:
        # Whose rooms are at hand when the log tells of the change, wakes just those who share them.
        await self.sharing.joined(state.user_id)
        self._take(await self._engine.database.write(store.put, state))
        self._changed.discard(state.user_id)

    async def _status_of(self, user_id: str) -> str | None:
        state = await self.of(user_id)
        return state.status_msg if state is not None else None

    def _connection(self, user_id: str, until_ms: int) -> Connection:
        connection = self._connections.get(user_id)
        if connection is None:
            if len(self._connections) >= _MAX_REMEMBERED:
                self._forget_the_gone()
            connection = self._connections[user_id] = Connection()
        connection.until_ms = max(connection.until_ms, until_ms)
        return connection

    def _counts(self, connection: Connection, presence: str) -> bool:
        """Whether what a device says is the user's presence: one that is idle says nothing of the others."""
        return presence == ONLINE or ONLINE not in connection.said.values()

    # -- what follows

    async def tick(self) -> None:
        """Writes down who has become idle, active or offline, and lets those know who wait in numbers."""
        if not self.enabled:
            return
        here = await self.here()
        now_ms = self._engine.outside.now_ms()
        until = await self._connected_until()
        changes = [after for state in here.values() if (after := self._after(state, now_ms, until)) is not None]
        changing = {change.user_id for change in changes}
        changes += [here[user_id] for user_id in self._entered - changing if user_id in here]
        self._entered.clear()
        flush = self._to_flush and now_ms - self._flushed_ms >= _FLUSH_MS
        if changes or flush:
            for change in changes:
                await self.sharing.joined(change.user_id)
            await self._engine.database.write(store.move, changes, flush=flush)
        if flush:
            self._flushed_ms = now_ms
        self._forget_the_gone()

    def _after(self, state: State, now_ms: int, until: dict[str, int]) -> State | None:
        """What somebody's presence has become; None where it is the same."""
        last_active = self.last_active_ms(state)
        if until.get(state.user_id, 0) < now_ms and self._started_ms + 2 * _GRACE_MS < now_ms:
            return state._replace(state=OFFLINE, last_active_ms=last_active, currently_active=False)
        if not self._engine.is_local(state.user_id):
            return None
        idle = now_ms - last_active
        if state.state == UNAVAILABLE:
            if last_active == state.last_active_ms or idle > _CURRENTLY_MS:
                return None
            return state._replace(state=ONLINE, last_active_ms=last_active, currently_active=True)
        if idle > _IDLE_MS:
            return state._replace(state=UNAVAILABLE, last_active_ms=last_active, currently_active=False)
        if (idle <= _CURRENTLY_MS) != state.currently_active:
            return state._replace(last_active_ms=last_active, currently_active=not state.currently_active)
        return None

    async def _connected_until(self) -> dict[str, int]:
        """Until when users are connected, to this process or to another."""
        until = {user_id: connection.until_ms for user_id, connection in self._connections.items()}
        if self._engine.database.shared:
            for user_id, kept in (await self._engine.database.read(store.connected_until)).items():
                until[user_id] = max(kept, until.get(user_id, 0))
        return until

    def _forget_the_gone(self) -> None:
        now_ms = self._engine.outside.now_ms()
        gone = [user_id for user_id, connection in self._connections.items() if connection.until_ms < now_ms]
        for user_id in gone:
            del self._connections[user_id]
        for user_id in [user_id for user_id in self._active if user_id not in self._here]:
            del self._active[user_id]

    # -- keeping up

    def apply(self, entries: Sequence[Entry]) -> None:
        """Follows the log."""
        if not self.enabled:
            return
        for entry in entries:
            if entry.kind == "event" and isinstance(entry.payload, StoredEvent):
                self._event(entry.payload)
            elif entry.kind in ("typing", "receipt") and entry.user_id is not None:
                self._has_acted(entry.user_id)
            elif entry.kind == KIND and entry.user_id is not None:
                self._changed.add(entry.user_id)
                self._to_flush = True
            elif entry.kind == FLUSH:
                self._to_flush = False

    def _event(self, stored: StoredEvent) -> None:
        event = stored.event
        self._has_acted(event.sender)
        if event.type == "m.room.member" and event.membership == "join" and event.state_key is not None:
            if len(self._entered) >= _MAX_REMEMBERED:
                self._entered.clear()
            self._entered.add(event.state_key)

    def _has_acted(self, user_id: str) -> None:
        if len(self._active) >= _MAX_REMEMBERED:
            self._active.clear()
        self._active[user_id] = self._engine.outside.now_ms()

    def _take(self, state: State) -> None:
        if state.state == OFFLINE:
            self._here.pop(state.user_id, None)
        else:
            self._here[state.user_id] = state


def visible(states: Iterable[State], joined: frozenset[str], sharing: Sharing, user_id: str) -> list[State] | None:
    """Those who share a room with a user, who is in the rooms `joined`; None where somebody's are not at hand."""
    found: list[State] = []
    for state in states:
        theirs = sharing.joined_now(state.user_id)
        if theirs is None:
            return None
        if state.user_id == user_id or not joined.isdisjoint(theirs):
            found.append(state)
    return found
