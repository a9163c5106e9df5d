"""Profiles of local users: read from memory, changed field by field.

https://spec.matrix.org/v1.19/client-server-api/#profiles
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

import orjson

from weft.modules.profile import fields, store
from weft.protocol.errors import NotFound
from weft.rooms.engine import Engine
from weft.storage.database import Transaction, WriteTransaction
from weft.storage.derived import Derived
from weft.storage.positions import Entry

_OVERHEAD = 600
_NOTHING: Mapping[str, str] = {}

#: Called in the transaction of a change with the user's id and what member events show of the profile.
OnChange = Callable[[WriteTransaction, str, Mapping[str, str]], None]


class Profile(NamedTuple):
    """`json` is None for a user who isn't. `shown` is what goes into member events."""

    json: bytes | None
    shown: Mapping[str, str]


class Profiles:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.on_change: list[OnChange] = []
        self._users: Derived[str, Profile] = Derived(
            engine.budget.cache("profiles", 0.02, lambda profile: _OVERHEAD + 3 * len(profile.json or b"")), self._load
        )

    async def profile_of(self, user_id: str) -> Mapping[str, str]:
        """`displayname` and `avatar_url`, where they are set, for a member event."""
        return (await self._users.get(user_id)).shown

    async def json(self, user_id: str) -> bytes:
        """The whole profile. Raises `NotFound` for a user who isn't."""
        json = (await self._users.get(user_id)).json
        if json is None:
            raise NotFound("There is no such user here.")
        return json

    def texts(self, tx: Transaction) -> Sequence[bytes]:
        """The JSON of every profile that is kept here."""
        return store.all_fields(tx)

    async def field(self, user_id: str, key: str) -> bytes:
        """One field's value as JSON. Raises `NotFound`."""
        return field_of(await self.json(user_id), key)

    def is_local(self, user_id: str) -> bool:
        """Whether the profile is kept here."""
        return self._engine.is_local(user_id)

    async def set_field(self, user_id: str, key: str, value: bytes) -> bool:
        """Sets a field to a JSON value. Whether it shows in rooms, and was another."""
        fields.check_key(key)
        fields.check_value(key, value)
        return await self._change(user_id, key, partial(fields.with_field, key=key, value=value))

    async def delete_field(self, user_id: str, key: str) -> bool:
        """Removes a field, if it is there. Whether it showed in rooms."""
        fields.check_key(key)
        return await self._change(user_id, key, partial(fields.without_field, key=key))

    def created(self, tx: WriteTransaction, user_id: str, display_name: str | None) -> None:
        """Makes a new account's profile, in the account's transaction."""
        made = orjson.dumps({"displayname": display_name} if display_name else {})
        store.create(tx, user_id, made)
        self._tell(tx, user_id, made)

    def erased(self, tx: WriteTransaction, user_id: str) -> None:
        """Empties a profile, in the transaction in which the account ends."""
        if store.change(tx, user_id, lambda _: b"{}") is not None:
            self._tell(tx, user_id, b"{}")

    def told_again(self, tx: WriteTransaction, user_id: str) -> None:
        """Tells what a user is called, in the transaction in which an account that had ended begins again."""
        self._tell(tx, user_id, store.find(tx, user_id) or b"{}")

    async def _change(self, user_id: str, key: str, edit: Callable[[bytes], bytes]) -> bool:
        now_ms = self._engine.outside.now_ms()
        return await self._engine.database.write(self._write, user_id, edit, key in fields.IN_ROOMS, now_ms)

    def _write(
        self, tx: WriteTransaction, user_id: str, edit: Callable[[bytes], bytes], is_shown: bool, now_ms: int
    ) -> bool:
        after = store.change(tx, user_id, edit)
        if after is None or not is_shown:
            return False
        store.to_propagate(tx, user_id, now_ms)
        self._tell(tx, user_id, after)
        return True

    def _tell(self, tx: WriteTransaction, user_id: str, after: bytes) -> None:
        shown = fields.in_rooms(after)
        for told in self.on_change:
            told(tx, user_id, shown)

    def apply(self, entries: Sequence[Entry]) -> None:
        """Forgets what the log says has changed."""
        for entry in entries:
            if entry.kind == store.KIND and entry.user_id is not None:
                self._users.drop(entry.user_id)

    async def _load(self, user_id: str) -> Profile:
        json = await self._engine.database.get(store.find, user_id)
        return Profile(json, fields.in_rooms(json) if json is not None else _NOTHING)


def field_of(json: bytes, key: str) -> bytes:
    """One field's value as JSON, of a whole profile. Raises `NotFound`."""
    value = fields.read(json).get(key)
    if value is None:
        raise NotFound("The profile has no such field.")
    return bytes(value)
