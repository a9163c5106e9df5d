"""The endpoints by which administrators look after accounts.

https://element-hq.github.io/synapse/latest/admin_api/user_admin_api.html
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec

from weft.http.call import Call, Route, route
from weft.modules.accounts import AccountsService
from weft.modules.admin.rate_limits import Override, RateLimits
from weft.modules.admin.user_store import UserRow, Wanted
from weft.modules.admin.users import Users
from weft.protocol.api.endpoint import Empty, Raw
from weft.protocol.api.synapse_admin import users as api

#: What a user keeps: content as JSON by type, by room id ("" for none).
AccountDataOf = Callable[[str], Awaitable[Mapping[str, Mapping[str, bytes]]]]


class UsersApi:
    def __init__(
        self, users: Users, accounts: AccountsService, rate_limits: RateLimits, account_data_of: AccountDataOf
    ) -> None:
        self._users = users
        self._accounts = accounts
        self._rate_limits = rate_limits
        self._account_data_of = account_data_of

    def routes(self) -> list[Route[Any, Any]]:
        return [
            route(api.LIST_USERS, self.list_users),
            route(api.LIST_USERS_V3, self.list_users_v3),
            route(api.GET_USER, self.get_user),
            route(api.PUT_USER, self.put_user),
            route(api.FIND_USER_BY_THREEPID, self.find_by_threepid),
            route(api.FIND_USER_BY_EXTERNAL_ID, self.find_by_external_id),
            route(api.DEACTIVATE_USER, self.deactivate_user),
            route(api.RESET_USER_PASSWORD, self.reset_password),
            route(api.GET_USER_ADMIN, self.get_admin),
            route(api.SET_USER_ADMIN, self.set_admin),
            route(api.SUSPEND_USER, self.suspend),
            route(api.LOGIN_AS_USER, self.login_as),
            route(api.CHECK_USERNAME_FREE, self.check_username),
            route(api.USER_JOINED_ROOMS, self.joined_rooms),
            route(api.USER_MEMBERSHIPS, self.memberships),
            route(api.USER_ACCOUNT_DATA, self.account_data),
            route(api.SENT_INVITE_COUNT, self.sent_invites),
            route(api.JOINED_ROOM_COUNT, self.joined_room_count),
            route(api.GET_RATELIMIT_OVERRIDE, self.get_rate_limit),
            route(api.SET_RATELIMIT_OVERRIDE, self.set_rate_limit),
            route(api.DELETE_RATELIMIT_OVERRIDE, self.delete_rate_limit),
        ]

    # -- looking

    async def list_users(self, call: Call[api.ListUsersRequest]) -> api.ListUsersResponse:
        """Accounts that have ended are left out unless they are asked for, and then come with the others."""
        return await self._page(call.args, deactivated=None if call.args.deactivated else False)

    async def list_users_v3(self, call: Call[api.ListUsersRequest]) -> api.ListUsersResponse:
        return await self._page(call.args, deactivated=call.args.deactivated)

    async def _page(self, args: api.ListUsersRequest, *, deactivated: bool | None) -> api.ListUsersResponse:
        wanted = Wanted(
            of_id=args.user_id,
            of_name=args.name,
            guests=args.guests,
            admins=args.admins,
            deactivated=deactivated,
            locked=args.locked,
            not_types=args.not_user_type,
        )
        rows, total = await self._users.page(
            wanted, order=args.order_by, backwards=args.dir == "b", start=args.from_, limit=args.limit
        )
        upto = args.from_ + len(rows)
        return api.ListUsersResponse(
            users=[api.ListedUser(**_fields(row)) for row in rows],
            total=total,
            next_token=str(upto) if rows and upto < total else None,
        )

    async def get_user(self, call: Call[api.AdministeredUserRequest]) -> api.UserDetails:
        return await self._details(call.args.user_id)

    async def _details(self, user_id: str) -> api.UserDetails:
        fields = _fields(await self._users.one(user_id))
        return api.UserDetails(
            **fields, threepids=await self._threepids(user_id), external_ids=await self._external_ids(user_id)
        )

    async def _external_ids(self, user_id: str) -> list[api.ExternalId]:
        found = await self._users.external_ids_of(user_id)
        return [api.ExternalId(auth_provider=one.provider, external_id=one.subject) for one in found]

    async def _threepids(self, user_id: str) -> list[api.KeptThreepid]:
        return [
            api.KeptThreepid(
                medium=owned.medium,
                address=owned.address,
                validated_at=owned.validated_ms,
                added_at=owned.added_ms,
            )
            for owned in await self._users.addresses_of(user_id)
        ]

    async def find_by_threepid(self, call: Call[api.FindUserByThreepidRequest]) -> api.FoundUser:
        user_id = await self._users.by_address(call.args.medium, call.args.address)
        return api.FoundUser(user_id=user_id)

    async def find_by_external_id(self, call: Call[api.FindUserByExternalIdRequest]) -> api.FoundUser:
        return api.FoundUser(user_id=await self._users.by_external_id(call.args.provider, call.args.external_id))

    async def check_username(self, call: Call[api.CheckUsernameFreeRequest]) -> api.CheckUsernameFreeResponse:
        await self._accounts.check_free(self._accounts.user_id_of(call.args.username))
        return api.CheckUsernameFreeResponse(available=True)

    async def joined_rooms(self, call: Call[api.AdministeredUserRequest]) -> api.UserJoinedRoomsResponse:
        memberships = await self._users.memberships(call.args.user_id)
        rooms = [room_id for room_id, membership in memberships.items() if membership == "join"]
        return api.UserJoinedRoomsResponse(joined_rooms=rooms, total=len(rooms))

    async def memberships(self, call: Call[api.AdministeredUserRequest]) -> api.UserMembershipsResponse:
        return api.UserMembershipsResponse(memberships=await self._users.memberships(call.args.user_id))

    async def account_data(self, call: Call[api.AdministeredUserRequest]) -> api.UserAccountDataResponse:
        account = await self._users.account(call.args.user_id)
        places = {
            place: {data_type: msgspec.Raw(content) for data_type, content in kept.items()}
            for place, kept in (await self._account_data_of(account.user_id)).items()
        }
        everywhere = places.pop("", {})
        return api.UserAccountDataResponse(account_data=api.UserAccountData(global_=everywhere, rooms=places))

    async def sent_invites(self, call: Call[api.CountSinceRequest]) -> api.SentInviteCountResponse:
        count = await self._users.invites_since(call.args.user_id, call.args.from_ts)
        return api.SentInviteCountResponse(invite_count=count)

    async def joined_room_count(self, call: Call[api.CountSinceRequest]) -> api.JoinedRoomCountResponse:
        count = await self._users.rooms_joined_since(call.args.user_id, call.args.from_ts)
        return api.JoinedRoomCountResponse(cumulative_joined_room_count=count)

    # -- changing

    async def put_user(self, call: Call[api.PutUserRequest]) -> Raw:
        made = await self._users.put(call.requester, call.args)
        details = await self._details(call.args.user_id)
        return Raw(body=msgspec.json.encode(details), status=201 if made else 200)

    async def deactivate_user(self, call: Call[api.DeactivateUserRequest]) -> api.DeactivateUserResponse:
        is_unbound = await self._users.deactivate(call.args.user_id, erase=call.args.erase)
        return api.DeactivateUserResponse(id_server_unbind_result="success" if is_unbound else "no-support")

    async def reset_password(self, call: Call[api.ResetUserPasswordRequest]) -> Empty:
        args = call.args
        await self._users.reset_password(args.user_id, args.new_password, end_sessions=args.logout_devices)
        return Empty()

    async def get_admin(self, call: Call[api.AdministeredUserRequest]) -> api.AdminFlag:
        return api.AdminFlag(admin=(await self._users.account(call.args.user_id)).is_admin)

    async def set_admin(self, call: Call[api.SetUserAdminRequest]) -> Empty:
        await self._users.set_admin(call.requester, call.args.user_id, call.args.admin)
        return Empty()

    async def suspend(self, call: Call[api.SuspendUserRequest]) -> Raw:
        args = call.args
        await self._users.suspend(call.requester, args.user_id, args.suspend)
        return Raw(body=msgspec.json.encode({f"user_{args.user_id}_suspended": args.suspend}))

    async def login_as(self, call: Call[api.LoginAsUserRequest]) -> api.LoginAsUserResponse:
        token = await self._users.act_as(call.requester, call.args.user_id, call.args.valid_until_ms)
        return api.LoginAsUserResponse(access_token=token)

    # -- rates

    async def get_rate_limit(self, call: Call[api.AdministeredUserRequest]) -> api.RatelimitOverride:
        account = await self._users.account(call.args.user_id)
        return _shown(await self._rate_limits.get(account.user_id))

    async def set_rate_limit(self, call: Call[api.SetRatelimitOverrideRequest]) -> api.RatelimitOverride:
        account = await self._accounts.active(call.args.user_id)
        override = Override(call.args.messages_per_second, call.args.burst_count)
        await self._rate_limits.set(account.user_id, override)
        return _shown(override)

    async def delete_rate_limit(self, call: Call[api.AdministeredUserRequest]) -> Empty:
        account = await self._users.account(call.args.user_id)
        await self._rate_limits.clear(account.user_id)
        return Empty()


def _shown(override: Override | None) -> api.RatelimitOverride:
    if override is None:
        return api.RatelimitOverride()
    return api.RatelimitOverride(messages_per_second=override.per_second, burst_count=override.burst)


def _fields(row: UserRow) -> dict[str, Any]:
    return {
        "name": row.user_id,
        "user_type": row.user_type,
        "is_guest": row.is_guest,
        "admin": row.is_admin,
        "deactivated": row.deactivated,
        "erased": row.erased,
        "shadow_banned": False,
        "displayname": row.display_name,
        "avatar_url": row.avatar_url,
        "creation_ts": row.created_ms,
        "last_seen_ts": row.last_seen_ms,
        "locked": row.locked,
        "suspended": row.suspended,
    }
