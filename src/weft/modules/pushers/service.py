"""Pushers of users: one for each app on each device that wants to be woken.

A pusher ends with the device whose access token made it, and with the account.

https://spec.matrix.org/v1.19/client-server-api/#push-notifications
"""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

import orjson

from weft.http.call import Requester
from weft.modules.accounts import AccountsService
from weft.modules.devices import DevicesService
from weft.modules.pushers import store
from weft.modules.pushers.store import Pusher
from weft.protocol.api.client.pushers import PostPusherRequest
from weft.protocol.api.push_gateway.notify import NOTIFY
from weft.protocol.errors import InvalidParam, MissingParam, NotFound
from weft.rooms.engine import Engine
from weft.storage.database import WriteTransaction

#: Bytes of a pushkey, characters of an app id: the specification's. The others are this server's.
_PUSHKEY: Final = 512
_APP_ID: Final = 64
_TEXT: Final = 1_024
_DATA: Final = 16_384
_URL: Final = 2_048
_MOST: Final = 100
_NEEDED: Final = ("app_display_name", "device_display_name", "lang", "data")


class Pushers:
    def __init__(self, engine: Engine, accounts: AccountsService, devices: DevicesService) -> None:
        self._database = engine.database
        self._accounts = accounts
        self._now_ms = engine.outside.now_ms
        accounts.hooks.deactivated.append(lambda tx, ended: store.remove_of_user(tx, ended.user_id))
        devices.on_deleted.append(store.remove_of_devices)

    async def of_user(self, user_id: str) -> list[Pusher]:
        return await self._database.get(store.of_user, user_id)

    async def of_account(self, user_id: str) -> list[Pusher]:
        """As `of_user`; raises `NotFound` where there is no such account."""
        if await self._accounts.find(user_id) is None:
            raise NotFound("There is no such user.")
        return await self.of_user(user_id)

    async def change(self, requester: Requester, asked: PostPusherRequest) -> None:
        """Sets or deletes a pusher. Raises `MissingParam` and `InvalidParam`."""
        _check_key(asked.app_id, asked.pushkey)
        if asked.kind is None:
            await self._database.write(store.remove, requester.user_id, asked.app_id, asked.pushkey)
            return
        pusher = _pusher(requester, asked, asked.kind, self._now_ms())

        def work(tx: WriteTransaction) -> None:
            others = [one for one in store.of_user(tx, pusher.user_id) if one[:3] != pusher[:3]]
            if len(others) >= _MOST:
                raise InvalidParam(f"You have {_MOST} pushers already.")
            if not asked.append:
                store.remove_of_others(tx, *pusher[:3])
            store.put(tx, pusher)

        await self._database.write(work)


def _check_key(app_id: str, pushkey: str) -> None:
    if not app_id or len(app_id) > _APP_ID or "\0" in app_id:
        raise InvalidParam(f"An app_id has 1 to {_APP_ID} characters.")
    if not pushkey or len(pushkey.encode()) > _PUSHKEY or "\0" in pushkey:
        raise InvalidParam(f"A pushkey has 1 to {_PUSHKEY} bytes.")


def _pusher(requester: Requester, asked: PostPusherRequest, kind: str, now_ms: int) -> Pusher:
    if kind != "http":
        raise InvalidParam("This server has pushers of the kind 'http' only.")
    missing = [name for name in _NEEDED if getattr(asked, name) is None]
    if missing:
        raise MissingParam(f"Missing parameters: {', '.join(missing)}")
    data = asked.data or {}
    texts = [one or "" for one in (asked.app_display_name, asked.device_display_name, asked.profile_tag, asked.lang)]
    if any(len(text) > _TEXT or "\0" in text for text in texts):
        raise InvalidParam("A text of the pusher is too long.")
    try:
        encoded = orjson.dumps(data).decode()
    except (TypeError, ValueError) as error:
        raise InvalidParam("The pusher's data cannot be kept.") from error
    if len(encoded) > _DATA:
        raise InvalidParam("The pusher's data is too long.")
    if data.get("format") not in (None, "event_id_only"):
        raise InvalidParam("The only format of notifications that can be asked for is event_id_only.")
    url = _checked_url(data.get("url"))
    app_display_name, device_display_name, profile_tag, lang = texts
    return Pusher(
        user_id=requester.user_id,
        app_id=asked.app_id,
        pushkey=asked.pushkey,
        device_id=requester.device_id,
        kind=kind,
        app_display_name=app_display_name,
        device_display_name=device_display_name,
        profile_tag=profile_tag,
        lang=lang,
        url=url,
        data=encoded,
        set_ms=now_ms,
        told_unread=0,
    )


def _checked_url(url: object) -> str:
    if url is None:
        raise MissingParam("Missing parameters: data.url")
    if not isinstance(url, str) or len(url) > _URL or not (url.isascii() and url.isprintable()) or " " in url:
        raise InvalidParam("The pusher's url is not one.")
    try:
        parts = urlsplit(url)
        good = bool(parts.hostname) and parts.port != 0 and parts.username is None and not parts.fragment
    except ValueError:
        good = False
    if not good or parts.scheme not in ("https", "http") or parts.path != NOTIFY.path:
        raise InvalidParam(f"The pusher's url must be one of https, with the path {NOTIFY.path}.")
    return url
