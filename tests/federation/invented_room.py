"""A room on an invented server, which tells of it what a test has it tell: the truth, or a lie about one thing.

    room = InventedRoom(stranger, "10")
    room.lies["state_ids"] = lambda request, honest: json({"pdu_ids": [], "auth_chain_ids": []})
    await join(alice, room.id, via=stranger.name)

It keeps its events in memory, each with the state after it, and answers every question about them from there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any
from urllib.parse import parse_qs, unquote

import orjson

from tests.federation.stranger import Stranger
from weft.federation.transport import OutgoingRequest
from weft.graph.build import Draft, Identity, auth_keys, build, template
from weft.protocol.event import Event, StateKey
from weft.protocol.room_versions import ROOM_VERSIONS
from weft.testing import Answer

CREATE: StateKey = ("m.room.create", "")

#: Makes another answer of a request and of the honest answer.
Lie = Callable[[OutgoingRequest, Answer], Answer]


def json(value: object, status: int = 200) -> Answer:
    return Answer(status, {"content-type": "application/json"}, orjson.dumps(value))


def refusal(status: int = 404, errcode: str = "M_NOT_FOUND") -> Answer:
    return json({"errcode": errcode, "error": "no"}, status)


class InventedRoom:
    """A public room of `@mallory:…`. `asked` counts the questions by name (`make_join`, `state_ids`, …)."""

    def __init__(self, stranger: Stranger, version: str = "10", **create: Any) -> None:
        self.stranger = stranger
        self.version = ROOM_VERSIONS[version]
        self.mallory = stranger.user("mallory")
        self.events: dict[str, Event] = {}
        #: The state before each event, and after it.
        self.before: dict[str, dict[StateKey, Event]] = {}
        self.after: dict[str, dict[StateKey, Event]] = {}
        self.front: list[Event] = []
        self.lies: dict[str, Lie] = {}
        self.asked: Counter[str] = Counter()
        stranger.server.network.on_request.append(self._on_request)
        content = {"room_version": version, **create}
        if self.version.auth.creator_in_content:
            content["creator"] = self.mallory
        is_hash = self.version.format.room_id_is_create_hash
        self.id = "" if is_hash else f"!invented:{stranger.name}"
        created = self.add("m.room.create", content, "")
        self.id = created.room_id
        self.add("m.room.member", {"membership": "join"}, self.mallory)
        levels = {} if self.version.auth.privileged_creators else {self.mallory: 100}
        self.add("m.room.power_levels", {"users": levels}, "")
        self.add("m.room.join_rules", {"join_rule": "public"}, "")

    # -- making

    def add(
        self,
        event_type: str,
        content: dict[str, Any],
        state_key: str | None = None,
        *,
        sender: str | None = None,
        prev: Sequence[Event] | None = None,
        auth: Sequence[Event] | None = None,
        identity: Identity | None = None,
    ) -> Event:
        """An event at the room's front, or on top of `prev`; `auth` if not what it has to lean on."""
        draft = Draft(type=event_type, sender=sender or self.mallory, content=content, state_key=state_key)
        prev = self.front if prev is None else prev
        state = self.after[prev[-1].event_id] if prev else {}
        keys = auth_keys(draft, self.version)
        event = build(
            draft,
            version=self.version,
            room_id=self.id or None,
            prev_events=prev,
            auth_events=[state[key] for key in keys if key in state] if auth is None else auth,
            identity=identity or self.stranger.identity,
            now_ms=self.stranger.server.clock(),
        )
        self.keep(event, state)
        self.front = [event]
        return event

    def keep(self, event: Event, state: dict[StateKey, Event]) -> None:
        """Puts an event into the room, whoever made it."""
        self.events[event.event_id] = event
        self.before[event.event_id] = state
        self.after[event.event_id] = {**state, event.key: event} if event.is_state else state

    def say(self, body: str, **where: Any) -> Event:
        return self.add("m.room.message", {"msgtype": "m.text", "body": body}, **where)

    def chain(self, events: Iterable[Event]) -> list[Event]:
        """All that authorises some events."""
        found: dict[str, Event] = {}
        agenda = [one for event in events for one in event.auth_events]
        if self.version.format.room_id_is_create_hash:
            agenda.append("$" + self.id[1:])
        while agenda:
            event_id = agenda.pop()
            if event_id not in found and event_id in self.events:
                found[event_id] = self.events[event_id]
                agenda.extend(found[event_id].auth_events)
        return list(found.values())

    # -- answering

    async def _on_request(self, request: OutgoingRequest) -> Answer | None:
        path, _, query = request.uri.partition("?")
        if request.destination != self.stranger.name or not path.startswith("/_matrix/federation/"):
            return None
        name, *rest = (unquote(part) for part in path.split("/")[4:])
        answer = getattr(self, f"_{name}", None)
        if answer is None:
            return None
        self.asked[name] += 1
        honest: Answer = answer(request, rest, parse_qs(query))
        lie = self.lies.get(name)
        return honest if lie is None else lie(request, honest)

    def _send(self, request: OutgoingRequest, path: list[str], query: dict[str, list[str]]) -> Answer:
        return json({"pdus": {}})

    def _make_join(self, request: OutgoingRequest, path: list[str], query: dict[str, list[str]]) -> Answer:
        draft = Draft(type="m.room.member", sender=path[1], state_key=path[1], content={"membership": "join"})
        return self._template(draft)

    def _make_leave(self, request: OutgoingRequest, path: list[str], query: dict[str, list[str]]) -> Answer:
        draft = Draft(type="m.room.member", sender=path[1], state_key=path[1], content={"membership": "leave"})
        return self._template(draft)

    def _make_knock(self, request: OutgoingRequest, path: list[str], query: dict[str, list[str]]) -> Answer:
        draft = Draft(type="m.room.member", sender=path[1], state_key=path[1], content={"membership": "knock"})
        return self._template(draft)

    def _template(self, draft: Draft) -> Answer:
        state = self.after[self.front[-1].event_id]
        pdu = template(
            draft,
            version=self.version,
            room_id=self.id,
            prev_events=self.front,
            auth_events=[state[key] for key in auth_keys(draft, self.version) if key in state],
            now_ms=self.stranger.server.clock(),
        )
        return json({"room_version": self.version.identifier, "event": pdu})

    def _send_join(self, request: OutgoingRequest, path: list[str], query: dict[str, list[str]]) -> Answer:
        state = self.after[self.front[-1].event_id]
        event = Event.parse(orjson.loads(request.body or b""), self.version)
        chain = self.chain([*state.values(), event])
        self.keep(event, state)
        self.front = [event]
        told = {"state": pdus(state.values()), "auth_chain": pdus(chain), "event": event.pdu}
        return json({**told, "members_omitted": False, "origin": self.stranger.name})

    def _send_leave(self, request: OutgoingRequest, path: list[str], query: dict[str, list[str]]) -> Answer:
        return json({})

    def _send_knock(self, request: OutgoingRequest, path: list[str], query: dict[str, list[str]]) -> Answer:
        return json({"knock_room_state": [self.after[self.front[-1].event_id][CREATE].pdu]})

    def _state_ids(self, request: OutgoingRequest, path: list[str], query: dict[str, list[str]]) -> Answer:
        state = self.before.get(query["event_id"][0])
        if state is None:
            return refusal()
        ids = [event.event_id for event in state.values()]
        return json({"pdu_ids": ids, "auth_chain_ids": [one.event_id for one in self.chain(state.values())]})

    def _state(self, request: OutgoingRequest, path: list[str], query: dict[str, list[str]]) -> Answer:
        state = self.before.get(query["event_id"][0])
        if state is None:
            return refusal()
        return json({"pdus": pdus(state.values()), "auth_chain": pdus(self.chain(state.values()))})

    def _event(self, request: OutgoingRequest, path: list[str], query: dict[str, list[str]]) -> Answer:
        event = self.events.get(path[0])
        return refusal() if event is None else self._page([event])

    def _event_auth(self, request: OutgoingRequest, path: list[str], query: dict[str, list[str]]) -> Answer:
        event = self.events.get(path[1])
        return refusal() if event is None else json({"auth_chain": pdus(self.chain([event]))})

    def _backfill(self, request: OutgoingRequest, path: list[str], query: dict[str, list[str]]) -> Answer:
        return self._page(self._back(query["v"], int(query["limit"][0]), with_first=True))

    def _get_missing_events(self, request: OutgoingRequest, path: list[str], query: dict[str, list[str]]) -> Answer:
        asked = orjson.loads(request.body or b"{}")
        found = self._back(asked["latest_events"], asked["limit"], with_first=False, until=asked["earliest_events"])
        return json({"events": pdus(reversed(found))})

    def _back(self, start: list[str], limit: int, *, with_first: bool, until: Sequence[str] = ()) -> list[Event]:
        found: dict[str, Event] = {}
        agenda = list(start)
        while agenda and len(found) < limit + len(start):
            event = self.events.get(agenda.pop(0))
            if event is not None and event.event_id not in found and event.event_id not in until:
                found[event.event_id] = event
                agenda.extend(event.prev_events)
        chosen = [event for event in found.values() if with_first or event.event_id not in start]
        return chosen[:limit]

    def _page(self, events: Iterable[Event]) -> Answer:
        return json({"origin": self.stranger.name, "origin_server_ts": 1, "pdus": pdus(events)})


def pdus(events: Iterable[Event]) -> list[dict[str, Any]]:
    return [event.pdu for event in events]
