"""What a relation to another event must satisfy for this server to send it.

https://spec.matrix.org/v1.19/client-server-api/#avoiding-duplicate-annotations
https://spec.matrix.org/v1.19/client-server-api/#validation-of-mthread-relationships
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from weft.protocol.errors import MatrixError
from weft.rooms.engine import Engine
from weft.storage.database import Transaction


async def check_relation(
    engine: Engine, room_id: str, sender: str, event_type: str, content: Mapping[str, Any]
) -> None:
    """Raises `MatrixError` for a relation across rooms, a reaction given twice, a thread inside of a thread."""
    relates_to = content["m.relates_to"]
    if not isinstance(relates_to, dict):
        return
    target, rel_type, key = relates_to.get("event_id"), relates_to.get("rel_type"), relates_to.get("key")
    if not isinstance(target, str) or not isinstance(rel_type, str):
        return
    parent = await engine.rooms.event(target)
    if parent is not None and parent.event.room_id != room_id:
        raise MatrixError("An event can relate only to events of its own room.", errcode="M_UNKNOWN")
    if rel_type == "m.annotation" and isinstance(key, str):
        if await engine.database.get(_is_annotated, target, event_type, sender, key):
            raise MatrixError("You have sent the same annotation already.", errcode="M_DUPLICATE_ANNOTATION")
    elif rel_type == "m.thread" and parent is not None and has_relation(parent.event.content):
        raise MatrixError("A thread can't start from an event that has a relation itself.", errcode="M_UNKNOWN")


def has_relation(content: Mapping[str, Any]) -> bool:
    """Whether the event relates to another with some `rel_type`; a mere reply does not."""
    relates_to = content.get("m.relates_to")
    return isinstance(relates_to, dict) and isinstance(relates_to.get("rel_type"), str)


def _is_annotated(tx: Transaction, target: str, event_type: str, sender: str, key: str) -> bool:
    row = tx.one(
        """SELECT 1 FROM relations
           WHERE target = :target AND rel_type = 'm.annotation' AND type = :type AND sender = :sender AND key = :key""",
        target=target,
        type=event_type,
        sender=sender,
        key=key,
    )
    return row is not None
