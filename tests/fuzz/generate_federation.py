"""Requests of a server that means ill: as `generate` makes them, with events and ephemeral messages that nearly fit."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import msgspec

from tests.fuzz.generate import Generator, Made, World
from weft.protocol.api.endpoint import Endpoint
from weft.protocol.errors import InvalidEvent, MatrixError
from weft.protocol.event import Event, seal
from weft.protocol.signatures import SigningKey

#: Edu types, each with content that would be right; `USER` is the stranger's and `THEIRS` a user of the server's.
USER, THEIRS, ROOM, EVENT = "<user>", "<theirs>", "<room>", "<event>"
_KEYS = {
    "user_id": USER,
    "device_id": "DEV",
    "algorithms": ["m.olm.v1.curve25519-aes-sha2"],
    "keys": {"ed25519:DEV": "A" * 43, "curve25519:DEV": "B" * 43},
    "signatures": {USER: {"ed25519:DEV": "A" * 86}},
}
_MASTER = {"user_id": USER, "usage": ["master"], "keys": {"ed25519:" + "A" * 43: "A" * 43}}
EDUS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("m.typing", {"room_id": ROOM, "user_id": USER, "typing": True}),
    ("m.receipt", {ROOM: {"m.read": {USER: {"data": {"ts": 1, "thread_id": "main"}, "event_ids": [EVENT]}}}}),
    ("m.presence", {"push": [{"user_id": USER, "presence": "online", "last_active_ago": 1, "status_msg": "hi"}]}),
    ("m.direct_to_device", {"sender": USER, "type": "m.x", "message_id": "m1", "messages": {THEIRS: {"*": {"a": 1}}}}),
    (
        "m.device_list_update",
        {"user_id": USER, "device_id": "DEV", "stream_id": 2, "prev_id": [1], "keys": _KEYS, "deleted": False},
    ),
    ("m.signing_key_update", {"user_id": USER, "master_key": _MASTER, "self_signing_key": _MASTER}),
    ("org.example.unknown", {"anything": [1]}),
)


class FederationGenerator(Generator):
    """`key` signs for the server `name`. `events` are events of its own that could be taken; put in fresh ones."""

    def __init__(self, seed: int, world: World, name: str, key: SigningKey) -> None:
        super().__init__(seed, world)
        self._name, self._key = name, key
        self.events: Sequence[Event] = ()
        self._about: Event | None = None

    def request(self, endpoint: Endpoint[Any, Any]) -> Made:
        """One request, most often about one of the events in all its parts."""
        self._about = self.random.choice(self.events) if self.random.random() < 0.8 else None
        return super().request(endpoint)

    def _text(self, name: str, wrongness: float) -> str:
        about = self._about
        if about is not None and self.random.random() >= wrongness:
            told = {"roomId": about.room_id, "eventId": about.event_id, "userId": about.state_key or about.sender}
            if name in told:
                return told[name]
        return super()._text(name, wrongness)

    def _value(self, name: str, kind: Any, wrongness: float, depth: int = 0) -> Any:
        if name == "event" and self.random.random() < 0.95:
            return self._pdu(wrongness)
        return super()._value(name, kind, wrongness, depth)

    def _of_type(self, name: str, info: Any, wrongness: float, depth: int) -> Any:
        if isinstance(info, msgspec.inspect.RawType | msgspec.inspect.CustomType):
            if name in ("pdus", "event") and self.random.random() < 0.95:
                return self._pdu(wrongness)
            if name == "edus" and self.random.random() < 0.95:
                return self._edu(wrongness)
            if name == "invite_room_state":
                return {"type": "m.room.name", "state_key": "", "sender": "@a:b", "content": {"name": "x"}}
        return super()._of_type(name, info, wrongness, depth)

    def _pdu(self, wrongness: float) -> dict[str, Any]:
        """An event, spoiled here and there; its signature and hash may hold nevertheless."""
        event = self._about or self.random.choice(self.events)
        pdu: dict[str, Any] = copy.deepcopy(event.pdu)
        for _ in range(self.random.choice([1, 1, 2, 5]) if self.random.random() < wrongness * 2 else 0):
            self.spoil(pdu)
        if pdu != event.pdu and self.random.random() < 0.7:
            bare = {key: value for key, value in pdu.items() if key not in ("hashes", "signatures")}
            try:
                return seal(bare, event.version, self._name, self._key).pdu
            except (InvalidEvent, MatrixError, TypeError, ValueError, KeyError, AttributeError):
                return pdu  # nothing that can be signed
        return pdu

    def _edu(self, wrongness: float) -> dict[str, Any]:
        edu_type, content = self.random.choice(EDUS)
        edu = {"edu_type": edu_type, "content": self._filled(content)}
        if self.random.random() < wrongness * 2:
            self.spoil(edu["content"])
        return edu

    def _filled(self, value: Any) -> Any:
        if isinstance(value, dict):
            return {self._filled(key): self._filled(one) for key, one in value.items()}
        if isinstance(value, list):
            return [self._filled(one) for one in value]
        about = self._about or self.random.choice(self.events)
        told = {USER: about.sender, ROOM: about.room_id, EVENT: about.event_id, THEIRS: self.world.known["userId"][0]}
        return told.get(value, value) if isinstance(value, str) else value
