"""Which thread an event is in.

An event is in a thread if it relates to the thread's root by `m.thread`, or if what it relates to does, within a few
steps. Roots are in the main timeline.

https://spec.matrix.org/v1.19/client-server-api/#threaded-read-receipts
"""

from __future__ import annotations

from typing import Any, NamedTuple

from weft.storage.database import Transaction

#: How receipts and counts call the main timeline.
MAIN = "main"
#: How many relations are followed.
_MAX_HOPS = 3


class Relation(NamedTuple):
    """What an event relates to, and how."""

    target: str
    rel_type: str


def relation_of(content: dict[str, Any]) -> Relation | None:
    """The relation that an event's content declares."""
    relates_to = content.get("m.relates_to")
    if not isinstance(relates_to, dict):
        return None
    target, rel_type = relates_to.get("event_id"), relates_to.get("rel_type")
    return Relation(target, rel_type) if isinstance(target, str) and isinstance(rel_type, str) else None


def chain(tx: Transaction, relation: Relation | None) -> list[Relation]:
    """A relation, what its target relates to, and so on: until a thread's root or for a few steps."""
    found: list[Relation] = []
    while relation is not None and len(found) < _MAX_HOPS:
        found.append(relation)
        relation = None if relation.rel_type == "m.thread" else of_event(tx, relation.target)
    return found


def of_event(tx: Transaction, event_id: str) -> Relation | None:
    """The stored relation of an event."""
    row = tx.one(
        """SELECT r.target, r.rel_type FROM events e JOIN relations r ON r.position = e.position
           WHERE e.event_id = :event_id""",
        event_id=event_id,
    )
    return Relation(*row) if row else None


def thread_of(tx: Transaction, relation: Relation | None) -> str:
    """The thread (its root's id, or `MAIN`) of an event with this relation."""
    relations = chain(tx, relation)
    if relations and relations[-1].rel_type == "m.thread":
        return relations[-1].target
    return MAIN


def is_in_thread(tx: Transaction, event_id: str, thread: str) -> bool:
    """Whether a receipt for an event may be for a thread; its root, and what relates to that, count for both."""
    relations = chain(tx, of_event(tx, event_id))
    is_threaded = bool(relations) and relations[-1].rel_type == "m.thread"
    if thread == MAIN:
        return not is_threaded
    return event_id == thread or any(relation.target == thread for relation in relations)
