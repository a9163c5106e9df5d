"""The endpoints of profiles. Anybody may read a profile; one of another server's user is asked for there."""

from __future__ import annotations

from typing import Any

import msgspec
import orjson

from weft.http.call import Call, Route, route
from weft.modules.profile.fields import Fields
from weft.modules.profile.propagation import Propagation
from weft.modules.profile.remote import RemoteProfiles
from weft.modules.profile.service import Profiles, field_of
from weft.protocol.api.client import profile as api
from weft.protocol.api.endpoint import Empty, Raw
from weft.protocol.errors import Forbidden, MatrixError, MissingParam


class ClientApi:
    def __init__(self, profiles: Profiles, remote: RemoteProfiles, propagation: Propagation) -> None:
        self._profiles = profiles
        self._remote = remote
        self._propagation = propagation

    def routes(self) -> list[Route[Any, Any]]:
        return [
            route(api.GET_USER_PROFILE, self.get),
            route(api.GET_PROFILE_FIELD, self.get_field),
            route(api.SET_PROFILE_FIELD, self.set_field),
            route(api.DELETE_PROFILE_FIELD, self.delete_field),
        ]

    async def get(self, call: Call[api.GetUserProfileRequest]) -> Raw:
        return Raw(body=await self._json(call.args.user_id))

    async def get_field(self, call: Call[api.ProfileFieldRequest]) -> Raw:
        key = call.args.key_name
        value = field_of(await self._json(call.args.user_id), key)
        return Raw(body=b"{%s:%s}" % (orjson.dumps(key), value))

    async def _json(self, user_id: str) -> bytes:
        return await (self._profiles if self._profiles.is_local(user_id) else self._remote).json(user_id)

    async def set_field(self, call: Call[api.SetProfileFieldRequest]) -> Empty:
        user_id, key = call.args.user_id, call.args.key_name
        await self._check_may_change(call, user_id, key)
        value = msgspec.json.decode(call.body_bytes, type=Fields).get(key)
        if value is None:
            raise MissingParam(f"The body must have the key {key[:64]!r}.")
        await self._propagation.set_field(user_id, key, bytes(value))
        return Empty()

    async def delete_field(self, call: Call[api.ProfileFieldRequest]) -> Empty:
        user_id, key = call.args.user_id, call.args.key_name
        await self._check_may_change(call, user_id, key)
        await self._propagation.delete_field(user_id, key)
        return Empty()

    async def _check_may_change(self, call: Call[Any], user_id: str, key: str) -> None:
        """Users change their own profile, administrators anybody's; guests their name alone."""
        requester = call.requester
        if user_id != requester.user_id:
            if not requester.is_admin:
                raise Forbidden("That is somebody else's profile.")
            await self._profiles.json(user_id)
        if requester.is_guest and key != "displayname":
            raise MatrixError("Guests may only change their name.", errcode="M_GUEST_ACCESS_FORBIDDEN", status=403)
