"""A hostile server: a Weft whose people act like everybody's, and whose every word to others may be a lie.

It signs its requests as it should, so that nobody turns it away at the door. Of what it sends, and of what it answers,
parts are spoiled, invented, left out, or told to each server otherwise. In some runs it lets others join, and tells of
whole states, at a join and before an event, some of them false: who was told such a one is in `misled`. Who believes
one server's state has it, and no room version has a defence against that.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final
from urllib.parse import unquote

import orjson

from weft.federation.transport import OutgoingRequest
from weft.protocol import canonical_json
from weft.protocol.errors import MatrixError, Unreachable
from weft.protocol.event import seal
from weft.protocol.request_auth import authorization
from weft.protocol.room_versions import ROOM_VERSIONS, RoomVersion
from weft.testing.client import Answer
from weft.testing.server import key_of

NAME: Final = "liar.test"
#: Of its words, how many are lies.
_OFTEN: Final = 0.35
_GIANT: Final = 6 << 20

#: Events by which others are judged.
_JUDGED_BY: Final = frozenset({"m.room.join_rules", "m.room.member", "m.room.power_levels"})

Pdu = dict[str, Any]


class Liar:
    """`version_of` says which version a room is of, None for one that nobody knows."""

    def __init__(self, chance: random.Random, version_of: Callable[[str], str | None], *, tells_states: bool) -> None:
        self._chance = chance
        self._version_of = version_of
        self._key = key_of(NAME)
        self.is_lying = True
        self.told = 0
        self._tells_states = tells_states
        #: Each server and room of whose state it was told a lie.
        self.misled: set[tuple[str, str]] = set()

    # -- what it sends

    async def on_request(self, request: OutgoingRequest) -> OutgoingRequest | None:
        """Spoils its transactions."""
        is_transaction = request.origin == NAME and "/federation/v1/send/" in request.uri
        if not is_transaction or request.body is None or not self._lies():
            return None
        body = orjson.loads(request.body)
        kind = self._chance.choices(
            [self._spoil_events, self._leave_out, self._many, self._giant, self._malformed], [8, 3, 1, 1, 2]
        )[0]
        return self._signed(request, kind(body))

    def _signed(self, request: OutgoingRequest, body: bytes) -> OutgoingRequest:
        try:
            content: bytes | None = canonical_json.canonical_lax(body)
        except MatrixError:
            content = b"{}"
        header = authorization(
            self._key,
            method=request.method,
            uri=request.uri,
            origin=request.origin,
            destination=request.destination,
            content=content,
        )
        headers = {name: value for name, value in request.headers.items() if name.lower() != "authorization"}
        return replace(request, body=body, headers={**headers, "Authorization": header})

    def _spoil_events(self, body: dict[str, Any]) -> bytes:
        kinds = [self._wrong_signature, self._wrong_hash, self._invented_past, self._another_event]
        made: list[Pdu] = []
        for pdu in body["pdus"]:
            made.append(self._chance.choice(kinds)(pdu) if self._chance.random() < 0.7 and _has_hash(pdu) else pdu)
            if self._chance.random() < 0.2 and _has_hash(pdu):
                made.append(self._another_event(pdu))
        return orjson.dumps({**body, "pdus": made})

    def _leave_out(self, body: dict[str, Any]) -> bytes:
        return orjson.dumps({**body, "pdus": [pdu for pdu in body["pdus"] if self._chance.random() < 0.3]})

    def _many(self, body: dict[str, Any]) -> bytes:
        return orjson.dumps({**body, "pdus": (body["pdus"] or [{}]) * 60})

    def _giant(self, body: dict[str, Any]) -> bytes:
        kept = body["pdus"][:1]
        if kept and self._chance.random() < 0.5:
            kept = [{**kept[0], "content": {"body": "x" * 70_000}}]
            return orjson.dumps({**body, "pdus": kept})
        return orjson.dumps({**body, "junk": "x" * _GIANT})

    def _malformed(self, body: dict[str, Any]) -> bytes:
        return self._chance.choice(
            [
                b"",
                b"{",
                b"[" * 2_000,
                b'{"pdus":1}',
                orjson.dumps({**body, "pdus": [1, None, "x", [], {}, {"room_id": 7}]}),
                orjson.dumps({**body, "edus": [1, {"edu_type": "m.typing", "content": 3}]}),
                orjson.dumps({**body, "pdus": [{**pdu, "prev_events": "none"} for pdu in body["pdus"]]}),
                orjson.dumps({**body, "pdus": [{**pdu, "depth": -1} for pdu in body["pdus"]]}),
                orjson.dumps({**body, "pdus": [{**pdu, "auth_events": [[]]} for pdu in body["pdus"]]}),
            ]
        )

    # -- events

    def _wrong_signature(self, pdu: Pdu) -> Pdu:
        return {**pdu, "signatures": {NAME: {self._key.key_id: "A" * 86}}}

    def _wrong_hash(self, pdu: Pdu) -> Pdu:
        """The signature covers what redaction leaves, so it still holds.

        Before room version 11 that is not all that the rules look at: who has the event redacted judges otherwise from
        then on, which no server can mend.
        """
        version = self._version(pdu)
        if pdu.get("type") in _JUDGED_BY and (version is None or not version.redaction.keep_power_levels_invite):
            return self._wrong_signature(pdu)
        return {**pdu, "content": {**pdu["content"], "body": "not what was said"}}

    def _invented_past(self, pdu: Pdu) -> Pdu:
        version = self._version(pdu)
        if version is None or version.format.references_are_pairs:
            return self._wrong_signature(pdu)
        invented = "$" + "".join(self._chance.choices("abcdefghijklmnopqrstuvwxyz0123456789", k=43))
        past = [invented] if self._chance.random() < 0.5 else [*pdu["prev_events"], invented]
        return self._sealed({**pdu, "prev_events": past, "depth": pdu["depth"] + 1}, version)

    def _another_event(self, pdu: Pdu) -> Pdu:
        """Another one at the same place, which only one server gets to see."""
        version = self._version(pdu)
        if version is None or pdu.get("sender", "").partition(":")[2] != NAME:
            return pdu
        content = {**pdu["content"], "name": f"lie {self._chance.randrange(1000)}", "topic": "lies"}
        return self._sealed({**pdu, "content": content}, version)

    def _sealed(self, pdu: Pdu, version: RoomVersion) -> Pdu:
        bare = {name: value for name, value in pdu.items() if name not in ("hashes", "signatures", "unsigned")}
        if "event_id" in bare:
            bare["event_id"] = f"$lie{self._chance.randrange(1 << 60)}:{NAME}"
        return seal(bare, version, NAME, self._key).pdu

    def _version(self, pdu: Pdu) -> RoomVersion | None:
        known = self._version_of(pdu.get("room_id") or "")
        is_own = pdu.get("sender", "").partition(":")[2] == NAME
        return ROOM_VERSIONS[known] if known is not None and is_own else None

    # -- what it answers

    async def on_question(self, request: OutgoingRequest) -> None:
        """Now and then it does not answer at all."""
        if request.destination == NAME and self.is_lying and self._chance.random() < 0.05:
            self.told += 1
            raise Unreachable(f"{NAME} does not say a word")

    def on_reply(self, request: OutgoingRequest, answer: Answer) -> Answer:
        """Another answer in place of the true one."""
        path = request.uri.partition("?")[0]
        if request.destination != NAME or answer.status != 200 or "/federation/" not in path:
            return answer
        asked = path.split("/")[4]
        body = answer.json
        if asked in ("state", "state_ids", "make_join") and not self._tells_states:
            self.told += 1
            return self._chance.choice([self._nothing, self._garbage])(body)
        if not self._lies():
            return answer
        if asked in ("get_missing_events", "backfill", "event"):
            return self._chance.choice([self._nothing, self._less, self._spoiled, self._garbage])(body)
        if asked in ("state", "state_ids") or (asked == "send_join" and self._tells_states):
            if self._chance.random() < 0.3 or not isinstance(body, dict):
                return self._garbage(body)
            self.misled.add((request.origin, unquote(path.split("/")[5])))
            return self._another_state(body)
        if asked in ("event_auth", "make_leave", "make_knock", "make_join"):
            return self._chance.choice([self._nothing, self._garbage])(body)
        if asked in ("send_join", "send_leave", "send_knock", "invite"):
            return self._garbage(body)
        return answer

    def _another_state(self, body: Any) -> Answer:
        """A state in which things are missing, or are said by its own people that the others have never heard."""

        def change(values: list[Any]) -> list[Any]:
            kept = [one for one in values if self._chance.random() < 0.75 or _is_create(one)]
            return [
                self._another_event(one)
                if isinstance(one, dict) and _has_hash(one) and self._chance.random() < 0.3
                else one
                for one in kept
            ]

        states = {name: change(body[name]) for name in ("state", "pdus", "pdu_ids") if name in body}
        return _json({**body, **states})

    def _nothing(self, body: Any) -> Answer:
        empty = {name: [] if isinstance(value, list) else value for name, value in body.items()}
        return self._chance.choice([_json(empty), _json({"errcode": "M_NOT_FOUND", "error": "no"}, 404)])

    def _less(self, body: Any) -> Answer:
        def some(values: list[Any]) -> list[Any]:
            return [one for one in values if self._chance.random() < 0.5]

        return _json({name: some(value) if isinstance(value, list) else value for name, value in body.items()})

    def _spoiled(self, body: Any) -> Answer:
        kinds = [self._wrong_signature, self._wrong_hash, self._invented_past, self._another_event]

        def spoil(value: Any) -> Any:
            return self._chance.choice(kinds)(value) if isinstance(value, dict) and _has_hash(value) else value

        return _json(
            {name: list(map(spoil, value)) if isinstance(value, list) else value for name, value in body.items()}
        )

    def _garbage(self, body: Any) -> Answer:
        names = list(body) if isinstance(body, dict) else []
        return self._chance.choice(
            [
                Answer(200, {}, b"{"),
                _json([]),
                _json(dict.fromkeys(names, 7)),
                _json({name: [{}, 3] for name in names}),
                _json({"errcode": "M_UNKNOWN", "error": "x" * 5_000}, 500),
            ]
        )

    def _lies(self) -> bool:
        if not self.is_lying or self._chance.random() >= _OFTEN:
            return False
        self.told += 1
        return True


def _has_hash(pdu: Pdu) -> bool:
    """Whether an event's id is its hash. In rooms of versions 1 and 2 one id may stand for several events."""
    return "content" in pdu and "event_id" not in pdu


def _is_create(event: Any) -> bool:
    return isinstance(event, dict) and event.get("type") == "m.room.create"


def _json(value: object, status: int = 200) -> Answer:
    return Answer(status, {"content-type": "application/json"}, orjson.dumps(value))
