"""The endpoints by which other servers ask for our users' devices and keys.

https://spec.matrix.org/v1.19/server-server-api/#end-to-end-encryption
https://spec.matrix.org/v1.19/server-server-api/#device-management
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from weft.http.call import Call, Route, route
from weft.modules.devices import device_lists
from weft.modules.keys.one_time_keys import OneTimeKeys
from weft.modules.keys.one_time_store import Wanted
from weft.modules.keys.own_users import Known, OwnUsers, known_of
from weft.protocol.api.federation import devices as devices_api
from weft.protocol.api.federation import encryption_keys as api
from weft.protocol.errors import InvalidParam
from weft.protocol.identifiers import is_valid_user_id
from weft.rooms.engine import Engine
from weft.storage.database import Transaction


class FederationApi:
    """`names`: whether devices are told with their display names. `asked` hears which server asks for whose list."""

    def __init__(
        self,
        engine: Engine,
        own_users: OwnUsers,
        one_time_keys: OneTimeKeys,
        *,
        names: bool,
        asked: Callable[[str, str], Awaitable[None]],
    ) -> None:
        self._engine = engine
        self._own_users = own_users
        self._one_time_keys = one_time_keys
        self._names = names
        self._asked = asked

    def routes(self) -> list[Route[Any, Any]]:
        return [
            route(devices_api.GET_USER_DEVICES, self.devices),
            route(api.QUERY_USER_ENCRYPTION_KEYS, self.query),
            route(api.CLAIM_USER_ENCRYPTION_KEYS, self.claim),
        ]

    async def devices(self, call: Call[devices_api.GetUserDevicesRequest]) -> devices_api.GetUserDevicesResponse:
        user_id = call.args.user_id
        self._check_own([user_id])
        if is_valid_user_id(user_id):
            await self._asked(call.origin, user_id)
        stream_id, known = await self._engine.database.read(_list_of, user_id, self._names)
        return devices_api.GetUserDevicesResponse(
            user_id=user_id,
            stream_id=stream_id,
            devices=[
                devices_api.UserDevice(
                    device_id=device_id,
                    device_display_name=keys.pop("unsigned", {}).get("device_display_name"),
                    keys=keys,
                )
                for device_id, keys in known.device_keys[user_id].items()
            ],
            master_key=known.master_keys.get(user_id),
            self_signing_key=known.self_signing_keys.get(user_id),
        )

    async def query(self, call: Call[api.QueryUserEncryptionKeysRequest]) -> api.QueryUserEncryptionKeysResponse:
        asked = call.args.device_keys
        self._check_own(asked)
        known = await self._own_users.known(asked, names=self._names)
        return api.QueryUserEncryptionKeysResponse(
            device_keys=known.device_keys,
            master_keys=known.master_keys,
            self_signing_keys=known.self_signing_keys,
        )

    async def claim(self, call: Call[api.ClaimUserEncryptionKeysRequest]) -> api.ClaimUserEncryptionKeysResponse:
        asked = call.args.one_time_keys
        self._check_own(asked)
        wanted = [Wanted(user_id, *one) for user_id, of_user in asked.items() for one in of_user.items()]
        return api.ClaimUserEncryptionKeysResponse(one_time_keys=await self._one_time_keys.claim(wanted))

    def _check_own(self, users: Iterable[str]) -> None:
        if not all(self._engine.is_local(user_id) for user_id in users):
            raise InvalidParam("The user does not belong to this server.")


def _list_of(tx: Transaction, user_id: str, names: bool) -> tuple[int, Known]:
    """A user's devices and the number of their newest change, of one moment."""
    return device_lists.stream_id_of(tx, user_id), known_of(tx, {user_id: ()}, names)
