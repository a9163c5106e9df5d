"""Events on disk, each once, in the bytes that travel between servers."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from weft.graph.outcome import Outcome
from weft.protocol.client_event import client_json, dumps
from weft.protocol.event import Event, StateKey, decode
from weft.protocol.redaction import redact
from weft.protocol.room_versions import ROOM_VERSIONS, RoomVersion
from weft.protocol.stickiness import duration_of
from weft.storage import sticky
from weft.storage.database import Row, Transaction, WriteTransaction
from weft.storage.positions import END, HISTORY_END, Vector, beyond, within

#: The `key` of the log entry of an event that is not ours and that we have to pass on to the room's other servers.
RELAYED = "relayed"
#: The same, of an event of ours that another server passes on.
HANDED_OVER = "handed over"
_IDS_AT_ONCE = 1_000
#: Up to this many new events of a room are read all, to be put in graph order here.
_FEW_ARRIVALS = 200


class StoredEvent:
    """An event with what the store knows of it. Shared and immutable, but for what is set at the commit."""

    #: The client form without `room_id`, `unsigned` and the closing brace.
    client: bytes

    __slots__ = (
        "client",
        "event",
        "outcome",
        "passing",
        "position",
        "redacted_by",
        "replaced",
        "replaces",
        "room",
        "snapshot",
        "sticky_until",
        "transactions",
    )

    def __init__(
        self,
        event: Event,
        *,
        room: int,
        snapshot: int | None,
        position: int = 0,
        outcome: Outcome = Outcome.ACCEPTED,
        redacted_by: str | None = None,
        transactions: dict[str, str] | None = None,
        replaces: StoredEvent | None = None,
        passing: str | None = None,
        sticky_until: int | None = None,
    ) -> None:
        self.event = event
        self.room = room
        #: The room's state after the event.
        self.snapshot = snapshot
        self.position = position
        self.outcome = outcome
        self.redacted_by = redacted_by
        #: Who passes it on to the room's servers, where that is not its sender's server: `RELAYED`, `HANDED_OVER`.
        self.passing = passing
        #: When it is sticky no more, if it is: known to who writes it.
        self.sticky_until = sticky_until
        #: The transaction id of the request that sent it, by its device; None: not looked up yet.
        self.transactions = transactions
        #: The state event in whose place it stepped, if any: its id, and what clients are told of it.
        self.replaces = replaces.event.event_id if replaces is not None else None
        self.replaced = _replaced(replaces) if replaces is not None else None

    if not TYPE_CHECKING:  # for the type checker it is simply there

        def __getattr__(self, name: str) -> Any:
            """Called for a slot that is empty: the client form, which is made when it is first asked for."""
            if name != "client":
                raise AttributeError(f"a stored event has no {name}")
            self.client = client_json(self.event)
            return self.client

    @property
    def is_plain(self) -> bool:
        """Whether `unsigned` has nothing that comes with the event itself."""
        return self.replaced is None and self.redacted_by is None and not self.transactions

    @property
    def order(self) -> tuple[int, int]:
        """The event's place in the room's history: graph order inside a cut."""
        return self.event.depth, self.position

    @property
    def is_placed(self) -> bool:
        """Whether it has a place in the graph, so that the state after it is known.

        What was only ever seen as part of a state has none, neither as an outlier nor where its auth events forbid it.
        """
        return self.outcome is not Outcome.OUTLIER and self.snapshot is not None

    @property
    def is_history(self) -> bool:
        """Whether it happened before this server heard of it, so that it is news to nobody."""
        return 0 < self.position <= HISTORY_END


def _replaced(previous: StoredEvent) -> bytes:
    """The members of `unsigned` that tell of the replaced state, without braces."""
    event = previous.event
    return dumps({"prev_content": event.content, "prev_sender": event.sender, "replaces_state": event.event_id})[1:-1]


# -- writing


_INSERT_EVENT = """
    INSERT INTO events (position, room, event_id, type, state_key, sender, depth, origin_server_ts,
                        snapshot, outcome, redacted_by, replaces, json)
    VALUES (:position, :room, :event_id, :type, :state_key, :sender, :depth, :origin_server_ts,
            :snapshot, :outcome, :redacted_by, (SELECT position FROM events WHERE event_id = :replaces), :json)"""


def insert(tx: WriteTransaction, stored: StoredEvent) -> int:
    """Writes an event into the graph and the log; returns its position.

    An event without a position gets the next of the log. One that has a position of history's keeps it: the log then
    tells that the past has it now. The caller has decided on the event; the snapshot after it is written apart.
    """
    event = stored.event
    accepted = stored.outcome is Outcome.ACCEPTED
    position = stored.position if stored.is_history else _append(tx, stored)
    tx.put(_INSERT_EVENT, **_row(stored, position))
    if event.state_key is not None and event.auth_events:
        tx.put(
            """INSERT INTO auth_children (parent, child)
               SELECT position, :child FROM events WHERE event_id IN :parents""",
            child=position,
            parents=list(event.auth_events),
        )
    if accepted:
        if stored.is_history:
            tx.append("history", room=stored.room, key=event.event_id, payload=stored)
        _insert_relation(tx, position, stored)
    _insert_sticky(tx, position, stored)
    return position


def _append(tx: WriteTransaction, stored: StoredEvent) -> int:
    # An invite to a room that this server is not in has no place in a graph, and is news to its user all the same.
    if stored.outcome is not Outcome.ACCEPTED and stored.passing != HANDED_OVER:
        return tx.append("hidden_event", room=stored.room, payload=stored)
    return tx.append("event", room=stored.room, key=stored.passing, payload=stored)


def _row(stored: StoredEvent, position: int) -> dict[str, Any]:
    event = stored.event
    return {
        "position": position,
        "room": stored.room,
        "event_id": event.event_id,
        "type": event.type,
        "state_key": event.state_key,
        "sender": event.sender,
        "depth": event.depth,
        "origin_server_ts": event.origin_server_ts,
        "snapshot": stored.snapshot,
        "outcome": int(stored.outcome),
        "redacted_by": stored.redacted_by,
        "replaces": stored.replaces,
        "json": event.wire,
    }


_INSERT_OUTLIER = """
    INSERT INTO events (position, room, event_id, type, state_key, sender, depth, origin_server_ts, outcome, json)
    VALUES (:position, :room, :event_id, :type, :state_key, :sender, :depth, :origin_server_ts, :outcome, :json)
    ON CONFLICT DO NOTHING"""
_OUTLIER_COLUMNS = (
    "position",
    "room",
    "event_id",
    "type",
    "state_key",
    "sender",
    "depth",
    "origin_server_ts",
    "outcome",
    "json",
)


def insert_outliers(tx: WriteTransaction, outliers: Sequence[StoredEvent], positions: Mapping[str, int]) -> None:
    """Writes events whose place in the graph is not known, with history's positions; those that are there stay.

    `positions` are those of all events that they name in their auth events.
    """
    rows = [_row(stored, stored.position) for stored in outliers]
    tx.many(_INSERT_OUTLIER, [{name: row[name] for name in _OUTLIER_COLUMNS} for row in rows])
    tx.many(
        "INSERT INTO auth_children (parent, child) VALUES (:parent, :child) ON CONFLICT DO NOTHING",
        [
            {"parent": positions[parent], "child": stored.position}
            for stored in outliers
            if stored.event.state_key is not None
            for parent in stored.event.auth_events
        ],
    )


def place(tx: WriteTransaction, stored: StoredEvent) -> None:
    """Gives an outlier its place in the graph: its outcome, and the state after it. Its position stays."""
    tx.put(
        """UPDATE events SET outcome = :outcome, snapshot = :snapshot,
                  replaces = (SELECT position FROM events WHERE event_id = :replaces)
           WHERE position = :position""",
        outcome=int(stored.outcome),
        snapshot=stored.snapshot,
        replaces=stored.replaces,
        position=stored.position,
    )
    if stored.outcome is Outcome.ACCEPTED:
        tx.append("history", room=stored.room, key=stored.event.event_id, payload=stored)
        _insert_relation(tx, stored.position, stored)
    _insert_sticky(tx, stored.position, stored)


def _insert_relation(tx: WriteTransaction, position: int, stored: StoredEvent) -> None:
    relates_to = stored.event.content.get("m.relates_to")
    if not isinstance(relates_to, dict):
        return
    target, rel_type, key = relates_to.get("event_id"), relates_to.get("rel_type"), relates_to.get("key")
    if not (isinstance(target, str) and isinstance(rel_type, str)):
        return
    tx.put(
        """INSERT INTO relations (position, room, target, rel_type, type, sender, key, depth)
           VALUES (:position, :room, :target, :rel_type, :type, :sender, :key, :depth)""",
        position=position,
        room=stored.room,
        target=target,
        rel_type=rel_type,
        type=stored.event.type,
        sender=stored.event.sender,
        key=key if isinstance(key, str) else None,
        depth=stored.event.depth,
    )


def _insert_sticky(tx: WriteTransaction, position: int, stored: StoredEvent) -> None:
    if stored.sticky_until is None or stored.outcome not in (Outcome.ACCEPTED, Outcome.SOFT_FAILED):
        return
    sticky.insert(
        tx,
        stored.room,
        stored.event.event_id,
        stored.event.sender,
        position,
        until_ms=stored.sticky_until,
        # What belongs to the past was not asked for whether its sender may say it now.
        hidden=stored.outcome is Outcome.SOFT_FAILED or stored.is_history,
    )


def apply_redaction(tx: WriteTransaction, target: StoredEvent, redaction_id: str) -> None:
    """Strips an event of what a redaction removes, for good. The first redaction that applies is kept."""
    if target.redacted_by is not None:
        return
    event = target.event
    redacted = Event.stored(redact(event.pdu, event.version), event.version, event.event_id)
    applied = tx.run(
        """UPDATE events SET json = :json, redacted_by = :redaction
           WHERE position = :position AND redacted_by IS NULL""",
        json=redacted.wire,
        redaction=redaction_id,
        position=target.position,
    )
    if not applied:
        return
    tx.put("DELETE FROM relations WHERE position = :position", position=target.position)
    if duration_of(event) is not None:
        sticky.remove(tx, event.event_id)
    # Readers in every process replace what they hold of the event.
    tx.append("redacted", room=target.room, key=event.event_id, payload=by_id(tx, event.event_id))


# -- reading

_COLUMNS = """e.position, e.room, e.event_id, e.snapshot, e.outcome, e.redacted_by, e.replaces, e.json, r.version,
              r.room_id, e.type, e.state_key, e.sender, e.depth, e.origin_server_ts"""
_FROM = "FROM events e JOIN rooms r ON r.room = e.room"


def by_id(tx: Transaction, event_id: str) -> StoredEvent | None:
    row = tx.one(f"SELECT {_COLUMNS} {_FROM} WHERE e.event_id = :event_id", event_id=event_id)
    return _stored_all(tx, [row])[0] if row else None


def by_ids(tx: Transaction, event_ids: Collection[str]) -> dict[str, StoredEvent]:
    rows = tx.all(f"SELECT {_COLUMNS} {_FROM} WHERE e.event_id IN :ids", ids=list(event_ids))
    return {stored.event.event_id: stored for stored in _stored_all(tx, rows)}


def by_positions(tx: Transaction, positions: Collection[int]) -> dict[int, StoredEvent]:
    rows = tx.all(f"SELECT {_COLUMNS} {_FROM} WHERE e.position IN :positions", positions=list(positions))
    return {stored.position: stored for stored in _stored_all(tx, rows)}


def page(
    tx: Transaction,
    room: int,
    *,
    start: tuple[int, int],
    backwards: bool,
    limit: int,
    cut: Vector | None = None,
) -> list[StoredEvent]:
    """Accepted events in graph order from a place (exclusive), towards the past or the present.

    With a `cut`, those outside of it are left out.
    """
    comparison, order = ("<", "DESC") if backwards else (">", "ASC")
    rows = tx.all(
        f"""SELECT {_COLUMNS} {_FROM}
            WHERE e.room = :room AND (e.depth, e.position) {comparison} (:depth, :position) AND e.outcome = 0
              {"AND " + within(cut, "e.position") if cut is not None else ""}
            ORDER BY e.depth {order}, e.position {order} LIMIT :limit""",
        room=room,
        depth=start[0],
        position=start[1],
        limit=limit,
    )
    return _stored_all(tx, rows)


def arrivals(
    tx: Transaction,
    room: int,
    since: Vector,
    upto: Vector,
    limit: int,
    below: tuple[int, int] = (END, END),
) -> list[StoredEvent]:
    """The newest accepted events of a room between two vectors, newest first in graph order, up to a place."""
    if since != Vector():
        # Few events have arrived, most often: those are found by their arrival, and not by a walk down the room.
        rows = tx.all(
            f"""SELECT position FROM events WHERE room = :room
                AND {beyond(since)} AND {within(upto)} LIMIT {_FEW_ARRIVALS}""",
            room=room,
        )
        if len(rows) < _FEW_ARRIVALS:
            found = by_positions(tx, [position for (position,) in rows]).values() if rows else ()
            accepted = [one for one in found if one.outcome is Outcome.ACCEPTED and one.order <= below]
            return sorted(accepted, key=lambda one: one.order, reverse=True)[:limit]
    rows = tx.all(
        f"""SELECT {_COLUMNS} {_FROM} WHERE e.room = :room AND e.outcome = 0
            AND {beyond(since, "e.position")} AND {within(upto, "e.position")}
            AND (e.depth, e.position) <= (:depth, :position)
            ORDER BY e.depth DESC, e.position DESC LIMIT :limit""",
        room=room,
        depth=below[0],
        position=below[1],
        limit=limit,
    )
    return _stored_all(tx, rows)


def rooms_with_news(tx: Transaction, rooms: Collection[int], since: Vector) -> set[int]:
    """Which of some rooms have events beyond a vector."""
    rows = tx.all(
        f"""SELECT r.room FROM rooms r WHERE r.room IN :rooms
            AND EXISTS (SELECT 1 FROM events e WHERE e.room = r.room AND {beyond(since, "e.position")})""",
        rooms=list(rooms),
    )
    return {room for (room,) in rows}


def newest_within(tx: Transaction, room: int, cut: Vector) -> StoredEvent | None:
    """The last event in graph order of what a cut holds of a room."""
    found = arrivals(tx, room, Vector(), cut, 1)
    return found[0] if found else None


def auth_children(tx: Transaction, event_id: str) -> Iterator[tuple[StateKey, str]]:
    """The state events that name an event in their auth_events, newest first, read page by page."""
    beyond = 1 << 62
    while True:
        rows = tx.all(
            """SELECT e.position, e.type, e.state_key, e.event_id
               FROM events p JOIN auth_children a ON a.parent = p.position JOIN events e ON e.position = a.child
               WHERE p.event_id = :event_id AND a.child < :beyond AND e.outcome <> 2
               ORDER BY a.child DESC LIMIT 20""",
            event_id=event_id,
            beyond=beyond,
        )
        for position, event_type, state_key, child in rows:
            beyond = position
            yield (event_type, state_key), child
        if not rows:
            return


def which_are_stored(tx: Transaction, event_ids: Collection[str]) -> dict[str, Outcome]:
    """Of some events, what became of those that are here."""
    ids = list(event_ids)
    found: dict[str, Outcome] = {}
    for start in range(0, len(ids), _IDS_AT_ONCE):
        some = ids[start : start + _IDS_AT_ONCE]
        rows = tx.all("SELECT event_id, outcome FROM events WHERE event_id IN :ids", ids=some)
        found.update((event_id, Outcome(outcome)) for event_id, outcome in rows)
    return found


def which_are_placed(tx: Transaction, event_ids: Collection[str]) -> set[str]:
    """Of some events, those that have a place in the graph here, as `StoredEvent.is_placed` has it."""
    ids = list(event_ids)
    found: set[str] = set()
    for start in range(0, len(ids), _IDS_AT_ONCE):
        rows = tx.all(
            "SELECT event_id FROM events WHERE event_id IN :ids AND outcome <> :outlier AND snapshot IS NOT NULL",
            ids=ids[start : start + _IDS_AT_ONCE],
            outlier=int(Outcome.OUTLIER),
        )
        found.update(event_id for (event_id,) in rows)
    return found


def state_entries(tx: Transaction, room: int, event_ids: Collection[str]) -> Iterator[tuple[StateKey, str]]:
    """The places of those of some events that may be in a state of the room."""
    ids = list(event_ids)
    for start in range(0, len(ids), _IDS_AT_ONCE):
        rows = tx.all(
            """SELECT type, state_key, event_id FROM events WHERE event_id IN :ids AND room = :room
               AND state_key IS NOT NULL AND outcome NOT IN (2, 4) ORDER BY event_id""",
            ids=ids[start : start + _IDS_AT_ONCE],
            room=room,
        )
        for event_type, state_key, event_id in rows:
            yield (event_type, state_key), event_id


def at_the_front(tx: Transaction, rooms: Collection[int]) -> list[StoredEvent]:
    """The ends of some rooms' graphs."""
    rows = tx.all(
        f"""SELECT {_COLUMNS} FROM forward_extremities f JOIN events e ON e.event_id = f.event_id
            JOIN rooms r ON r.room = e.room WHERE f.room IN :rooms""",
        rooms=list(rooms),
    )
    return _stored_all(tx, rows)


def _stored_all(tx: Transaction, rows: Sequence[Row]) -> list[StoredEvent]:
    replaced = {row[6] for row in rows if row[6] is not None}
    previous: dict[int, StoredEvent] = {}
    if replaced:
        found = tx.all(f"SELECT {_COLUMNS} {_FROM} WHERE e.position IN :positions", positions=list(replaced))
        previous = {row[0]: _stored(row, None) for row in found}
    return [_stored(row, previous.get(row[6])) for row in rows]


def _stored(row: Row, replaces: StoredEvent | None) -> StoredEvent:
    position, room, event_id, snapshot, outcome, redacted_by, _, json, version = row[:9]
    return StoredEvent(
        _event(bytes(json), ROOM_VERSIONS[version], event_id, *row[9:]),
        room=room,
        snapshot=snapshot,
        position=position,
        outcome=_OUTCOMES[outcome],
        redacted_by=redacted_by,
        replaces=replaces,
    )


_OUTCOMES = {int(outcome): outcome for outcome in Outcome}


def _event(
    json: bytes,
    version: RoomVersion,
    event_id: str,
    room_id: str,
    type: str,
    state_key: str | None,
    sender: str,
    depth: int,
    origin_server_ts: int,
) -> Event:
    if not version.format.strict_canonical_json:
        # Its numbers need not be those of the columns.
        return Event.stored(decode(json, version), version, event_id, json)
    return Event.unread(
        json,
        version,
        event_id,
        room_id=room_id,
        type=type,
        state_key=state_key,
        sender=sender,
        depth=depth,
        origin_server_ts=origin_server_ts,
    )


def add_pending_redactions(tx: WriteTransaction, target: str, redactions: Iterable[str]) -> None:
    """Remembers redactions of an event that is not here yet."""
    tx.many(
        "INSERT INTO pending_redactions (target, redaction) VALUES (:target, :redaction) ON CONFLICT DO NOTHING",
        [{"target": target, "redaction": redaction} for redaction in redactions],
    )


def pending_redactions(tx: Transaction, target: str) -> Sequence[str]:
    rows = tx.all("SELECT redaction FROM pending_redactions WHERE target = :target", target=target)
    return [redaction for (redaction,) in rows]
