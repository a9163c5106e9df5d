"""What one user has not read in one room: the counts, and all that they were made from.

A tally is moved on by new events. It is made anew when something else changes what it says: a receipt, the rules, whom
the user ignores, their name or membership, a redaction.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Mapping, Sequence
from hashlib import blake2b
from typing import NamedTuple

import msgspec

from weft.modules.receipts.store import Place
from weft.modules.receipts.threads import MAIN
from weft.modules.unread.noted import Noted
from weft.protocol.push_rules import Actions, FlattenedEvent, Ruleset, evaluate
from weft.storage.events import StoredEvent
from weft.storage.positions import Vector

#: Changes with what a tally means.
_FORM = 1
#: How many of a room's newest events are kept for tallies that are a little behind.
_RECENT = 32


class Counts(NamedTuple):
    """How many events notify, and how many of these are highlights: in the main timeline, and by thread root.

    A thread in which nothing notifies is not listed.
    """

    notify: int = 0
    highlight: int = 0
    threads: Mapping[str, tuple[int, int]] = {}

    @property
    def all_notify(self) -> int:
        """With those in threads, for clients that know no threads."""
        return self.notify + sum(notify for notify, _ in self.threads.values())

    @property
    def all_highlight(self) -> int:
        return self.highlight + sum(highlight for _, highlight in self.threads.values())


class Feed:
    """The events that a room got since somebody's unread ones were first counted here."""

    __slots__ = ("epoch", "recent", "seen")

    def __init__(self) -> None:
        #: How many there were; a tally remembers how many of them it has taken in.
        self.seen = 0
        self.recent: deque[StoredEvent] = deque(maxlen=_RECENT)
        #: Changes where every tally of the room must be made anew.
        self.epoch = 0

    def add(self, stored: StoredEvent) -> None:
        self.seen += 1
        self.recent.append(stored)

    def after(self, seen: int) -> list[StoredEvent] | None:
        """The events after the first `seen`; None where that is too far back."""
        behind = self.seen - seen
        if behind > len(self.recent):
            return None
        return [self.recent[index] for index in range(len(self.recent) - behind, len(self.recent))]


class Reader(NamedTuple):
    """Whose events they are, and by which rules."""

    user_id: str
    display_name: str | None
    ruleset: Ruleset
    ignored: Collection[str]
    #: What the user changed of the rules, as it is stored.
    rules: bytes = b""
    #: The roots of the room's threads that they are subscribed to.
    threads: frozenset[str] = frozenset()

    def judge(self, event: FlattenedEvent) -> Actions | None:
        """What an event notifies the user with."""
        return evaluate(self.ruleset, event, self.user_id, self.display_name, self.threads)


class Start(NamedTuple):
    """The moment from which a tally is moved on."""

    feed: Feed
    seen: int
    epoch: int
    cut: Vector


def digest(reader: Reader, floor: Place, places: Mapping[str, Place]) -> bytes:
    """What a tally is made from besides events, in brief: another one counts anew."""
    told = [_FORM, floor, sorted(places.items()), reader.display_name, sorted(reader.ignored), reader.rules]
    if reader.threads:
        told.append(sorted(reader.threads))
    return blake2b(msgspec.msgpack.encode(told), digest_size=16).digest()


class Tally:
    """`floor` is the place up to which everything is read, in whichever thread; `places` is that for each thread."""

    __slots__ = (
        "_counts",
        "cut",
        "epoch",
        "feed",
        "floor",
        "looked_at",
        "made_from",
        "places",
        "reader",
        "seen",
        "threads",
    )

    def __init__(
        self, reader: Reader, start: Start, floor: Place, places: Mapping[str, Place], made_from: bytes
    ) -> None:
        self.reader = reader
        #: How far it goes: in the feed, and in the log.
        self.feed, self.seen, self.epoch, self.cut = start
        self.made_from = made_from
        #: How many events were looked at since it was last put down.
        self.looked_at = 0
        self.floor = floor
        self.places = places
        self.threads: dict[str, tuple[int, int]] = {}
        self._counts: Counts | None = None

    @property
    def counts(self) -> Counts:
        if self._counts is None:
            others = {thread: counts for thread, counts in self.threads.items() if thread != MAIN and counts[0]}
            self._counts = Counts(*self.threads.get(MAIN, (0, 0)), others)
        return self._counts

    def relevant(self, noted: Iterable[Noted]) -> list[tuple[Noted, Actions | None]]:
        """Those events that change the counts: with what they notify with, or None for the user's own."""
        found: list[tuple[Noted, Actions | None]] = []
        reader = self.reader
        for one in noted:
            event = one.stored.event
            if one.stored.order <= self.floor or one.stored.redacted_by is not None:
                continue
            if event.sender == reader.user_id:
                if event.state_key is None and event.type != "m.room.redaction":
                    found.append((one, None))
            elif event.state_key is not None or event.sender not in reader.ignored:
                actions = reader.judge(one.flat)
                if actions is not None:
                    found.append((one, actions))
        return found

    def count(self, relevant: Sequence[tuple[Noted, Actions | None]]) -> None:
        """Takes events in, oldest first; their threads are known. Who writes in a thread has read it."""
        for noted, actions in relevant:
            thread = noted.thread or MAIN
            if actions is None:
                self.threads.pop(thread, None)
            elif noted.stored.order > self.places.get(thread, self.floor):
                notify, highlight = self.threads.get(thread, (0, 0))
                self.threads[thread] = (notify + 1, highlight + actions.highlight)
        if relevant:
            self._counts = None
