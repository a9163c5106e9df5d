"""Account data: what clients keep with an account, globally or for a room; tags and ignored users are part of it.

Everything that one user keeps is in memory while it is in use, as the events that `/sync` sends; the log says when it
changed. Content is spliced as the bytes that came.

https://spec.matrix.org/v1.19/client-server-api/#client-config
https://spec.matrix.org/v1.19/client-server-api/#room-tagging
https://spec.matrix.org/v1.19/client-server-api/#ignoring-users
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import msgspec
import orjson

from weft.modules.account_data import store
from weft.modules.account_data.store import GLOBAL
from weft.protocol.errors import BadJson, InvalidParam, MatrixError, NotFound, TooLarge
from weft.protocol.identifiers import is_valid_room_id
from weft.rooms.engine import Engine
from weft.storage.database import WriteTransaction
from weft.storage.derived import Derived
from weft.storage.positions import Entry
from weft.storage.purging import ROOM_DELETED

#: The types that clients may read but not write.
SERVER_MANAGED = frozenset({"m.fully_read", "m.push_rules"})
TAG = "m.tag"
DIRECT = "m.direct"
IGNORED_USERS = "m.ignored_user_list"
#: Bytes of all tags of a room together.
_MAX_TAGS = 1 << 18
_MAX_TAG_NAME = 255
_OVERHEAD = 200

Tags = dict[str, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class UserData:
    """All that is kept with one account: event bytes by type, by room id (`GLOBAL` for none)."""

    places: Mapping[str, Mapping[str, bytes]]
    ignored_users: frozenset[str]
    bytes: int


class AccountData:
    """Reads and writes account data. `user_id` is always the account's own: nobody else may see it."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._users: Derived[str, UserData] = Derived(
            engine.budget.cache("account_data", 0.04, lambda data: data.bytes), self._load
        )
        engine.purging.tables_by_id["account_data"] = "user_id, room_id, type"
        self._provided: dict[str, Callable[[str], Awaitable[bytes]]] = {}

    # -- reading

    async def all(self, user_id: str) -> UserData:
        return await self._users.get(user_id)

    async def get(self, user_id: str, data_type: str, room_id: str = GLOBAL) -> bytes:
        """The content of a piece of data. Raises `NotFound`."""
        provider = self._provided.get(data_type) if room_id == GLOBAL else None
        if provider is not None:
            return await provider(user_id)
        event = (await self.all(user_id)).places.get(room_id, {}).get(data_type)
        if event is None:
            raise NotFound("There is no such account data.")
        return event[len(_opening(data_type)) : -1]

    async def content_of(self, user_id: str, data_type: str) -> dict[str, Any] | None:
        """The content of a piece of global data, read; None where there is none."""
        event = (await self.all(user_id)).places.get(GLOBAL, {}).get(data_type)
        return _object(event[len(_opening(data_type)) : -1]) if event is not None else None

    async def contents(self, user_id: str) -> dict[str, dict[str, bytes]]:
        """The content of all that a user keeps, by type, by room id (`GLOBAL` for none)."""
        return {
            place: {data_type: event[len(_opening(data_type)) : -1] for data_type, event in kept.items()}
            for place, kept in (await self.all(user_id)).places.items()
        }

    async def tags(self, user_id: str, room_id: str) -> Tags:
        """The tags of a room, by name."""
        try:
            return _tags(await self.get(user_id, TAG, room_id))
        except NotFound:
            return {}

    async def ignored_users(self, user_id: str) -> frozenset[str]:
        """Whom the user ignores."""
        return (await self.all(user_id)).ignored_users

    def ignored_users_now(self, user_id: str) -> frozenset[str] | None:
        """As `ignored_users`, where it is at hand."""
        data = self._users.now(user_id)
        return data.ignored_users if data is not None else None

    def provide(self, data_type: str, content_of: Callable[[str], Awaitable[bytes]]) -> None:
        """Has another module answer for a global type that the server manages."""
        self._provided[data_type] = content_of

    # -- writing

    async def set(self, user_id: str, data_type: str, content: bytes, room_id: str = GLOBAL) -> None:
        """Keeps a piece of data; `content` is a JSON object. Refuses types that the server manages."""
        if data_type in SERVER_MANAGED:
            raise MatrixError(f"{data_type} can't be set through this API.", errcode="M_BAD_JSON", status=405)
        if room_id != GLOBAL:
            _check_room_id(room_id)
        await self._engine.database.write(store.put, user_id, room_id, data_type, content)

    async def set_tag(self, user_id: str, room_id: str, tag: str, content: dict[str, Any]) -> None:
        """Puts a tag on a room, or changes it."""
        _check_room_id(room_id)
        if len(tag.encode()) > _MAX_TAG_NAME:
            raise InvalidParam(f"The name of a tag has at most {_MAX_TAG_NAME} bytes.")
        order = content.get("order", 0)
        if isinstance(order, bool) or not isinstance(order, int | float):
            raise BadJson("The order of a tag must be a number.")
        await self._edit_tags(user_id, room_id, partial(_with_tag, tag=tag, content=content))

    async def delete_tag(self, user_id: str, room_id: str, tag: str) -> None:
        """Takes a tag off a room, if it is there."""
        await self._edit_tags(user_id, room_id, partial(_without_tag, tag=tag))

    async def on_room_upgraded(self, user_id: str, old_room_id: str, new_room_id: str) -> None:
        """Gives the room that follows another one the tags and the directness of its predecessor."""
        await self._engine.database.write(_carry_over, user_id, old_room_id, new_room_id)

    def removed(self, tx: WriteTransaction, user_id: str) -> None:
        """Forgets everything, in the transaction in which the account ends."""
        store.remove_all(tx, user_id)

    async def _edit_tags(self, user_id: str, room_id: str, edit: Callable[[bytes | None], bytes | None]) -> None:
        await self._engine.database.write(store.change, user_id, room_id, TAG, edit)

    # -- keeping up

    def apply(self, entries: Sequence[Entry]) -> None:
        """Forgets what the log says has changed."""
        for entry in entries:
            if entry.kind == "account_data" and entry.user_id is not None:
                self._users.drop(entry.user_id)
            elif entry.kind == ROOM_DELETED:
                # Who had kept something for the room is not in the entry.
                self._users.clear()

    async def _load(self, user_id: str) -> UserData:
        places: dict[str, dict[str, bytes]] = {}
        size = _OVERHEAD
        ignored: frozenset[str] = frozenset()
        for row in await self._engine.database.get(store.of_user, user_id):
            places.setdefault(row.room_id, {})[row.type] = event_bytes(row.type, row.content)
            size += len(row.content) + _OVERHEAD
            if row.room_id == GLOBAL and row.type == IGNORED_USERS:
                ignored = _ignored(row.content)
        return UserData(places, ignored, size)


def event_bytes(data_type: str, content: bytes) -> bytes:
    """A piece of account data as the event that clients get."""
    return _opening(data_type) + content + b"}"


def _opening(data_type: str) -> bytes:
    return b'{"type":' + orjson.dumps(data_type) + b',"content":'


def _check_room_id(room_id: str) -> None:
    if not is_valid_room_id(room_id):
        raise InvalidParam("That is not a room id.")


def _object(content: bytes) -> dict[str, Any]:
    value = msgspec.json.decode(content)
    return value if isinstance(value, dict) else {}


def _ignored(content: bytes) -> frozenset[str]:
    users = _object(content).get("ignored_users")
    return frozenset(users) if isinstance(users, dict) else frozenset()


def _tags(content: bytes | None) -> Tags:
    """The tags in an `m.tag`; a client can have put anything there."""
    tags = _object(content).get("tags") if content is not None else None
    if not isinstance(tags, dict):
        return {}
    return {name: tag for name, tag in tags.items() if isinstance(tag, dict)}


def _with_tag(before: bytes | None, *, tag: str, content: dict[str, Any]) -> bytes:
    after = msgspec.json.encode({"tags": {**_tags(before), tag: content}})
    if len(after) > _MAX_TAGS:
        raise TooLarge("There are too many tags on this room.")
    return after


def _without_tag(before: bytes | None, *, tag: str) -> bytes | None:
    tags = _tags(before)
    if tag not in tags:
        return None
    del tags[tag]
    return msgspec.json.encode({"tags": tags})


def _carry_over(tx: WriteTransaction, user_id: str, old_room_id: str, new_room_id: str) -> None:
    tags = {row.type: row.content for row in store.of_user(tx, user_id) if row.room_id == old_room_id}.get(TAG)
    if tags is not None:
        store.put(tx, user_id, new_room_id, TAG, tags)
    store.change(tx, user_id, GLOBAL, DIRECT, partial(_with_successor, old=old_room_id, new=new_room_id))


def _with_successor(before: bytes | None, *, old: str, new: str) -> bytes | None:
    """An `m.direct` in which the new room is wherever the old one is."""
    direct = _object(before) if before is not None else {}
    changed = False
    for rooms in direct.values():
        if isinstance(rooms, list) and old in rooms and new not in rooms:
            rooms.append(new)
            changed = True
    return msgspec.json.encode(direct) if changed else None
