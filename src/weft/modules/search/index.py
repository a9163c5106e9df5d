"""Keeps the index of words up to date: a follower of the log.

It reads new events, and forgets what is redacted or erased.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from weft.modules.search import store
from weft.modules.search.store import Indexed, Key
from weft.modules.search.words import words_of
from weft.protocol.event import Event
from weft.protocol.extensible_events import plain_text
from weft.rooms.engine import Engine
from weft.storage import events
from weft.storage.events import StoredEvent
from weft.storage.followers import Follower
from weft.storage.positions import Entry

FOLLOWER: Final = "search"
#: What comes within this time is written in one go, unless somebody is searching.
_GATHER_SECONDS = 0.25
_ENOUGH = 100
#: How long a search waits for the index; then it makes do with what is there.
_PATIENCE_SECONDS = 3.0
_DROPPED_AT_ONCE = 1_000

_MESSAGES: Final = frozenset(
    {"m.room.message"}
    | {
        prefix + name
        for prefix in ("m.", "org.matrix.msc1767.")
        for name in ("message", "emote", "file", "image", "video", "audio")
    }
)


class Index:
    """Who waits with `caught_up` finds in the index everything that the log has by then."""

    def __init__(self, engine: Engine, *, erased: Collection[str] = ()) -> None:
        self._engine = engine
        engine.purging.with_events.append(lambda tx, positions: store.put(tx, [], positions))
        #: Users who left this server and wanted what they wrote to be erased; whoever gave it keeps it true.
        self._erased = erased
        self._searching = 0
        self._hurry = asyncio.Event()

    @property
    def follower(self) -> Follower:
        return Follower(FOLLOWER, ("event", "redacted", "account"), self.handle)

    async def caught_up(self) -> None:
        """Returns once the index has what is in the log now, or after a while."""
        self._searching += 1
        self._hurry.set()
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                await self._engine.followed(FOLLOWER)
        except TimeoutError:
            return
        finally:
            self._searching -= 1
            if not self._searching:
                self._hurry.clear()

    async def handle(self, entries: Sequence[Entry]) -> None:
        """Indexes what some entries of the log tell of."""
        if len(entries) < _ENOUGH:
            await self._gather()
        indexed: dict[int, Indexed] = {}
        gone: set[int] = set()
        for stored in await self._stored(entries):
            found = text_of(stored.event) if stored.event.sender not in self._erased else None
            words = words_of(found[1]) if found is not None else []
            if found is not None and words:
                indexed[stored.position] = Indexed(stored.position, found[0], words)
            elif stored.redacted_by is not None:
                indexed.pop(stored.position, None)
                gone.add(stored.position)
        if indexed or gone:
            await self._engine.database.write(store.put, list(indexed.values()), gone)
        for entry in entries:
            if entry.kind == "account" and entry.user_id is not None and entry.user_id in self._erased:
                await self._drop(entry.user_id)

    async def _drop(self, sender: str) -> None:
        """Takes everything that somebody wrote out of the index, also from who saw it when it was sent."""
        after = 0
        while True:
            positions = await self._engine.database.read(store.written_by, sender, after, _DROPPED_AT_ONCE)
            if not positions:
                return
            await self._engine.database.write(store.put, [], positions)
            after = positions[-1]

    async def _gather(self) -> None:
        try:
            async with asyncio.timeout(_GATHER_SECONDS):
                await self._hurry.wait()
        except TimeoutError:
            return

    async def _stored(self, entries: Sequence[Entry]) -> list[StoredEvent]:
        """The events, with those that were redacted as they are now."""
        at_hand = {entry.position: entry.payload for entry in entries if isinstance(entry.payload, StoredEvent)}
        missing = [entry for entry in entries if entry.position not in at_hand]
        positions = [entry.position for entry in missing if entry.kind == "event"]
        redacted = [entry.key for entry in missing if entry.kind == "redacted" and entry.key is not None]
        by_position = await self._engine.database.read(events.by_positions, positions) if positions else {}
        by_id = await self._engine.database.read(events.by_ids, redacted) if redacted else {}
        found = [at_hand.get(e.position) or by_position.get(e.position) or by_id.get(e.key or "") for e in entries]
        return [stored for stored in found if stored is not None]


def text_of(event: Event) -> tuple[Key, str] | None:
    """What of an event is searched, and as what."""
    content = event.content
    if event.type in _MESSAGES and event.state_key is None:
        text = _string(content, "body") or plain_text(content)
        return ("body", text) if text else None
    if event.type == "m.room.name" and event.state_key == "":
        text = _string(content, "name")
        return ("name", text) if text else None
    if event.type == "m.room.topic" and event.state_key == "":
        block = content.get("m.topic")
        rich = plain_text(block) if isinstance(block, dict) else None
        texts = list(dict.fromkeys(text for text in (_string(content, "topic"), rich) if text))
        return ("topic", "\n".join(texts)) if texts else None
    return None


def _string(content: Mapping[str, Any], key: str) -> str | None:
    value = content.get(key)
    return value if isinstance(value, str) else None
