"""The side of the server that is in the room: templates for users of other servers, and taking what they make of them.

Whether the user may, and who vouches for them, is asked by the caller; here the event gets its place in the graph, and
what comes back is checked and judged like any other event, then passed on to the room's other servers.

https://spec.matrix.org/v1.19/server-server-api/#joining-rooms
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from weft.graph.build import Draft, Identity, auth_keys, template
from weft.graph.outcome import Outcome
from weft.protocol.errors import BadJson, BadState, Forbidden, InvalidEvent, InvalidParam
from weft.protocol.event import Event, StateKey, cosign
from weft.protocol.event_auth import CREATE_KEY, authorise
from weft.protocol.identifiers import domain_of
from weft.rooms.incoming import Incoming, read, whole
from weft.rooms.receive import Receive
from weft.rooms.room import Room
from weft.rooms.rooms import Rooms
from weft.storage.events import StoredEvent

_VIA = "join_authorised_via_users_server"


class Resident:
    def __init__(
        self,
        rooms: Rooms,
        receive: Receive,
        incoming: Incoming,
        identities: Mapping[str, Identity],
        now_ms: Callable[[], int],
    ) -> None:
        self._rooms = rooms
        self._receive = receive
        self._incoming = incoming
        self._identities = identities
        self._now_ms = now_ms

    async def template(self, room: Room, draft: Draft) -> dict[str, Any]:
        """The event that another server's user would have to make now. Raises `AuthRuleViolation` if it can't be."""
        keys = auth_keys(draft, room.version)
        state = await self._rooms.state_events(room, [*keys, CREATE_KEY])
        pdu = template(
            draft,
            version=room.version,
            room_id=room.id,
            prev_events=[stored.event for stored in room.extremities.values()],
            auth_events=[state[key] for key in keys if key in state],
            now_ms=self._now_ms(),
        )
        authorise(Event(pdu, room.version, "$template"), state.get)
        return pdu

    def read_member(self, origin: str, room: Room, event_id: str, pdu: msgspec.Raw, membership: str) -> Event:
        """A member event that the user's own server `origin` made. Raises `MatrixError` for anything else."""
        try:
            event = read(pdu, room.version)
        except InvalidEvent as error:
            raise BadJson(error.message) from None
        if event.event_id != event_id:
            raise InvalidParam("The event's id is not the one in the path.")
        if event.room_id != room.id:
            raise InvalidParam("The event is of another room than the path says.")
        if event.membership != membership or event.state_key != event.sender:
            raise InvalidParam(
                f"This is no m.room.member event by which somebody's own membership becomes {membership}."
            )
        if event.sender_domain != origin:
            raise Forbidden("The event is not of a user of your server.")
        return event

    def vouched(self, event: Event) -> Event:
        """A restricted join with the signature of the domain of ours whose user vouches for it."""
        authoriser = event.content.get(_VIA)
        if not isinstance(authoriser, str) or domain_of(authoriser) not in self._identities:
            return event
        identity = self._identities[domain_of(authoriser)]
        return cosign(event, identity.server_name, identity.signing_key)

    async def take(self, room: Room, event: Event) -> StoredEvent:
        """Takes an event in and has it passed on. Raises `MatrixError` where the room's state does not allow it."""
        failed = await self._incoming.failed_signatures([event])
        if failed:
            raise Forbidden(f"The event is not signed as it has to be: {failed[event.event_id]}")
        if whole(event) is not event:
            raise InvalidParam("The event's content hash is wrong.")
        taken = (await self._receive.take(room.id, [event], relayed=True))[event.event_id]
        if taken.is_missing_something or taken.verdict is None:
            raise BadState("The event builds on events that are not known here; ask for a new template.", status=400)
        if taken.verdict.outcome is not Outcome.ACCEPTED:
            violation = taken.verdict.violation
            raise Forbidden(violation.message if violation is not None else "The room does not allow this event.")
        stored = await self._rooms.event(event.event_id)
        if stored is None:
            raise AssertionError("what was accepted is stored")
        return stored

    async def state_before(self, room: Room, stored: StoredEvent) -> dict[StateKey, str]:
        """The whole state before a state event that was taken."""
        if stored.snapshot is None:
            raise AssertionError("what was accepted has a state")
        state = dict((await self._rooms.snapshot(room, stored.snapshot)).state)
        state.pop(stored.event.key, None)
        if stored.replaces is not None:
            state[stored.event.key] = stored.replaces
        return state
