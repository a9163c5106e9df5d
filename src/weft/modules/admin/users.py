"""What administrators do with accounts: look through them, make them, change them, end them, act as their owners."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final

import orjson
from msgspec import UNSET

from weft.http.call import Requester
from weft.modules.accounts import AccountsService
from weft.modules.accounts.store import Account
from weft.modules.admin import user_store
from weft.modules.admin.user_store import UserRow, Wanted
from weft.modules.devices import DevicesService
from weft.modules.single_sign_on import ExternalId, ExternalIds
from weft.modules.third_party_ids import Owned, ThirdPartyIds
from weft.protocol.api.synapse_admin.users import PutUserRequest
from weft.protocol.errors import InvalidParam, MatrixError, NotFound
from weft.protocol.identifiers import is_valid_mxc, parse_user_id
from weft.protocol.third_party_ids import ThirdPartyId, canonical
from weft.rooms.engine import Engine
from weft.storage import rooms as room_store

MAX_PAGE: Final = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class AroundAccounts:
    """What other modules know of users, and do for administrators."""

    #: `displayname` and `avatar_url`, where they are set.
    profile_of: Callable[[str], Awaitable[Mapping[str, str]]]
    #: Sets a field of a profile to a JSON value, everywhere where it is seen.
    set_profile: Callable[[str, str, bytes], Awaitable[None]]
    #: E-mail addresses and phone numbers.
    addresses: ThirdPartyIds
    #: Who they are at providers of single sign-on.
    external_ids: ExternalIds


class Users:
    """Every method raises `InvalidParam` for a user of another server and `NotFound` for one that was never here."""

    def __init__(
        self, engine: Engine, accounts: AccountsService, devices: DevicesService, around: AroundAccounts
    ) -> None:
        self._engine = engine
        self._accounts = accounts
        self._devices = devices
        self._around = around

    # -- looking

    async def page(
        self, wanted: Wanted, *, order: str, backwards: bool, start: int, limit: int
    ) -> tuple[list[UserRow], int]:
        """A page of accounts, and how many there are in all."""
        await self._devices.last_seen.flush()
        rows, total = await self._engine.database.read(
            user_store.page, wanted, order=order, backwards=backwards, start=start, limit=min(limit, MAX_PAGE)
        )
        return [await self._shown(row) for row in rows], total

    async def one(self, user_id: str) -> UserRow:
        self._check_local(user_id)
        await self._devices.last_seen.flush()
        row = await self._engine.database.read(user_store.one, user_id)
        if row is None:
            raise NotFound("There is no such user.")
        return await self._shown(row)

    async def _shown(self, row: UserRow) -> UserRow:
        """An account that has ended is in no list of names, but keeps its own."""
        if not row.deactivated:
            return row
        profile = await self._around.profile_of(row.user_id)
        return row._replace(display_name=profile.get("displayname"), avatar_url=profile.get("avatar_url"))

    async def account(self, user_id: str) -> Account:
        """An account, also one that has ended."""
        self._check_local(user_id)
        account = await self._accounts.find(user_id)
        if account is None:
            raise NotFound("There is no such user.")
        return account

    def _check_local(self, user_id: str) -> None:
        parse_user_id(user_id)
        if not self._engine.is_local(user_id):
            raise InvalidParam("The user does not belong to this server.")

    async def memberships(self, user_id: str) -> dict[str, str]:
        """The user's membership of each room that this server knows of, by room id; of other servers' users, too."""
        parse_user_id(user_id)
        rows = await self._engine.database.read(room_store.memberships_of_user, user_id)
        return {row.room_id: row.membership for row in rows}

    async def invites_since(self, user_id: str, since_ms: int) -> int:
        await self.account(user_id)
        return await self._engine.database.read(user_store.invites_since, user_id, since_ms)

    async def rooms_joined_since(self, user_id: str, since_ms: int) -> int:
        await self.account(user_id)
        return await self._engine.database.read(user_store.rooms_joined_since, user_id, since_ms)

    async def addresses_of(self, user_id: str) -> list[Owned]:
        return await self._around.addresses.of(user_id)

    async def by_address(self, medium: str, address: str) -> str:
        """Who has an address. Raises `NotFound`, and `InvalidParam` for what is no address."""
        user_id = await self._around.addresses.find(canonical(medium, address))
        if user_id is None:
            raise NotFound("No account has this address.")
        return user_id

    async def external_ids_of(self, user_id: str) -> list[ExternalId]:
        return await self._around.external_ids.of(user_id)

    async def by_external_id(self, provider: str, subject: str) -> str:
        """Whose account goes with somebody at a provider. Raises `NotFound`."""
        user_id = await self._around.external_ids.find(ExternalId(provider, subject))
        if user_id is None:
            raise NotFound("No account has this external id.")
        return user_id

    # -- changing

    async def put(self, requester: Requester, args: PutUserRequest) -> bool:
        """Makes an account, or changes what is named. Whether it was made. What can be refused is refused at first."""
        self._check_local(args.user_id)
        account = await self._accounts.find(args.user_id)
        self._check(requester, account, args)
        await self._around.addresses.check_free(args.user_id, _addresses(args))
        await self._around.external_ids.check_free(args.user_id, _external_ids(args))
        if account is None:
            await self._make(args)
        elif account.is_deactivated and args.deactivated is False:
            await self._accounts.reactivate(args.user_id, args.password)
        elif args.password is not None:
            await self._accounts.set_password(args.user_id, args.password, end_sessions=args.logout_devices)
        await self._change(account, args)
        return account is None

    def _check(self, requester: Requester, account: Account | None, args: PutUserRequest) -> None:
        """Raises what forbids the request, before anything is changed."""
        if args.avatar_url and not is_valid_mxc(args.avatar_url):
            raise InvalidParam("avatar_url must be an mxc:// URI.")
        if args.password is not None:
            self._accounts.passwords.judge(args.password)
        if account is None:
            self._accounts.check_name(args.user_id)
            return
        if args.user_id == requester.user_id:
            if args.admin is False:
                raise _not_oneself("take the rights of an administrator from")
            if args.deactivated or args.locked or args.suspended:
                raise _not_oneself("deactivate, lock or suspend")
        if account.is_deactivated and args.deactivated is not False and args.password is not None:
            raise MatrixError("This account has been deactivated; it can be given a password when it begins again.")
        if account.is_deactivated and args.deactivated is not False and args.threepids:
            raise MatrixError("This account has been deactivated; it can be given addresses when it begins again.")

    async def _make(self, args: PutUserRequest) -> None:
        await self._accounts.create(
            args.user_id,
            args.password,
            admin=bool(args.admin),
            display_name=args.displayname,
            user_type=args.user_type if args.user_type is not UNSET else None,
        )

    async def _change(self, account: Account | None, args: PutUserRequest) -> None:
        """What is done alike to a new account and to one that is there; the end of an account comes last."""
        user_id = args.user_id
        if account is not None:
            if args.displayname is not None:
                await self._around.set_profile(user_id, "displayname", orjson.dumps(args.displayname))
            if args.admin is not None and args.admin != account.is_admin:
                await self._accounts.set_admin(user_id, args.admin)
            if args.user_type is not UNSET:
                await self._accounts.set_user_type(user_id, args.user_type)
        if args.avatar_url is not None:
            await self._around.set_profile(user_id, "avatar_url", orjson.dumps(args.avatar_url))
        if args.threepids is not None:
            await self._around.addresses.set_for(user_id, _addresses(args))
        if args.external_ids is not None:
            await self._around.external_ids.set_for(user_id, _external_ids(args))
        if args.locked is not None:
            await self._accounts.set_locked(user_id, args.locked)
        if args.suspended is not None:
            await self._accounts.set_suspended(user_id, args.suspended)
        if args.deactivated and not (account is not None and account.is_deactivated):
            await self._accounts.deactivate(user_id, erase=False)

    async def deactivate(self, user_id: str, *, erase: bool) -> bool:
        """Ends an account; one that has ended may still be erased. Whether all identity servers have forgotten it."""
        await self.account(user_id)
        is_unbound = await self._accounts.hooks.unbind(user_id, None)
        await self._accounts.deactivate(user_id, erase=erase)
        return is_unbound

    async def reset_password(self, user_id: str, password: str, *, end_sessions: bool) -> None:
        await self.account(user_id)
        await self._accounts.set_password(user_id, password, end_sessions=end_sessions)

    async def set_admin(self, requester: Requester, user_id: str, is_admin: bool) -> None:
        account = await self.account(user_id)
        if user_id == requester.user_id and not is_admin:
            raise _not_oneself("take the rights of an administrator from")
        if account.is_admin != is_admin:
            await self._accounts.set_admin(user_id, is_admin)

    async def suspend(self, requester: Requester, user_id: str, suspended: bool) -> None:
        await self._accounts.active(user_id)
        if user_id == requester.user_id and suspended:
            raise _not_oneself("suspend")
        await self._accounts.set_suspended(user_id, suspended)

    async def act_as(self, requester: Requester, user_id: str, until_ms: int | None) -> str:
        """A token with which the administrator acts as a user."""
        await self._accounts.active(user_id)
        if user_id == requester.user_id:
            raise MatrixError("You act as yourself already.")
        if until_ms is not None and until_ms <= self._engine.outside.now_ms():
            raise InvalidParam("valid_until_ms is in the past.")
        return await self._accounts.sessions.act_as(user_id, requester.user_id, until_ms)


def _external_ids(args: PutUserRequest) -> list[ExternalId]:
    return [ExternalId(one.auth_provider, one.external_id) for one in args.external_ids or ()]


def _addresses(args: PutUserRequest) -> list[ThirdPartyId]:
    """Raises `InvalidParam` for what is no address."""
    return [canonical(each.medium, each.address) for each in args.threepids or ()]


def _not_oneself(what: str) -> MatrixError:
    return MatrixError(f"You can't {what} yourself: that is for another administrator, or the command line.")
