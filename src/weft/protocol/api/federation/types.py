"""What the endpoints between servers share.

Events travel as they are (`msgspec.Raw`): only the room's version says what one has to look like and how its numbers
are read, so whoever knows the version decodes them (`weft.protocol.canonical_json`, `weft.protocol.event`). Asking is
strict and reading is lenient: what the specification requires is always sent, and what a peer leaves out that we can
do without has a default.
"""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from msgspec import Meta

from weft.protocol.api.endpoint import Struct
from weft.protocol.api.types import EventId

#: An event in the format of its room's version, as bytes.
Pdu = msgspec.Raw
#: Where a peer left an event out.
NO_PDU: Final = msgspec.Raw(b"null")
#: A stripped state event, or a whole one.
#: https://spec.matrix.org/v1.19/client-server-api/#stripped-state
StrippedPdu = msgspec.Raw

#: https://spec.matrix.org/v1.19/server-server-api/#transactions
MAX_PDUS: Final = 50
MAX_EDUS: Final = 100
#: Bytes of a whole transaction: every event at its largest, and as much again for the rest.
MAX_TRANSACTION: Final = 8 << 20
#: Bytes of one event, with what wraps it on its way.
MAX_ONE_EVENT: Final = 256 << 10
#: Bytes of a page of events.
MAX_PAGE: Final = 32 << 20
#: Bytes of a room's whole state with its auth chain; the largest rooms have some hundred thousand members.
MAX_STATE: Final = 512 << 20

#: The bound is ours; the specification has none.
EventIds = Annotated[list[EventId], Meta(max_length=2_000)]


class Transaction(Struct, omit_defaults=False):
    """Events from a server, as `backfill` and `event` answer them."""

    origin: str = ""
    origin_server_ts: int = 0
    pdus: list[Pdu] = msgspec.field(default_factory=list)
