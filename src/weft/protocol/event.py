"""An event: the PDU as it travels between servers, and what everybody asks of it.

An `Event` is a value. Its `pdu` and all within is never changed after construction; whoever needs another
one makes a new one. `parse` is for what comes from outside and checks everything; `stored` and `unread` are for what
our own database vouches for and check nothing; `seal` makes an event of ours. `unsigned` is not part of an
event here: what other servers put there proves nothing, and our own goes with the client's form.

Hashes and signatures are made over the redacted event, so that they outlive a redaction.

Rules: https://spec.matrix.org/v1.19/server-server-api/#pdus
       https://spec.matrix.org/v1.19/server-server-api/#signing-events
       https://spec.matrix.org/v1.19/rooms/v12/#event-format
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import orjson

from weft.protocol import canonical_json
from weft.protocol.errors import BadJson, InvalidEvent, PeerError
from weft.protocol.event_format import check_seals, check_size, check_template
from weft.protocol.identifiers import domain_of, is_valid_user_id
from weft.protocol.redaction import redact
from weft.protocol.room_versions import EventIdFormat, RoomVersion
from weft.protocol.signatures import (
    SigningKey,
    VerifyKey,
    decode_base64,
    encode_base64,
    encode_base64_url_safe,
    key_ids_of,
    signature_of,
    with_signature,
)

if TYPE_CHECKING:
    from weft.protocol.power_levels import PowerLevels

#: Where a state event stands in a room's state: its type and its state key.
StateKey: TypeAlias = tuple[str, str]

#: Finds a server's key by server name and key id. None if it has none that counts for this event.
KeyLookup: TypeAlias = Callable[[str, str], VerifyKey | None]

_UNHASHED: Final = frozenset({"hashes", "signatures", "unsigned"})
_READ_LATE: Final = frozenset({"pdu", "content", "prev_events", "auth_events"})
_ABSENT: Final = object()


class Event:
    """One event of a room; equal to another if it has the same id.

    `prev_events` and `auth_events` are ids in every room version. `state_key` is None for what is not state.

    What an event that was made by `unread` has of its JSON is read when it is first asked for: of most of the events
    that are at hand nobody wants more than where they stand.
    """

    __slots__ = (
        "_signed",
        "_wire",
        "auth_events",
        "content",
        "depth",
        "event_id",
        "origin_server_ts",
        "parsed_power_levels",
        "pdu",
        "prev_events",
        "room_id",
        "sender",
        "state_key",
        "type",
        "version",
    )

    def __init__(self, pdu: dict[str, Any], version: RoomVersion, event_id: str, wire: bytes | None = None) -> None:
        self.version: RoomVersion = version
        self.event_id: str = event_id
        room_id: str | None = pdu.get("room_id")
        #: Where the create event's id is the room's, the create event itself does not say it.
        self.room_id: str = "!" + event_id[1:] if room_id is None else room_id
        self.type: str = pdu["type"]
        self.state_key: str | None = pdu.get("state_key")
        self.sender: str = pdu["sender"]
        self.depth: int = pdu["depth"]
        self.origin_server_ts: int = pdu["origin_server_ts"]
        self._read(pdu)
        self._wire: bytes | None = wire
        #: What its signatures cover, from `parse` until `verify` has needed it.
        self._signed: bytes | None = None
        #: Kept by `PowerLevels.of`, so that one event is read once.
        self.parsed_power_levels: PowerLevels | None = None

    @classmethod
    def parse(cls, pdu: object, version: RoomVersion, *, decoded: bool = False) -> Event:
        """Reads a PDU that anybody may have made. Raises `InvalidEvent` if it breaks the version's event format.

        Says nothing about hashes, signatures or permission. Drops `unsigned`. `decoded`: it was read by what reads the
        canonical JSON of this room version, so that its values need no second look.
        """
        if type(pdu) is not dict:
            raise InvalidEvent("The event is not a JSON object.")
        if "unsigned" in pdu:
            if type(pdu["unsigned"]) is not dict:
                raise InvalidEvent("The event's unsigned is not an object.")
            pdu = {key: value for key, value in pdu.items() if key != "unsigned"}
        check_template(pdu, version)
        check_seals(pdu)
        try:
            if not decoded:
                _check_values(pdu, version)
            wire = _encode(pdu, version)
        except BadJson as error:
            raise InvalidEvent(error.message) from None
        check_size(wire)
        signed = _signed_bytes(pdu, version)
        if version.format.event_id is EventIdFormat.SERVER_ASSIGNED:
            event_id: str = pdu["event_id"]
        else:
            event_id = _id_from_hash(sha256(signed).digest(), version.format.event_id)
        event = cls(pdu, version, event_id, wire)
        event._signed = signed
        return event

    @classmethod
    def stored(cls, pdu: dict[str, Any], version: RoomVersion, event_id: str, wire: bytes | None = None) -> Event:
        """An event that was checked before; `wire` is its canonical JSON where that is at hand."""
        return cls(pdu, version, event_id, wire)

    @classmethod
    def unread(
        cls,
        wire: bytes,
        version: RoomVersion,
        event_id: str,
        *,
        room_id: str,
        type: str,
        state_key: str | None,
        sender: str,
        depth: int,
        origin_server_ts: int,
    ) -> Event:
        """As `stored`, from canonical JSON that is not read yet and what is known of it."""
        event = cls.__new__(cls)
        event.version = version
        event.event_id = event_id
        event.room_id = room_id
        event.type = type
        event.state_key = state_key
        event.sender = sender
        event.depth = depth
        event.origin_server_ts = origin_server_ts
        event._wire = wire
        event._signed = None
        event.parsed_power_levels = None
        return event

    if not TYPE_CHECKING:  # for the type checker every attribute is simply there

        def __getattr__(self, name: str) -> Any:
            """Called for a slot that is empty: what `unread` left out."""
            if name not in _READ_LATE:
                raise AttributeError(f"an event has no {name}")
            self._read(decode(self._wire, self.version))
            return getattr(self, name)

    def _read(self, pdu: dict[str, Any]) -> None:
        self.pdu: dict[str, Any] = pdu
        self.content: dict[str, Any] = pdu["content"]
        if self.version.format.references_are_pairs:
            self.prev_events: tuple[str, ...] = tuple([pair[0] for pair in pdu["prev_events"]])
            self.auth_events: tuple[str, ...] = tuple([pair[0] for pair in pdu["auth_events"]])
        else:
            self.prev_events = tuple(pdu["prev_events"])
            self.auth_events = tuple(pdu["auth_events"])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Event) and self.event_id == other.event_id

    def __hash__(self) -> int:
        return hash(self.event_id)

    def __repr__(self) -> str:
        key = "" if self.state_key is None else f" {self.state_key!r}"
        return f"<Event {self.event_id} {self.type}{key} by {self.sender}>"

    @property
    def wire(self) -> bytes:
        """The PDU as canonical JSON: what is stored and what other servers get."""
        wire = self._wire
        if wire is None:
            wire = self._wire = _encode(self.pdu, self.version)
        return wire

    @property
    def is_state(self) -> bool:
        return self.state_key is not None

    @property
    def key(self) -> StateKey:
        """Only state events have one; asking another is a mistake of ours."""
        if self.state_key is None:
            raise ValueError(f"{self!r} is not a state event.")
        return (self.type, self.state_key)

    @property
    def sender_domain(self) -> str:
        return self.sender.partition(":")[2]

    @property
    def membership(self) -> str | None:
        """None for what is not an `m.room.member` state event with a membership."""
        if self.type != "m.room.member" or self.state_key is None:
            return None
        membership = self.content.get("membership")
        return membership if type(membership) is str else None

    @property
    def redacts(self) -> str | None:
        """The id of the event that this redaction is about, from where the room version keeps it."""
        if self.type != "m.room.redaction":
            return None
        target = (self.content if self.version.redaction.redacts_in_content else self.pdu).get("redacts")
        return target if type(target) is str else None

    def redacted(self) -> Event:
        """What is left when the event is redacted: another PDU under the same id."""
        return Event(redact(self.pdu, self.version), self.version, self.event_id)


# Hashes


def content_hash(pdu: dict[str, Any], version: RoomVersion) -> str:
    """What belongs in `hashes.sha256`: it covers all that the sender wrote. Unpadded base64."""
    return encode_base64(_content_digest(pdu, version))


def check_content_hash(event: Event) -> bool:
    """False means that the event isn't as its sender made it (perhaps it came redacted): use `event.redacted()`."""
    digest = _content_digest(event.pdu, event.version)
    said = event.pdu["hashes"]["sha256"]
    if said == encode_base64(digest):
        return True
    try:
        return decode_base64(said) == digest
    except ValueError:
        return False


def reference_hash(pdu: dict[str, Any], version: RoomVersion) -> bytes:
    """SHA-256 of the redacted event without signatures: what ids are made of from room version 3 on."""
    return sha256(_signed_bytes(pdu, version)).digest()


def event_id_of(pdu: dict[str, Any], version: RoomVersion) -> str:
    """The event's id: its hash, or in room versions 1 and 2 what the PDU says."""
    if version.format.event_id is EventIdFormat.SERVER_ASSIGNED:
        event_id: str = pdu["event_id"]
        return event_id
    return _id_from_hash(reference_hash(pdu, version), version.format.event_id)


# Signatures


def seal(pdu: dict[str, Any], version: RoomVersion, server_name: str, signing_key: SigningKey) -> Event:
    """Makes an event of ours from a PDU that lacks just `hashes` and `signatures`; adds these, in a new PDU.

    Raises `InvalidEvent` or `BadJson` for what the room version forbids: most of it came from a client.
    """
    check_template(pdu, version)
    _check_values({"content": pdu["content"]}, version)
    # The content is encoded once; its bytes are spliced into what is hashed and into what is sent.
    content = _encode(pdu["content"], version)
    sealed = {key: value for key, value in pdu.items() if key not in _UNHASHED}
    body = {**sealed, "content": orjson.Fragment(content)}
    digest = sha256(canonical_json.encode_checked(body)).digest()
    body["hashes"] = sealed["hashes"] = {"sha256": encode_base64(digest)}
    signed = _signed_bytes(sealed, version)
    signature = encode_base64(signing_key.sign(signed))
    body["signatures"] = sealed["signatures"] = {server_name: {signing_key.key_id: signature}}
    wire = canonical_json.encode_checked(body)
    check_size(wire)
    id_format = version.format.event_id
    if id_format is EventIdFormat.SERVER_ASSIGNED:
        return Event(sealed, version, pdu["event_id"], wire)
    return Event(sealed, version, _id_from_hash(sha256(signed).digest(), id_format), wire)


def cosign(event: Event, server_name: str, signing_key: SigningKey) -> Event:
    """The same event with one more signature, as the server that vouches for an invite or a restricted join adds it."""
    signature = encode_base64(signing_key.sign(_signed_bytes(event.pdu, event.version)))
    pdu = with_signature(event.pdu, server_name, signing_key.key_id, signature)
    cosigned = Event(pdu, event.version, event.event_id)
    check_size(cosigned.wire)
    return cosigned


def sign(event: Event, signing_key: SigningKey) -> str:
    """A signature of the event by any key, in unpadded base64; the event stays as it is."""
    return encode_base64(signing_key.sign(_signed_bytes(event.pdu, event.version)))


def is_signed_by(event: Event, server_name: str, key: VerifyKey) -> bool:
    """Whether the event carries a good signature of a server by that very key."""
    if key.key_id not in key_ids_of(event.pdu, server_name):
        return False
    try:
        return key.verifies(_signed_bytes(event.pdu, event.version), signature_of(event.pdu, server_name, key.key_id))
    except PeerError:
        return False


def required_signers(event: Event) -> frozenset[str]:
    """The servers without whose signature the event is worth nothing. Raises `PeerError` if that can't be told.

    Empty only for an invite to a third party, which may be sent by another server than its sender's:
    there the authorisation rules look for the identity server's signature.
    """
    signers = set()
    rules = event.version
    if not _is_third_party_invite(event):
        signers.add(event.sender_domain)
    if rules.format.event_id is EventIdFormat.SERVER_ASSIGNED:
        signers.add(domain_of(event.event_id))
    if rules.auth.restricted and event.type == "m.room.member":
        authoriser = event.content.get("join_authorised_via_users_server", _ABSENT)
        if authoriser is not _ABSENT:
            if type(authoriser) is not str or not is_valid_user_id(authoriser):
                raise PeerError(f"{event.event_id}: join_authorised_via_users_server is not a user id.")
            signers.add(domain_of(authoriser))
    return frozenset(signers)


def verify(event: Event, keys: KeyLookup) -> None:
    """Raises `PeerError` unless every server that must have signed did, and none of its signatures is wrong.

    `keys` answers None for keys that are unknown or were not valid at the event's time; those are skipped. Where that
    leaves none the error is not `permanent`: with more keys at hand the same event may pass.
    """
    signers = required_signers(event)
    message = event._signed or _signed_bytes(event.pdu, event.version)
    event._signed = None
    for server_name in signers:
        found = False
        for key_id in key_ids_of(event.pdu, server_name):
            key = keys(server_name, key_id)
            if key is None:
                continue
            if not key.verifies(message, signature_of(event.pdu, server_name, key_id)):
                raise PeerError(f"{event.event_id}: the signature of {server_name} by its key {key_id} does not match.")
            found = True
        if not found:
            text = f"{event.event_id}: there is no signature of {server_name} by a key that counts."
            raise PeerError(text, permanent=not key_ids_of(event.pdu, server_name))


def _is_third_party_invite(event: Event) -> bool:
    return event.membership == "invite" and "third_party_invite" in event.content


# Bytes


def _signed_bytes(pdu: dict[str, Any], version: RoomVersion) -> bytes:
    """What signatures and the reference hash are made over."""
    redacted = redact(pdu, version)
    redacted.pop("signatures", None)
    return _encode(redacted, version)


def _content_digest(pdu: dict[str, Any], version: RoomVersion) -> bytes:
    body = {key: value for key, value in pdu.items() if key not in _UNHASHED}
    return sha256(_encode(body, version)).digest()


def _check_values(value: dict[str, Any], version: RoomVersion) -> None:
    """Raises `BadJson` for what has no canonical JSON in this room version."""
    if version.format.strict_canonical_json:
        canonical_json.check(value)
    else:
        canonical_json.check_lax(value)


def decode(wire: bytes, version: RoomVersion) -> dict[str, Any]:
    """Reads the JSON of what is known to be an event."""
    # Lax rooms may hold numbers that only the lax decoder knows.
    read = orjson.loads if version.format.strict_canonical_json else canonical_json.decode_lax
    pdu: dict[str, Any] = read(wire)
    return pdu


def _encode(value: dict[str, Any], version: RoomVersion) -> bytes:
    """Canonical JSON of checked values; lax rooms may hold numbers that only the lax encoder knows."""
    if version.format.strict_canonical_json:
        return canonical_json.encode_checked(value)
    return canonical_json.encode_lax(value)


def _id_from_hash(digest: bytes, id_format: EventIdFormat) -> str:
    encode = encode_base64_url_safe if id_format is EventIdFormat.URL_SAFE_BASE64 else encode_base64
    return "$" + encode(digest)
