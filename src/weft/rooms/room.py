"""A room that is in use, in memory: its front, its current state, who is in it, its newest events.

Two views are kept apart. The *front* is what the next event builds on: it moves as soon as an event is made,
before that event is on disk, so that senders don't wait for each other's commits. Everything else is what is
committed, and all that anybody is shown.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable
from typing import Any

from weft.graph.snapshot import Snapshot
from weft.protocol.event import StateKey
from weft.protocol.identifiers import domain_of
from weft.protocol.room_versions import RoomVersion
from weft.storage.events import StoredEvent
from weft.storage.positions import Vector

#: How many of a room's newest events are kept in memory at most.
TIMELINE = 100


class Room:
    """One room. Values here change only through `extend` and `commit`, on the event loop."""

    __slots__ = (
        "commits",
        "counts",
        "current",
        "cut",
        "extremities",
        "front",
        "front_snapshot",
        "id",
        "is_deep",
        "joined_local",
        "memberships",
        "newest_position",
        "number",
        "passed_over",
        "pending",
        "servers",
        "snapshots",
        "spans",
        "stale",
        "state_bytes",
        "timeline",
        "timeline_whole",
        "version",
    )

    def __init__(
        self,
        *,
        number: int,
        room_id: str,
        version: RoomVersion,
        snapshot: Snapshot,
        extremities: Iterable[StoredEvent],
        memberships: dict[str, str],
        timeline: Iterable[StoredEvent],
        is_local: Iterable[str],
        cut: Vector,
    ) -> None:
        self.number = number
        self.id = room_id
        self.version = version
        #: The part of the log that was read into this object; later entries are applied to it.
        self.cut = cut
        #: The committed state, and the committed ends of the graph.
        self.current = snapshot
        self.extremities: dict[str, StoredEvent] = {e.event.event_id: e for e in extremities}
        #: What the next event builds on.
        self.front: tuple[StoredEvent, ...] = tuple(self.extremities.values())
        self.front_snapshot = snapshot
        #: Events that are made and not yet committed, oldest first.
        self.pending: deque[StoredEvent] = deque()
        #: Current membership of everybody who ever was a member, by user id.
        self.memberships = memberships
        #: How many have each membership.
        self.counts = Counter(memberships.values())
        #: How many of each server's users are joined.
        self.servers = Counter(domain_of(user_id) for user_id, m in memberships.items() if m == "join")
        #: The users of this server who are joined.
        self.joined_local: set[str] = set(is_local)
        #: The newest accepted events in graph order.
        self.timeline: deque[StoredEvent] = deque(timeline, maxlen=TIMELINE)
        #: Whether `timeline` goes back to the create event.
        self.timeline_whole = bool(self.timeline) and self.timeline[0].event.type == "m.room.create"
        #: Whether there is nothing older to be read; a room that was joined may have no beginning here.
        self.is_deep = self.timeline_whole
        #: How many events came that belong further back than `timeline` goes.
        self.passed_over = 0
        self.newest_position = max((e.position for e in self.timeline), default=0)
        #: How many events were committed since this object was made.
        self.commits = 0
        #: Snapshots of recent events by id, for those who ask for a state that has just been left.
        self.snapshots: dict[int, Snapshot] = {snapshot.id: snapshot}
        #: What has been found out of users' memberships over time (`weft.modules.events.sight`), and of states' bytes.
        self.spans: dict[str, tuple[Any, ...]] = {}
        self.state_bytes: dict[object, bytes] = {}
        #: Set when this object no longer is the truth: whoever holds it gets the room anew.
        self.stale = False

    # -- the front

    def extend(self, stored: StoredEvent, snapshot: Snapshot) -> None:
        """Moves the front on to an event that was just made."""
        self.front = (stored,)
        self.front_snapshot = snapshot
        self.pending.append(stored)
        self.snapshots[snapshot.id] = snapshot

    # -- what is committed

    def commit(self, stored: StoredEvent, is_local: bool) -> bool:
        """Takes a committed event in. False where it forks the room's state, so that the room has to be read anew.

        `is_local` says whether a member event is about a user of this server.
        """
        event = stored.event
        is_own = bool(self.pending) and self.pending[0] is stored
        others = {end: at for end, at in self.extremities.items() if end not in event.prev_events}
        if others or len(self.extremities) != len(event.prev_events):
            # Beside the others, or on top of what had been built on before: that is told from here only if all that
            # meet have one state.
            if not self._has_state_of(stored, others.values()):
                return False
            snapshot = self.current
        else:
            if self.pending and not is_own:
                return False
            after = self._snapshot_after(stored)
            if after is None:
                return False
            snapshot = after
        if is_own:
            self.pending.popleft()
        self.extremities = {**others, event.event_id: stored}
        if snapshot is not self.current:
            self.current = snapshot
            if event.type == "m.room.member" and event.state_key is not None:
                self._set_membership(event.state_key, event.membership or "leave", is_local)
        if not self.pending:
            self.front, self.front_snapshot = tuple(self.extremities.values()), snapshot
        elif not is_own:
            self.front = (*self.front, stored)
        self._tell(stored)
        self.commits += 1
        self.newest_position = max(self.newest_position, stored.position)
        if len(self.snapshots) > TIMELINE * 2:
            self._forget_snapshots()
        return True

    def _tell(self, stored: StoredEvent) -> None:
        """Puts an event into the timeline, at its place in graph order."""
        timeline = self.timeline
        if not timeline and stored.event.type == "m.room.create":
            self.timeline_whole = self.is_deep = True
        index = len(timeline)
        while index and timeline[index - 1].order > stored.order:
            index -= 1
        if timeline and not index and not self.is_deep:
            # There may be others between this one and those in memory.
            self.passed_over += 1
            return
        if len(timeline) == TIMELINE:
            self.timeline_whole = self.is_deep = False
            if not index:
                return
            timeline.popleft()
            index -= 1
        timeline.insert(index, stored)

    def _has_state_of(self, stored: StoredEvent, others: Iterable[StoredEvent]) -> bool:
        """Whether an event and the other ends of the graph, committed or not, all have the room's current state."""
        state = self.current.id
        return stored.snapshot == state == self.front_snapshot.id and all(other.snapshot == state for other in others)

    def _snapshot_after(self, stored: StoredEvent) -> Snapshot | None:
        if stored.snapshot is None:
            return None
        known = self.snapshots.get(stored.snapshot)
        if known is None and stored.event.state_key is not None:
            # Another process made it, on top of the same ends of the graph: so on top of the state that this one has.
            known = self.current.child(stored.snapshot, {stored.event.key: stored.event.event_id})
            self.snapshots[known.id] = known
        return known

    def _set_membership(self, user_id: str, membership: str, is_local: bool) -> None:
        self.spans.pop(user_id, None)
        before = self.memberships.get(user_id)
        if before is not None:
            self.counts[before] -= 1
        self.counts[membership] += 1
        if (before == "join") != (membership == "join"):
            self._count_server(domain_of(user_id), 1 if membership == "join" else -1)
        self.memberships[user_id] = membership
        if membership == "join" and is_local:
            self.joined_local.add(user_id)
        else:
            self.joined_local.discard(user_id)

    def _count_server(self, server_name: str, change: int) -> None:
        self.servers[server_name] += change
        if not self.servers[server_name]:
            del self.servers[server_name]

    def _forget_snapshots(self) -> None:
        kept = {stored.snapshot for stored in (*self.timeline, *self.pending)}
        kept |= {self.current.id, self.front_snapshot.id}
        self.snapshots = {id_: snapshot for id_, snapshot in self.snapshots.items() if id_ in kept}

    def replace(self, redacted: StoredEvent) -> None:
        """Puts what is left of a redacted event in the place of the event."""
        event_id = redacted.event.event_id
        self.state_bytes.clear()
        for index in range(len(self.timeline) - 1, -1, -1):
            if self.timeline[index].event.event_id == event_id:
                self.timeline[index] = redacted
                break
        if event_id in self.extremities:
            self.extremities[event_id] = redacted
        self.front = tuple(redacted if e.event.event_id == event_id else e for e in self.front)

    def deepen(self, older: Iterable[StoredEvent], *, is_all: bool) -> None:
        """Adds what comes before the events in memory, newest first; `is_all` says that there is nothing older."""
        for stored in older:
            if len(self.timeline) == TIMELINE:
                return
            self.timeline.appendleft(stored)
            self.newest_position = max(self.newest_position, stored.position)
        self.timeline_whole = self.timeline[0].event.type == "m.room.create"
        self.is_deep = is_all or self.timeline_whole

    # -- looking

    def membership(self, user_id: str) -> str | None:
        """The user's current membership; None for one who never had any."""
        return self.memberships.get(user_id)

    def state_id(self, event_type: str, state_key: str = "") -> str | None:
        """The id of the current state event in a place."""
        return self.current.state.get((event_type, state_key))

    def members(self, *memberships: str) -> list[str]:
        """The user ids with one of the memberships."""
        return [user_id for user_id, membership in self.memberships.items() if membership in memberships]

    @property
    def state(self) -> Iterable[tuple[StateKey, str]]:
        return self.current.state.items()
