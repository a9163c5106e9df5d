"""Events as they travel between servers, many at a time: their bytes as stored, and the events that allowed them.

Nothing is parsed but what is needed to walk on, since a room's state may have a hundred thousand events.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, Final

import msgspec

from weft.protocol.errors import NotNow
from weft.storage.database import Transaction

_AT_ONCE: Final = 500
#: More than any room has; a walk ends here whatever somebody has put into the room.
_MAX_CHAIN: Final = 300_000


class _AuthEvents(msgspec.Struct):
    """Ids, or in old room versions pairs of an id and hashes."""

    auth_events: list[Any]


_decode: Final = msgspec.json.Decoder(_AuthEvents).decode


def read(tx: Transaction, event_ids: Iterable[str]) -> Iterator[tuple[str, bytes]]:
    """The ids and bytes of events, in any order; those that are not here are left out."""
    for some in _batches(event_ids):
        rows = tx.all("SELECT event_id, json FROM events WHERE event_id IN :ids", ids=some)
        yield from ((event_id, bytes(json)) for event_id, json in rows)


def auth_chain(
    tx: Transaction,
    event_ids: Collection[str],
    given: Mapping[str, bytes],
    *,
    create: str | None = None,
    found: dict[str, bytes] | None = None,
) -> list[str]:
    """The ids of all events that authorise some events, directly or not.

    An event of `event_ids` is among them where it authorises another. `given` are bytes of events that are at hand;
    the bytes of all others are put into `found`, if that is wanted. `create` is the create event's id in room versions
    whose events lean on it without naming it. Raises `NotNow` for chains that are absurdly long.
    """
    chain: dict[str, None] = {} if create is None else {create: None}
    read_already = {*event_ids, *chain}
    ahead = set(read_already)
    while ahead:
        following: set[str] = set()
        at_hand = [(event_id, given[event_id]) for event_id in ahead if event_id in given]
        for event_id, json in (*at_hand, *read(tx, ahead - given.keys())):
            if found is not None and event_id not in given:
                found[event_id] = json
            following.update(one[0] if isinstance(one, list) else one for one in _decode(json).auth_events)
        chain.update(dict.fromkeys(following))
        ahead = following - read_already
        read_already |= ahead
        if len(chain) > _MAX_CHAIN:
            raise NotNow("What authorises these events is too long to be told.", retry_after_ms=3_600_000)
    return list(chain)


def _batches(event_ids: Iterable[str]) -> Iterator[list[str]]:
    remaining = iter(event_ids)
    while some := list(islice(remaining, _AT_ONCE)):
        yield some
