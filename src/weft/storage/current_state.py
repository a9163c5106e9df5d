"""The tables in which a room's current state is searched: each place with its event, and who is a member of what."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from weft.graph.snapshot import Snapshot
from weft.protocol.event import StateKey
from weft.storage import events, snapshots
from weft.storage.database import WriteTransaction
from weft.storage.events import StoredEvent

#: More changes of state than this are written table by table.
_MANY_CHANGES: Final = 200
_MEMBERS_AT_ONCE: Final = 1_000


def make_current(
    tx: WriteTransaction, room: int, snapshot: Snapshot, known: Mapping[str, StoredEvent] | None = None
) -> None:
    """Makes the searchable tables of the room's current state agree with a snapshot that is stored.

    To be called after `front.extend` for the only extremity's state, and for the resolved state of a fork.
    `known` spares looking up events that the caller has at hand.
    """
    applied: int | None = tx.value("SELECT snapshot FROM rooms WHERE room = :room", room=room)
    if applied == snapshot.id:
        tx.put("UPDATE rooms SET forked = 0 WHERE room = :room AND forked <> 0", room=room)
        return
    if applied == snapshot.parent_id or (applied is None and snapshot.depth == 1):
        changed = dict(snapshot.changes)
    elif applied is None:
        changed = dict(snapshot.state)
    else:
        changed = {key: new for key, (_, new) in snapshots.changes_between(tx, applied, snapshot.id).items()}
    if len(changed) > _MANY_CHANGES:
        _set_all(tx, room, changed, known or {}, is_first=applied is None)
    else:
        for (event_type, state_key), event_id in changed.items():
            _set_current(tx, room, event_type, state_key, event_id, known or {})
    tx.put("UPDATE rooms SET snapshot = :snapshot, forked = 0 WHERE room = :room", snapshot=snapshot.id, room=room)


def _set_all(
    tx: WriteTransaction,
    room: int,
    changed: Mapping[StateKey, str | None],
    known: Mapping[str, StoredEvent],
    *,
    is_first: bool,
) -> None:
    """As `_set_current`, for many places at once: a room that was just joined has thousands.

    `is_first`: there is nothing in the tables that could have to go.
    """
    if not is_first:
        tx.many(
            "DELETE FROM current_state WHERE room = :room AND type = :type AND state_key = :state_key",
            [{"room": room, "type": key[0], "state_key": key[1]} for key in changed if key[0] != "m.room.member"],
        )
        tx.many(
            "DELETE FROM memberships WHERE room = :room AND user_id = :user_id",
            [
                {"room": room, "user_id": key[1]}
                for key, new in changed.items()
                if key[0] == "m.room.member" and not new
            ],
        )
    tx.many(
        """INSERT INTO current_state (room, type, state_key, event_id)
           VALUES (:room, :type, :state_key, :event_id)""",
        [
            {"room": room, "type": key[0], "state_key": key[1], "event_id": new}
            for key, new in changed.items()
            if new is not None and key[0] != "m.room.member"
        ],
    )
    members = [new for key, new in changed.items() if new is not None and key[0] == "m.room.member"]
    for start in range(0, len(members), _MEMBERS_AT_ONCE):
        some = members[start : start + _MEMBERS_AT_ONCE]
        missing = [event_id for event_id in some if event_id not in known]
        found = {**events.by_ids(tx, missing), **{event_id: known[event_id] for event_id in some if event_id in known}}
        tx.many(_PUT_MEMBERSHIP, [_membership_row(room, stored) for stored in found.values()])


def _set_current(
    tx: WriteTransaction,
    room: int,
    event_type: str,
    state_key: str,
    event_id: str | None,
    known: Mapping[str, StoredEvent],
) -> None:
    if event_type == "m.room.member":
        _set_membership(tx, room, state_key, event_id, known)
    elif event_id is None:
        tx.put(
            "DELETE FROM current_state WHERE room = :room AND type = :type AND state_key = :state_key",
            room=room,
            type=event_type,
            state_key=state_key,
        )
    else:
        tx.put(
            """INSERT INTO current_state (room, type, state_key, event_id)
               VALUES (:room, :type, :state_key, :event_id)
               ON CONFLICT (room, type, state_key) DO UPDATE SET event_id = excluded.event_id""",
            room=room,
            type=event_type,
            state_key=state_key,
            event_id=event_id,
        )


def _set_membership(
    tx: WriteTransaction, room: int, user_id: str, event_id: str | None, known: Mapping[str, StoredEvent]
) -> None:
    if event_id is None:
        tx.put("DELETE FROM memberships WHERE room = :room AND user_id = :user_id", room=room, user_id=user_id)
        return
    stored = known.get(event_id) or events.by_id(tx, event_id)
    if stored is None:
        return
    tx.put(_PUT_MEMBERSHIP, **_membership_row(room, stored))


_PUT_MEMBERSHIP = """
    INSERT INTO memberships (room, user_id, membership, event_id, position)
    VALUES (:room, :user_id, :membership, :event_id, :position)
    ON CONFLICT (room, user_id) DO UPDATE SET membership = excluded.membership,
        event_id = excluded.event_id, position = excluded.position,
        forgotten = CASE WHEN excluded.membership IN ('leave', 'ban') THEN memberships.forgotten ELSE 0 END"""


def _membership_row(room: int, stored: StoredEvent) -> dict[str, Any]:
    return {
        "room": room,
        "user_id": stored.event.state_key,
        "membership": stored.event.membership or "leave",
        "event_id": stored.event.event_id,
        "position": stored.position,
    }
