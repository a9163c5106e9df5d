"""Getting into and out of rooms of other servers: our side of joining, leaving and knocking.

A resident server gives a template of the event (`make_…`); we make the event of it, sign it, and give it back
(`send_…`). Of the template we take where the event goes in the graph and what it leans on, nothing else.

https://spec.matrix.org/v1.19/server-server-api/#joining-rooms
https://spec.matrix.org/v1.19/server-server-api/#leaving-rooms-rejecting-invites
https://spec.matrix.org/v1.19/server-server-api/#knocking-rooms
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import msgspec
import structlog

from weft.federation.peer import Peers
from weft.graph.build import Identity
from weft.graph.decide import decide_by_auth_events
from weft.graph.outcome import Outcome
from weft.graph.snapshot import Snapshot
from weft.http.client import Refused
from weft.protocol.api.federation.joining import (
    MAKE_JOIN,
    SEND_JOIN_V1,
    SEND_JOIN_V2,
    MakeJoinRequest,
    SendJoinV1Request,
    SendJoinV1Room,
    SendJoinV2Request,
    SendJoinV2Response,
)
from weft.protocol.api.federation.knocking import MAKE_KNOCK, SEND_KNOCK, MakeKnockRequest, SendKnockRequest
from weft.protocol.api.federation.leaving import (
    MAKE_LEAVE,
    SEND_LEAVE_V1,
    SEND_LEAVE_V2,
    MakeLeaveRequest,
    SendLeaveV1Request,
    SendLeaveV2Request,
)
from weft.protocol.api.federation.types import NO_PDU
from weft.protocol.errors import (
    BY_ERRCODE,
    AuthRuleViolation,
    BadJson,
    Forbidden,
    InvalidEvent,
    MatrixError,
    NotFound,
    NotNow,
    PeerError,
    Unreachable,
)
from weft.protocol.event import Event, StateKey, seal
from weft.protocol.event_auth import CREATE_KEY, authorise
from weft.protocol.identifiers import domain_of
from weft.protocol.room_versions import ROOM_VERSIONS, EventIdFormat, RoomVersion
from weft.rooms.incoming import Incoming, decode, read, whole
from weft.rooms.missing import FAILURES
from weft.rooms.outside import OutsideRooms, ensure_room, unplace
from weft.rooms.previews import read_preview
from weft.rooms.receive import Place, Receive
from weft.rooms.room import Room
from weft.rooms.rooms import Rooms
from weft.storage import current_state, front, gaps, resolutions, snapshots
from weft.storage import events as event_store
from weft.storage import rooms as room_store
from weft.storage.database import Database, WriteTransaction
from weft.storage.events import StoredEvent

T = TypeVar("T")

log = structlog.get_logger(__name__)

#: How many servers are tried.
_SERVERS: Final = 10
_MAKE_SECONDS: Final = 20.0
#: A large room's state takes a while.
_SEND_SECONDS: Final = 240.0
_VIA: Final = "join_authorised_via_users_server"
_MEMBER: Final = "m.room.member"


@dataclass(frozen=True, slots=True)
class _Entry:
    """Everything with which we enter a room."""

    place: Place
    event: Event
    #: The state before the event, and the events of it that are at hand.
    state: Mapping[StateKey, str]
    known: Mapping[str, StoredEvent]
    #: What of the state is signed with keys that can't be had just now, or leans on that: taken in once they can.
    unverified: Sequence[Event] = ()


class Handshakes:
    """Each method asks the servers in turn until one goes along; raises `MatrixError` for the client if none does."""

    def __init__(
        self,
        database: Database,
        rooms: Rooms,
        receive: Receive,
        incoming: Incoming,
        peers: Peers,
        outside: OutsideRooms,
        identities: Mapping[str, Identity],
        now_ms: Callable[[], int],
    ) -> None:
        self._database = database
        self._rooms = rooms
        self._receive = receive
        self._incoming = incoming
        self._peers = peers
        self._outside = outside
        self._identities = identities
        self._now_ms = now_ms
        #: Joins that are under way, by room.
        self._entering: dict[str, list[asyncio.Future[None]]] = {}

    # -- joining

    async def join(self, user_id: str, room_id: str, servers: Iterable[str], content: Mapping[str, Any]) -> Room:
        """Joins a room through other servers; returns it once all of its state is here."""
        ended = asyncio.get_running_loop().create_future()
        self._entering.setdefault(room_id, []).append(ended)
        try:
            return await self._try_each(room_id, servers, lambda server: self._join(server, user_id, room_id, content))
        finally:
            ended.set_result(None)
            self._entering[room_id].remove(ended)
            if not self._entering[room_id]:
                del self._entering[room_id]

    async def entered(self, room_id: str) -> bool:
        """Returns once nobody is being let into a room, by this process, who was when this was called; whether any was.

        The room's servers may send what happens there before its state is written here.
        """
        entering = self._entering.get(room_id)
        if not entering:
            return False
        await asyncio.wait(entering)
        return True

    async def _join(self, server: str, user_id: str, room_id: str, content: Mapping[str, Any]) -> Room:
        origin = domain_of(user_id)
        ask = MakeJoinRequest(room_id=room_id, user_id=user_id, ver=list(ROOM_VERSIONS))
        answer = await self._peers.call(
            MAKE_JOIN, ask, origin=origin, destination=server, timeout=_MAKE_SECONDS, even_if_backed_off=True
        )
        version = _version(answer.room_version or "1", server)
        known = await self._rooms.find(room_id)
        if known is not None and known.extremities:
            _check_version(version, known, server)
            version = known.version
        event = self._made(answer.event, version, user_id, room_id, {**content, "membership": "join"}, keep=(_VIA,))
        told = await self._send_join(origin, server, event)
        room = await self._rooms.find(room_id)
        if room is not None and room.joined_local:
            # We are in the room; another server vouched for somebody whom nobody here may let in.
            return await self._enter_own(room, await self._signed(event, told, server))
        entry = await self._entry(version, event, told, server)
        await self._database.write(_enter, entry, self._rooms.new_snapshot_id)
        self._rooms.drop(room_id)
        if entry.unverified and self._incoming.keep is not None:
            await self._incoming.keep(room_id, entry.unverified, True)
        return await self._rooms.get(room_id)

    async def _send_join(self, origin: str, server: str, event: Event) -> SendJoinV2Response:
        pdu = msgspec.Raw(event.wire)
        try:
            request = SendJoinV2Request(room_id=event.room_id, event_id=event.event_id, event=pdu)
            return await self._peers.call(
                SEND_JOIN_V2,
                request,
                origin=origin,
                destination=server,
                timeout=_SEND_SECONDS,
                even_if_backed_off=True,
            )
        except Refused as refused:
            if refused.status not in (404, 405) or refused.errcode not in ("M_UNRECOGNIZED", "M_UNKNOWN"):
                raise
        old = SendJoinV1Request(room_id=event.room_id, event_id=event.event_id, event=pdu)
        _, told = await self._peers.call(
            SEND_JOIN_V1, old, origin=origin, destination=server, timeout=_SEND_SECONDS, even_if_backed_off=True
        )
        return _as_v2(told)

    async def _entry(self, version: RoomVersion, event: Event, told: SendJoinV2Response, server: str) -> _Entry:
        """What a resident server told of the room, checked and written down; the room itself is not entered yet."""
        if told.members_omitted:
            raise PeerError(f"{server} left out members though we did not ask for that")
        event = await self._signed(event, told, server)
        inspected = await self._incoming.inspect(event.room_id, version, [*told.state, *told.auth_chain])
        if any(one.sender_domain == server for one in inspected.later):
            # It is there, so its keys can be had. A state without its own users would refuse what they do, for good.
            raise PeerError(f"the keys of {server} can't be had just now", permanent=False)
        state_ids = inspected.ids[: len(told.state)]
        number = await self._database.write(ensure_room, event.room_id, version)
        place = Place(event.room_id, number, version)
        known = await self._receive.add_outliers(place, inspected.events)
        at_hand = {one.event_id: one for one in inspected.events}
        state: dict[StateKey, str] = {}
        for event_id in state_ids:
            one = at_hand.get(event_id)
            told_of = known.get(event_id)
            if one is not None and one.is_state and told_of is not None and not told_of.outcome.is_rejected:
                state.setdefault(one.key, event_id)
        create = at_hand.get(state.get(CREATE_KEY, ""))
        if create is None or create.content.get("room_version", "1") != version.identifier:
            raise PeerError(f"{server} told of no room of version {version.identifier}")
        self._check_join(event, state, at_hand, create)
        # What leans on an event that can't be verified just now is no worse than that.
        leaning = [one for one in inspected.events if one.event_id not in known] if inspected.later else []
        return _Entry(place, event, state, known, [*inspected.later, *leaning])

    def _check_join(
        self, event: Event, state: Mapping[StateKey, str], at_hand: Mapping[str, Event], create: Event
    ) -> None:
        """Our own join, by the state that it was made for."""
        auth = [at_hand[one] for one in event.auth_events if one in at_hand]
        by_auth = decide_by_auth_events(
            event, auth, frozenset(), create if event.version.format.room_id_is_create_hash else None
        )
        if len(auth) < len(event.auth_events) or by_auth.violation is not None:
            raise PeerError(f"the join is not allowed by what it leans on: {by_auth.violation}")
        try:
            authorise(event, lambda key: at_hand.get(state.get(key, "")))
        except AuthRuleViolation as violation:
            raise PeerError(f"the join is not allowed by the room's state: {violation.message}") from None

    async def _signed(self, event: Event, told: SendJoinV2Response, server: str) -> Event:
        """Our join with the signature of the server that vouches for it, where one has to."""
        if bytes(told.event) != bytes(NO_PDU):
            return await self._cosigned(event, told.event, server)
        if event.content.get(_VIA) is not None:
            raise PeerError(f"{server} did not sign the join that it authorised")
        return event

    async def _enter_own(self, room: Room, event: Event) -> Room:
        taken = (await self._receive.take(room.id, [event]))[event.event_id]
        if taken.verdict is None or taken.verdict.outcome is not Outcome.ACCEPTED:
            raise PeerError("the join is not allowed by the room's state as it is known here", permanent=False)
        return await self._rooms.get(room.id)

    async def _cosigned(self, event: Event, answered: msgspec.Raw, server: str) -> Event:
        """Our event with another server's signature added to it."""
        try:
            cosigned = read(answered, event.version)
        except InvalidEvent as error:
            raise PeerError(f"{server} answered with what is no event: {error.message}") from None
        if cosigned.event_id != event.event_id or whole(cosigned) is not cosigned:
            raise PeerError(f"{server} answered with another event than it was given")
        failed = await self._incoming.failed_signatures([cosigned])
        if failed:
            raise PeerError(f"what {server} signed is not signed well: {failed[cosigned.event_id]}")
        return cosigned

    # -- leaving

    async def leave(self, user_id: str, room_id: str, servers: Iterable[str], content: Mapping[str, Any]) -> str:
        """Turns down an invite or takes back a knock; returns the event's id.

        Where no server goes along, or none answers, the room is left here alone: nobody can be kept in it.
        """
        try:
            event = await self._try_each(room_id, servers, lambda one: self._leave(one, user_id, room_id, content))
        except MatrixError as error:
            log.info("a room is left here alone", room_id=room_id, user_id=user_id, reason=error.message)
            event = await self._left_alone(user_id, room_id, content)
        room = await self._rooms.get(room_id)
        await self._outside.put(room.version, event)
        return event.event_id

    async def _leave(self, server: str, user_id: str, room_id: str, content: Mapping[str, Any]) -> Event:
        origin = domain_of(user_id)
        ask = MakeLeaveRequest(room_id=room_id, user_id=user_id)
        answer = await self._peers.call(MAKE_LEAVE, ask, origin=origin, destination=server, timeout=_MAKE_SECONDS)
        version = _version(answer.room_version or "1", server)
        _check_version(version, await self._rooms.get(room_id), server)
        event = self._made(answer.event, version, user_id, room_id, {**content, "membership": "leave"})
        pdu = msgspec.Raw(event.wire)
        request = SendLeaveV2Request(room_id=room_id, event_id=event.event_id, event=pdu)
        try:
            await self._peers.call(SEND_LEAVE_V2, request, origin=origin, destination=server, timeout=_MAKE_SECONDS)
        except Refused as refused:
            if refused.status not in (404, 405) or refused.errcode not in ("M_UNRECOGNIZED", "M_UNKNOWN"):
                raise
            old = SendLeaveV1Request(room_id=room_id, event_id=event.event_id, event=pdu)
            await self._peers.call(SEND_LEAVE_V1, old, origin=origin, destination=server, timeout=_MAKE_SECONDS)
        return event

    async def _left_alone(self, user_id: str, room_id: str, content: Mapping[str, Any]) -> Event:
        room = await self._rooms.get(room_id)
        current_id = room.state_id(_MEMBER, user_id)
        current = await self._rooms.event(current_id) if current_id is not None else None
        template = {
            "prev_events": [],
            "auth_events": [],
            "depth": current.event.depth + 1 if current is not None else 1,
        }
        return self._event(template, room.version, user_id, room_id, {**content, "membership": "leave"})

    # -- knocking

    async def knock(self, user_id: str, room_id: str, servers: Iterable[str], content: Mapping[str, Any]) -> str:
        """Asks to be let into a room; returns the event's id."""
        return await self._try_each(room_id, servers, lambda one: self._knock(one, user_id, room_id, content))

    async def _knock(self, server: str, user_id: str, room_id: str, content: Mapping[str, Any]) -> str:
        origin = domain_of(user_id)
        versions = [one.identifier for one in ROOM_VERSIONS.values() if one.auth.knock]
        ask = MakeKnockRequest(room_id=room_id, user_id=user_id, ver=versions)
        answer = await self._peers.call(
            MAKE_KNOCK, ask, origin=origin, destination=server, timeout=_MAKE_SECONDS, even_if_backed_off=True
        )
        version = _version(answer.room_version, server)
        event = self._made(answer.event, version, user_id, room_id, {**content, "membership": "knock"})
        request = SendKnockRequest(room_id=room_id, event_id=event.event_id, event=msgspec.Raw(event.wire))
        told = await self._peers.call(
            SEND_KNOCK, request, origin=origin, destination=server, timeout=_MAKE_SECONDS, even_if_backed_off=True
        )
        preview = await read_preview(self._incoming, room_id, version, told.knock_room_state)
        await self._outside.put(version, event, preview.shown)
        return event.event_id

    # -- events

    def _made(
        self,
        template: msgspec.Raw,
        version: RoomVersion,
        user_id: str,
        room_id: str,
        content: Mapping[str, Any],
        *,
        keep: Sequence[str] = (),
    ) -> Event:
        """An event of ours at the place in the graph that a template names. Raises `PeerError`."""
        try:
            given = decode(template, version)
        except InvalidEvent as error:
            raise PeerError(f"the template is no JSON: {error.message}") from None
        if not isinstance(given, dict):
            raise PeerError("the template is no object")
        offered = given.get("content")
        kept = {key: offered[key] for key in keep if isinstance(offered, dict) and key in offered}
        return self._event(given, version, user_id, room_id, {**content, **kept})

    def _event(
        self, place: Mapping[str, Any], version: RoomVersion, user_id: str, room_id: str, content: Mapping[str, Any]
    ) -> Event:
        identity = self._identities[domain_of(user_id)]
        pdu: dict[str, Any] = {
            "type": _MEMBER,
            "sender": user_id,
            "state_key": user_id,
            "room_id": room_id,
            "content": dict(content),
            "origin_server_ts": self._now_ms(),
            **{key: place.get(key) for key in ("depth", "prev_events", "auth_events")},
        }
        if version.format.event_id is EventIdFormat.SERVER_ASSIGNED:
            pdu["event_id"] = f"${identity.new_localpart()}:{identity.server_name}"
        try:
            return seal(pdu, version, identity.server_name, identity.signing_key)
        except (InvalidEvent, BadJson) as error:
            raise PeerError(f"nothing can be made of the template: {error.message}") from None

    async def _try_each(self, room_id: str, servers: Iterable[str], attempt: Callable[[str], Awaitable[T]]) -> T:
        """The first success. Raises as a client is told: the first refusal, or that nobody could be reached."""
        chosen = [name for name in dict.fromkeys(servers) if name and not self._rooms.is_local(name)][:_SERVERS]
        if not chosen:
            raise NotFound("This server knows no such room, and nobody to ask for it.")
        errors: list[PeerError | Unreachable | NotNow] = []
        for server in chosen:
            try:
                return await attempt(server)
            except FAILURES as error:
                log.info("a server did not go along", room_id=room_id, server=server, reason=str(error))
                errors.append(error)
        raise told_to_client(errors)


def told_to_client(
    errors: Sequence[PeerError | Unreachable | NotNow], who: str = "No server of the room"
) -> MatrixError:
    """What a client is told where every server failed."""
    for error in errors:
        if isinstance(error, Refused) and error.status < 500 and error.status != 401:
            kind = BY_ERRCODE.get(error.errcode)
            if kind is not None:
                return kind(error.text, status=error.status if error.status in (400, 403, 404) else None)
            if error.errcode.startswith("M_") and error.status in (400, 403, 404):
                return MatrixError(error.text, errcode=error.errcode, status=error.status)
    reason = str(errors[0]) if errors else "there is no other server"
    if all(isinstance(error, Unreachable | NotNow) for error in errors):
        return MatrixError(f"{who} could be reached: {reason}", errcode="M_UNKNOWN", status=502)
    return Forbidden(f"{who} went along: {reason}")


def _version(identifier: str, server: str) -> RoomVersion:
    try:
        return ROOM_VERSIONS[identifier]
    except KeyError:
        raise PeerError(f"{server} offers room version {identifier[:32]!r}, which is not known here") from None


def is_as_good(offered: RoomVersion, known: RoomVersion) -> bool:
    """Whether a room may be offered as one of a version. The oldest handshakes don't tell 1 and 2 apart."""
    return offered is known or (offered.format.references_are_pairs and known.format.references_are_pairs)


def _check_version(offered: RoomVersion, room: Room, server: str) -> None:
    """Raises `PeerError` where a server offers a room that is known here as one of another version."""
    if not is_as_good(offered, room.version):
        raise PeerError(f"{server} offers {room.id} as one of version {offered.identifier}, which it is not")


def _as_v2(told: SendJoinV1Room) -> SendJoinV2Response:
    return SendJoinV2Response(auth_chain=told.auth_chain, state=told.state)


def _enter(tx: WriteTransaction, entry: _Entry, new_snapshot_id: Callable[[], int]) -> None:
    """Puts the server into a room: its state, our join on top, and where its past goes on elsewhere."""
    room, event = entry.place.number, entry.event
    row = room_store.by_number(tx, room)
    if row is None or row.room_id != event.room_id:
        raise NotFound("The room was deleted while it was being joined.")
    if events_row := event_store.by_id(tx, event.event_id):
        log.info("joined already", event_id=events_row.event.event_id)
        return
    unplace(tx, room)
    applied = room_store.applied(tx, room)
    if applied is None:
        base = Snapshot.root(new_snapshot_id())
        snapshots.insert(tx, room, base)
    else:
        base = snapshots.load(tx, applied)
    changes: dict[StateKey, str | None] = {k: v for k, v in entry.state.items() if base.state.get(k) != v}
    changes.update((key, None) for key in base.state if key not in entry.state)
    after = base.child(new_snapshot_id(), {**changes, event.key: event.event_id})
    replaced = entry.state.get(event.key)
    stored = StoredEvent(
        event,
        room=room,
        snapshot=after.id,
        replaces=event_store.by_id(tx, replaced) if replaced is not None else None,
        transactions={},
        passing=event_store.HANDED_OVER,
    )
    stored.position = event_store.insert(tx, stored)
    snapshots.insert(tx, room, after, {event.event_id: stored.position})
    placed = event_store.which_are_placed(tx, event.prev_events)
    missing = [one for one in event.prev_events if one not in placed]
    gaps.add(tx, room, event, missing, wanted=False, followed=True)
    front.enter(tx, room, event.event_id)
    current_state.make_current(tx, room, after, {**entry.known, event.event_id: stored})
    resolutions.tell(tx, room, after.id)
