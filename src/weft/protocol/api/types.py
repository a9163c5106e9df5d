"""The values that the APIs share, with the bounds that the specification sets.

A bound here counts characters and is a first sieve: whoever uses an identifier parses it (`weft.protocol.identifiers`),
and an event's own limits are checked where events are built. What the specification leaves open gets a bound of ours,
so that nothing from outside is stored at any length.

https://spec.matrix.org/v1.19/appendices/#identifier-grammar
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

UserId = Annotated[str, Meta(max_length=255)]
RoomId = Annotated[str, Meta(max_length=255)]
RoomAlias = Annotated[str, Meta(max_length=255)]
RoomIdOrAlias = Annotated[str, Meta(max_length=255)]
EventId = Annotated[str, Meta(max_length=255)]
ServerName = Annotated[str, Meta(max_length=255)]

#: Opaque, chosen by the client; the bound is ours.
DeviceId = Annotated[str, Meta(min_length=1, max_length=512)]
#: Opaque, chosen by the client; the bound is ours.
TransactionId = Annotated[str, Meta(max_length=512)]
#: A place in a stream, made by this server and opaque to clients; the bound is ours.
StreamToken = Annotated[str, Meta(max_length=4096)]
#: The key of a session or of a stored value, made by this server; the bound is ours.
SessionKey = Annotated[str, Meta(max_length=512)]
#: The bound is ours: hashing a password must not cost what its sender likes.
Password = Annotated[str, Meta(max_length=512)]
#: A name that people see; the bound is ours.
DisplayName = Annotated[str, Meta(max_length=256)]
#: Why somebody did something; the bound is ours, below what an event may hold.
Reason = Annotated[str, Meta(max_length=16384)]

#: How many items a page may have at most; a server answers with fewer if it likes.
Limit = Annotated[int, Meta(ge=0)]
Milliseconds = Annotated[int, Meta(ge=0)]
#: Milliseconds since 1970 that may lie before it.
Timestamp = int

#: Paging forwards or backwards in time.
Direction = Literal["f", "b"]
Membership = Literal["join", "invite", "knock", "leave", "ban"]
PresenceState = Literal["online", "offline", "unavailable"]
#: Whether a room is in the directory of published rooms.
RoomVisibility = Literal["public", "private"]
