"""The sections besides rooms: what other modules tell by `/sync` as well, each under its own name.

Each module's part is called with a view of the answer in which it finds the rooms that its extension is asked for.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final

import orjson

from weft.http.call import Requester
from weft.modules.events.user_rooms import Seat
from weft.modules.module import RoomSection, SyncPart
from weft.modules.sticky_events import StickyEvents
from weft.modules.sync.answer import event_list, json_object
from weft.modules.thread_subscriptions import ThreadSubscriptions
from weft.modules.thread_subscriptions.store import KIND as THREAD_SUBSCRIPTION
from weft.protocol.api.client import sliding_sync as api
from weft.protocol.sliding_sync import ANY
from weft.storage.positions import Entry, Vector
from weft.storage.sticky import KIND as STICKY_EVENT

#: The modules whose parts are told, by the names of extensions.
TO_DEVICE: Final = ("to_device",)
ENCRYPTION: Final = ("keys",)
ACCOUNT_DATA: Final = ("account_data", "push_rules")
RECEIPTS: Final = ("receipts",)
TYPING: Final = ("typing",)


@dataclass(slots=True, kw_only=True)
class Moment:
    """What an answer is about. `entries` are those of the log in between that concern the user; None: not at hand."""

    requester: Requester
    since: Vector | None
    upto: Vector
    entries: Sequence[Entry] | None
    seats: Mapping[str, Seat]
    #: The rooms that each list shows, and those that are subscribed to.
    windows: Mapping[str, Collection[str]]
    subscriptions: Collection[str]
    #: Rooms of which the client is told anew: for the first time, or after a while.
    anew: Collection[str]
    #: The ids of the events in the timelines of the rooms that the answer tells of.
    timelines: Mapping[str, Collection[str]]


@dataclass(slots=True, kw_only=True)
class View:
    """Implements `weft.modules.module.Sync` for one part of one extension."""

    requester: Requester
    since: Vector | None
    upto: Vector
    joined: Mapping[str, int]
    newly_joined: frozenset[str]
    sections: Collection[str]
    between: Sequence[Entry] | None
    to_device_since: Vector | None = None
    account_data: list[bytes] = field(default_factory=list)
    presence: list[bytes] = field(default_factory=list)
    extra: dict[str, bytes] = field(default_factory=dict)
    rooms: dict[str, RoomSection] = field(default_factory=dict)
    to_device_upto: Vector | None = None
    timelines: Mapping[str, Collection[str]] = field(default_factory=dict)

    @property
    def user_id(self) -> str:
        return self.requester.user_id

    def leave_for_later(self, upto: Vector) -> None:
        self.to_device_upto = upto

    def entries(self, kinds: Iterable[str]) -> Sequence[Entry] | None:
        if self.between is None:
            return None
        wanted = frozenset(kinds)
        return [entry for entry in self.between if entry.kind in wanted]

    def timeline(self, room_id: str) -> Collection[str]:
        return self.timelines.get(room_id, ())

    def room(self, room_id: str) -> RoomSection:
        return self.rooms.setdefault(room_id, RoomSection())

    def wants(self, section: str, event_type: str, sender: str | None = None) -> bool:
        return section in self.sections


class ExtensionResults:
    """Members of the answer's `extensions`; `is_news` if any of them is worth answering for."""

    def __init__(self) -> None:
        self.members: dict[str, bytes] = {}
        self.is_news = False

    def json(self) -> bytes:
        return json_object(self.members)


class ExtensionParts:
    """`parts` are by the name of the module; `about_device` tells a device what it has here of its keys."""

    def __init__(
        self,
        parts: Mapping[str, SyncPart],
        about_device: Callable[[Requester], Awaitable[Mapping[str, bytes]]],
        threads: ThreadSubscriptions,
        sticky_events: StickyEvents,
    ) -> None:
        self._parts = parts
        self._about_device = about_device
        self._threads = threads
        self._sticky = sticky_events

    async def tell(self, moment: Moment, asked: api.Extensions) -> ExtensionResults:
        """What the extensions that are asked for have to tell."""
        results = ExtensionResults()
        if asked.to_device.enabled:
            await self._to_device(moment, asked.to_device, results)
        if asked.e2ee.enabled:
            await self._encryption(moment, results)
        if asked.account_data.enabled:
            await self._account_data(moment, asked.account_data, results)
        if asked.receipts.enabled:
            await self._ephemeral(moment, "receipts", RECEIPTS, asked.receipts, results)
        if asked.typing.enabled:
            await self._ephemeral(moment, "typing", TYPING, asked.typing, results)
        if asked.thread_subscriptions.enabled and self._threads.enabled:
            await self._thread_subscriptions(moment, asked.thread_subscriptions, results)
        if asked.sticky_events.enabled:
            await self._sticky_events(moment, asked.sticky_events, results)
        return results

    async def _sticky_events(self, moment: Moment, asked: api.StickyEventsConfig, results: ExtensionResults) -> None:
        has = Vector.parse(asked.since) if asked.since is not None else None
        view = _of_rooms(moment, asked, ())
        # Of a room that the client hears of for the first time it has nothing, whatever it has of others.
        fresh = {room_id: view.joined[room_id] for room_id in view.newly_joined} if has is not None else {}
        others = {room_id: number for room_id, number in view.joined.items() if room_id not in fresh}
        if has is not None and has == moment.since and moment.entries is not None:
            touched = {entry.room for entry in moment.entries if entry.kind == STICKY_EVENT}
            others = {room_id: number for room_id, number in others.items() if number in touched}
        tell = partial(self._sticky.told, moment.requester, upto=moment.upto, timelines=view.timeline)
        told = await tell(rooms=others, since=has, limit=asked.limit)
        events = {**told.rooms, **(await tell(rooms=fresh, since=None)).rooms}
        members = {"next_batch": orjson.dumps(told.upto.spell())}
        if events:
            members["rooms"] = json_object({room_id: event_list(some) for room_id, some in events.items()})
            results.is_news = True
        results.members[api.STICKY_EVENTS] = json_object(members)

    async def _thread_subscriptions(
        self, moment: Moment, asked: api.ThreadSubscriptionsConfig, results: ExtensionResults
    ) -> None:
        entries = moment.entries if moment.since is not None else None
        if entries is not None and all(entry.kind != THREAD_SUBSCRIPTION for entry in entries):
            return
        told, more = await self._threads.changed(moment.requester.user_id, moment.since, moment.upto, asked.limit)
        if told:
            members = told if more is None else {**told, "prev_batch": more}
            results.members[api.THREAD_SUBSCRIPTIONS] = orjson.dumps(members)
            results.is_news = True

    async def _to_device(self, moment: Moment, asked: api.ToDeviceConfig, results: ExtensionResults) -> None:
        has = Vector.parse(asked.since) if asked.since is not None else Vector()
        view = _view(moment, ())
        view.to_device_since = has
        if moment.since is None or moment.since != has or self._concerns(moment, TO_DEVICE):
            await self._contribute(view, TO_DEVICE)
        told = view.extra.get("to_device")
        upto = view.to_device_upto or moment.upto
        members = {"next_batch": orjson.dumps(upto.spell()), "events": b"[]"}
        if told is not None:
            members["events"] = told.removeprefix(b'{"events":').removesuffix(b"}")
            results.is_news = True
        results.members["to_device"] = json_object(members)

    async def _encryption(self, moment: Moment, results: ExtensionResults) -> None:
        view = _view(moment, ())
        if self._concerns(moment, ENCRYPTION):
            await self._contribute(view, ENCRYPTION)
        members = dict(await self._about_device(moment.requester))
        changed = view.extra.get("device_lists")
        if changed is not None:
            members["device_lists"] = changed
            results.is_news = True
        results.members["e2ee"] = json_object(members)

    async def _account_data(self, moment: Moment, asked: api.RoomsConfig, results: ExtensionResults) -> None:
        view = _of_rooms(moment, asked, ("account_data", "room.account_data"))
        if view.newly_joined or self._concerns(moment, ACCOUNT_DATA):
            await self._contribute(view, ACCOUNT_DATA)
        members: dict[str, bytes] = {}
        if view.account_data:
            members["global"] = b"[%s]" % b",".join(view.account_data)
        rooms = {
            room_id: b"[%s]" % b",".join(section.account_data)
            for room_id, section in view.rooms.items()
            if section.account_data
        }
        if rooms:
            members["rooms"] = json_object(rooms)
        if members:
            results.members["account_data"] = json_object(members)
            results.is_news = True

    async def _ephemeral(
        self,
        moment: Moment,
        name: str,
        parts: Sequence[str],
        asked: api.RoomsConfig,
        results: ExtensionResults,
    ) -> None:
        view = _of_rooms(moment, asked, ("room.ephemeral",))
        if view.newly_joined or self._concerns(moment, parts):
            await self._contribute(view, parts)
        rooms = {
            room_id: _joined_together(section.ephemeral) for room_id, section in view.rooms.items() if section.ephemeral
        }
        if rooms:
            results.members[name] = json_object({"rooms": json_object(rooms)})
            results.is_news = True

    async def _contribute(self, view: View, parts: Sequence[str]) -> None:
        for name in parts:
            part = self._parts.get(name)
            if part is not None:
                await part.contribute(view)

    def _concerns(self, moment: Moment, parts: Sequence[str]) -> bool:
        if moment.since is None or moment.entries is None:
            return True
        kinds = {entry.kind for entry in moment.entries}
        return any(name in self._parts and not self._parts[name].kinds.isdisjoint(kinds) for name in parts)


def rooms_of(moment: Moment, asked: api.RoomsConfig) -> set[str]:
    """The rooms that an extension is asked for."""
    lists = moment.windows if asked.lists is None or ANY in asked.lists else asked.lists
    found = {room_id for name in lists for room_id in moment.windows.get(name, ())}
    if asked.rooms is None or ANY in asked.rooms:
        found.update(moment.subscriptions)
    else:
        found.update(room_id for room_id in asked.rooms if room_id in moment.subscriptions)
    return found


def _of_rooms(moment: Moment, asked: api.RoomsConfig, sections: Collection[str]) -> View:
    chosen = rooms_of(moment, asked)
    joined = {
        room_id: seat.number
        for room_id in chosen
        if (seat := moment.seats.get(room_id)) is not None and seat.membership == "join"
    }
    return _view(moment, sections, joined=joined, anew=frozenset(moment.anew) & joined.keys())


def _view(
    moment: Moment,
    sections: Collection[str],
    *,
    joined: Mapping[str, int] | None = None,
    anew: frozenset[str] = frozenset(),
) -> View:
    return View(
        requester=moment.requester,
        since=moment.since,
        upto=moment.upto,
        joined=joined or {},
        newly_joined=anew,
        timelines=moment.timelines,
        sections=sections,
        between=moment.entries,
    )


def _joined_together(events: Sequence[bytes]) -> bytes:
    """One event for a room: public and private receipts come as two."""
    if len(events) == 1:
        return events[0]
    first, *others = (orjson.loads(event) for event in events)
    for event in others:
        for event_id, receipts in event["content"].items():
            of_event = first["content"].setdefault(event_id, {})
            for receipt_type, users in receipts.items():
                of_event.setdefault(receipt_type, {}).update(users)
    return orjson.dumps(first)
