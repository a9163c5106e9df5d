"""Rooms drawn as text, for tests of everything that works on events: authorisation, state resolution, graphs.

    room = draw("10", '''
        create                alice create
        alice   <- create     alice join
        power   <- alice      alice power {"alice": 100, "bob": 50}
        public  <- power      alice rule:public
        bob     <- public     bob@b join
        topic   <- bob        alice m.room.topic/ {"topic": "Weaving"}
        ban     <- topic      alice ban:bob@b
        hello   <- topic      bob@b message
        merge   <- ban,hello  alice message {"body": "both"} ts=99
    ''')
    room["ban"].depth, room.names(room["merge"].prev_events)

A line is `name [<- prev,prev] sender what [content] [auth=name,name] [ts=number]`. What may be sent:

* `create`, `join`, `leave`, `knock`; `invite:user`, `kick:user`, `ban:user`, `unban:user`
* `power` with `{"alice": 100, "ban": 60}`: what isn't a key of power levels is a user
* `rule:public` for join rules; `message`
* `some.type/key` for any state event, `some.type` for any other

`alice` is `@alice:a`, `bob@b` is `@bob:b`; what begins with `@` is taken as it is, also within contents.

Ids follow from the names (`$ban`, with the sender's domain in room versions 1 and 2), the time is the line's
number, hashes and signatures are empty. Unless `auth=` names them, auth events are selected from the state
before the event, which is the union of what its predecessors leave: where they differ, the last one named wins.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from weft.protocol.event import Event, StateKey
from weft.protocol.event_auth import auth_event_keys
from weft.protocol.power_levels import DEFAULTS
from weft.protocol.room_versions import EventIdFormat, RoomVersion, room_version

_LINE = re.compile(
    r"(?P<name>\S+)(?:\s*<-\s*(?P<prev>\S+))?\s+(?P<sender>\S+)\s+(?P<what>\S+)"
    r"(?:\s+(?P<content>\{.*\}))?(?:\s+auth=(?P<auth>\S*))?(?:\s+ts=(?P<ts>-?\d+))?"
)
_OWN_MEMBERSHIP = frozenset({"join", "leave", "knock"})
_OTHERS_MEMBERSHIP = {"invite": "invite", "kick": "leave", "unban": "leave", "ban": "ban"}
_POWER_LEVELS_KEYS = frozenset({*DEFAULTS, "users", "events", "notifications"})


class Room:
    """A room of one version; events by the names that the test gives them, in the order in which they came."""

    def __init__(self, version: str | RoomVersion = "12", room_id: str = "!room:a") -> None:
        self.version = room_version(version) if isinstance(version, str) else version
        self.room_id = room_id
        self.events: dict[str, Event] = {}
        self._states: dict[str, dict[StateKey, Event]] = {}

    def __getitem__(self, name: str) -> Event:
        return self.events[name]

    def add(
        self,
        name: str,
        sender: str,
        event_type: str,
        content: Mapping[str, Any] | None = None,
        *,
        key: str | None = None,
        prev: Sequence[str] | None = None,
        auth: Sequence[str] | None = None,
        ts: int | None = None,
        **fields: Any,
    ) -> Event:
        """Adds an event after `prev`, or after the last one added; `fields` go into the PDU as they are."""
        if prev is None:
            prev = list(self.events)[-1:]
        sender, body = user(sender), dict(content or {})
        before = self.state_after(*prev)
        if auth is None:
            keys = auth_event_keys(event_type, key, sender, body, self.version)
            auth_ids = [before[place].event_id for place in keys if place in before]
        else:
            auth_ids = [self[other].event_id for other in auth]
        event_id = self._event_id(name, sender)
        pdu: dict[str, Any] = {
            "room_id": self.room_id,
            "sender": sender,
            "type": event_type,
            "content": body,
            "depth": 1 + max((self[other].depth for other in prev), default=0),
            "origin_server_ts": len(self.events) if ts is None else ts,
            "prev_events": self._references(self[other].event_id for other in prev),
            "auth_events": self._references(auth_ids),
            "hashes": {"sha256": ""},
            "signatures": {},
            **fields,
        }
        if key is not None:
            pdu["state_key"] = key
        if self.version.format.event_id is EventIdFormat.SERVER_ASSIGNED:
            pdu["event_id"] = event_id
        if self.version.format.room_id_is_create_hash and event_type == "m.room.create":
            del pdu["room_id"]
            self.room_id = "!" + event_id[1:]
        event = Event.stored(pdu, self.version, event_id)
        assert name not in self.events, f"two events are called {name}"
        self.events[name] = event
        self._states[name] = {**before, event.key: event} if event.is_state else before
        return event

    def state_after(self, *names: str) -> dict[StateKey, Event]:
        """What the named events leave; nothing is resolved where they differ, the last one named wins."""
        merged: dict[StateKey, Event] = {}
        for name in names:
            merged |= self._states[name]
        return merged

    def name(self, event: Event | str) -> str:
        """What the test calls an event, or the event with this id."""
        event_id = event if isinstance(event, str) else event.event_id
        return next(name for name, known in self.events.items() if known.event_id == event_id)

    def names(self, events: Iterable[Event | str]) -> list[str]:
        return [self.name(event) for event in events]

    def by_id(self) -> dict[str, Event]:
        return {event.event_id: event for event in self.events.values()}

    def draw(self, text: str) -> Room:
        """Adds the events of a drawing (see the module's text), without empty lines and those that begin with `#`."""
        for line in filter(None, (line.strip() for line in text.splitlines())):
            if not line.startswith("#"):
                self._draw_line(line)
        return self

    def _draw_line(self, line: str) -> None:
        match = _LINE.fullmatch(line)
        assert match is not None, f"not a line of a drawing: {line}"
        given = json.loads(match["content"]) if match["content"] else {}
        event_type, key, content = self._what(match["what"], match["sender"], given)
        self.add(
            match["name"],
            match["sender"],
            event_type,
            content,
            key=key,
            prev=match["prev"].split(",") if match["prev"] else [],
            auth=None if match["auth"] is None else [name for name in match["auth"].split(",") if name],
            ts=int(match["ts"]) if match["ts"] else None,
        )

    def _what(self, what: str, sender: str, given: dict[str, Any]) -> tuple[str, str | None, dict[str, Any]]:
        verb, _, object_ = what.partition(":")
        if what == "create":
            return "m.room.create", "", {**self._create_content(sender), **given}
        if what in _OWN_MEMBERSHIP:
            return "m.room.member", user(sender), {"membership": what, **given}
        if verb in _OTHERS_MEMBERSHIP and object_:
            return "m.room.member", user(object_), {"membership": _OTHERS_MEMBERSHIP[verb], **given}
        if what == "power":
            return "m.room.power_levels", "", _power_levels(given)
        if verb == "rule" and object_:
            return "m.room.join_rules", "", {"join_rule": object_, **given}
        if what == "message":
            return "m.room.message", None, {"msgtype": "m.text", "body": "Hello", **given}
        event_type, slash, key = what.partition("/")
        return event_type, key if slash else None, given

    def _create_content(self, sender: str) -> dict[str, Any]:
        creator = {"creator": user(sender)} if self.version.auth.creator_in_content else {}
        return {"room_version": self.version.identifier, **creator}

    def _event_id(self, name: str, sender: str) -> str:
        if self.version.format.event_id is EventIdFormat.SERVER_ASSIGNED:
            return f"${name}:{sender.partition(':')[2]}"
        return f"${name}"

    def _references(self, event_ids: Iterable[str]) -> list[Any]:
        if self.version.format.references_are_pairs:
            return [[event_id, {"sha256": ""}] for event_id in event_ids]
        return list(event_ids)


def draw(version: str | RoomVersion, text: str) -> Room:
    """A room from a drawing (see the module's text)."""
    return Room(version).draw(text)


def user(name: str) -> str:
    """`alice` is `@alice:a`, `bob@b` is `@bob:b`, `@carol:c` stays."""
    if name.startswith("@"):
        return name
    localpart, _, domain = name.partition("@")
    return f"@{localpart}:{domain or 'a'}"


def _power_levels(given: dict[str, Any]) -> dict[str, Any]:
    users = {**given.get("users", {}), **{name: given[name] for name in given.keys() - _POWER_LEVELS_KEYS}}
    rest = {name: level for name, level in given.items() if name in _POWER_LEVELS_KEYS}
    return {**rest, "users": {user(name): level for name, level in users.items()}} if users else rest
