"""One `/sync` answer in the making. It is written as bytes: events and account data are bytes already."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import orjson

from weft.http.call import Requester
from weft.modules.events.places import spell_cut
from weft.modules.events.user_rooms import Seat
from weft.modules.module import RoomSection
from weft.protocol.filters import EventFilter, Filter
from weft.storage.positions import Entry, Vector

_NO_DEVICE_LISTS: Final = b'{"changed":[],"left":[]}'


@dataclass(slots=True)
class Window:
    """What lies between what the client has and what it will have."""

    since: Vector | None
    upto: Vector
    #: The entries in between that concern the user; None where they are not at hand.
    entries: Sequence[Entry] | None
    #: What the device has of the messages to it.
    to_device_since: Vector | None = None


class Answer:
    """Implements `weft.modules.module.Sync`, for the parts."""

    def __init__(self, requester: Requester, window: Window, filter_: Filter, seats: Mapping[str, Seat]) -> None:
        self.requester = requester
        self.user_id = requester.user_id
        self.since = window.since
        self.upto = window.upto
        self.to_device_since = window.to_device_since
        self._to_device_upto: Vector | None = None
        self.filter = filter_
        #: The user's rooms by id, as of now.
        self.seats = seats
        self._joined: dict[str, int] | None = None
        self.newly_joined: frozenset[str] = frozenset()
        self.account_data: list[bytes] = []
        self.presence: list[bytes] = []
        self.extra: dict[str, bytes] = {}
        #: What is told in any case, and is no news by itself.
        self.about_device: Mapping[str, bytes] = {}
        #: The sections of rooms, as JSON members, by the room's id.
        self.join: dict[str, JoinedSection] = {}
        self.invite: dict[str, bytes] = {}
        self.knock: dict[str, bytes] = {}
        self.leave: dict[str, bytes] = {}
        self._entries = window.entries

    @property
    def joined(self) -> Mapping[str, int]:
        """Made when it is asked for: few answers need to go through all rooms."""
        if self._joined is None:
            self._joined = {
                room_id: seat.number
                for room_id, seat in self.seats.items()
                if seat.membership == "join" and self.filter.wants_room(room_id)
            }
        return self._joined

    def is_joined(self, room_id: str) -> bool:
        """Whether a room is among `joined`."""
        seat = self.seats.get(room_id)
        return seat is not None and seat.membership == "join" and self.filter.wants_room(room_id)

    def entries(self, kinds: Iterable[str]) -> Sequence[Entry] | None:
        if self._entries is None:
            return None
        wanted = frozenset(kinds)
        return [entry for entry in self._entries if entry.kind in wanted]

    def leave_for_later(self, upto: Vector) -> None:
        self._to_device_upto = upto

    def section(self, room_id: str) -> JoinedSection:
        """The whole section of a joined room."""
        section = self.join.get(room_id)
        if section is None:
            section = self.join[room_id] = JoinedSection()
        return section

    def timeline(self, room_id: str) -> Collection[str]:
        section = self.join.get(room_id)
        return section.timeline if section is not None else ()

    def room(self, room_id: str) -> RoomSection:
        return self.section(room_id).parts

    def wants(self, section: str, event_type: str, sender: str | None = None) -> bool:
        chosen = self._sections()[section]
        return chosen.passes_everything or chosen.wants(event_type, sender)

    def _sections(self) -> dict[str, EventFilter]:
        return {
            "account_data": self.filter.account_data,
            "presence": self.filter.presence,
            "room.account_data": self.filter.room_account_data,
            "room.ephemeral": self.filter.room_ephemeral,
        }

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to tell but the new token."""
        return not (
            self.join
            or self.invite
            or self.knock
            or self.leave
            or self.account_data
            or self.presence
            or self.extra
            or self._to_device_upto
        )

    def json(self) -> bytes:
        """The whole answer."""
        members = [b'"next_batch":"%s"' % spell_cut(self.upto, self._to_device_upto).encode()]
        rooms = [
            member(name, json_object(sections))
            for name, sections in (
                ("join", {room_id: section.json() for room_id, section in self.join.items()}),
                ("invite", self.invite),
                ("knock", self.knock),
                ("leave", self.leave),
            )
            if sections
        ]
        if rooms:
            members.append(b'"rooms":{%s}' % b",".join(rooms))
        if self.account_data:
            members.append(member("account_data", event_list(self.account_data)))
        if self.presence:
            members.append(member("presence", event_list(self.presence)))
        members.extend(member(name, value) for name, value in self._top_level().items())
        return b"{%s}" % b",".join(members)

    def _top_level(self) -> dict[str, bytes]:
        """What parts have put into `extra`, and what clients that encrypt look for, there or not."""
        empty = {} if self.since is not None else {"device_lists": _NO_DEVICE_LISTS, "to_device": event_list([])}
        return {**empty, **self.about_device, **self.extra}


def nothing_new(upto: Vector, about_device: Mapping[str, bytes]) -> bytes:
    """The answer where there is nothing to tell but the new token."""
    members = [b'"next_batch":"%s"' % spell_cut(upto).encode()]
    members.extend(member(name, value) for name, value in about_device.items())
    return b"{%s}" % b",".join(members)


@dataclass(slots=True)
class JoinedSection:
    """The section of one joined room: what this module knows of it, and what the parts add."""

    #: `timeline`, `state`, `summary` …, each a JSON value.
    members: dict[str, bytes] = field(default_factory=dict)
    parts: RoomSection = field(default_factory=RoomSection)
    #: The ids of the timeline's events.
    timeline: Collection[str] = ()

    def json(self) -> bytes:
        members = [member(name, value) for name, value in self.members.items()]
        if self.parts.ephemeral:
            members.append(b'"ephemeral":' + event_list(self.parts.ephemeral))
        if self.parts.account_data:
            members.append(b'"account_data":' + event_list(self.parts.account_data))
        members.extend(member(name, value) for name, value in self.parts.extra.items())
        return b"{%s}" % b",".join(members)


def event_list(events: Sequence[bytes]) -> bytes:
    return b'{"events":[%s]}' % b",".join(events)


def member(name: str, value: bytes) -> bytes:
    return orjson.dumps(name) + b":" + value


def json_object(members: Mapping[str, bytes]) -> bytes:
    return b"{%s}" % b",".join([member(name, value) for name, value in members.items()])
