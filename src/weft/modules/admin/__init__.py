"""What administrators do: look, suspend, lock, make accounts; and all that Synapse's tools ask for.

https://spec.matrix.org/v1.19/client-server-api/#server-administration
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from weft.federation.destinations import Destinations
from weft.modules.accounts import AccountsService, RegistrationTokens
from weft.modules.admin.blocks import RoomBlocks
from weft.modules.admin.client_api import AdminApi
from weft.modules.admin.devices_api import DehydratedOf, UserDevicesApi
from weft.modules.admin.federation_api import FederationApi
from weft.modules.admin.history_purge import HistoryPurge
from weft.modules.admin.jobs import Jobs
from weft.modules.admin.jobs_api import JobsApi
from weft.modules.admin.open_rooms import OpenSight, OpenViewing, nobody
from weft.modules.admin.rate_limits import RateLimits
from weft.modules.admin.registration_tokens_api import RegistrationTokensApi
from weft.modules.admin.reports_api import ReportsApi
from weft.modules.admin.room_deletion import RoomDeletion
from weft.modules.admin.rooms import AdministeredRooms
from weft.modules.admin.rooms_api import Locate, RoomsApi
from weft.modules.admin.server_api import ServerApi
from weft.modules.admin.shared_secret import SharedSecretRegistration
from weft.modules.admin.statistics_api import StatisticsApi
from weft.modules.admin.user_redaction import UserRedaction
from weft.modules.admin.users import AroundAccounts, Users
from weft.modules.admin.users_api import AccountDataOf, UsersApi
from weft.modules.devices import DevicesService
from weft.modules.events import EventForms, Expiry
from weft.modules.events.user_rooms import UserRooms
from weft.modules.history import History
from weft.modules.membership import Memberships
from weft.modules.module import Module
from weft.modules.reporting import ReportingService
from weft.modules.room_creation import RoomCreation
from weft.rooms.engine import Engine

__all__ = ["AroundAccounts", "Parts", "RateLimits", "SharedSecretRegistration", "module"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What administrators look into and work with."""

    accounts: AccountsService
    tokens: RegistrationTokens
    devices: DevicesService
    shared_secret: SharedSecretRegistration
    rate_limits: RateLimits
    memberships: Memberships
    creation: RoomCreation
    user_rooms: UserRooms
    forms: EventForms
    reporting: ReportingService
    destinations: Destinations
    around: AroundAccounts
    account_data_of: AccountDataOf
    dehydrated_of: DehydratedOf
    locate: Locate
    expiry: Expiry
    #: The names of the followers that tell other servers of events.
    senders: Sequence[str]


def module(engine: Engine, parts: Parts) -> Module:
    accounts = parts.accounts
    users = Users(engine, accounts, parts.devices, parts.around)
    blocks = RoomBlocks(engine.database)
    parts.memberships.closed.append(blocks.check)
    rooms = AdministeredRooms(engine, parts.memberships)
    jobs = Jobs(engine)
    jobs_api = JobsApi(
        engine,
        jobs,
        blocks,
        RoomDeletion(engine, jobs, parts.memberships, parts.creation, parts.senders),
        HistoryPurge(engine, jobs),
        UserRedaction(engine, jobs),
    )
    sight = OpenSight(engine, parts.expiry)
    history = History(
        engine,
        viewing=OpenViewing(engine, parts.user_rooms, sight),
        sight=sight,
        forms=parts.forms,
        ignored_users=nobody,
    )
    return Module(
        name="admin",
        routes=[
            *AdminApi(accounts, parts.devices, parts.shared_secret).routes(),
            *UsersApi(users, accounts, parts.rate_limits, parts.account_data_of).routes(),
            *UserDevicesApi(users, accounts, parts.devices, parts.dehydrated_of).routes(),
            *RegistrationTokensApi(parts.tokens).routes(),
            *RoomsApi(rooms, blocks, accounts, history, parts.forms, parts.locate).routes(),
            *jobs_api.routes(),
            *ReportsApi(engine, parts.reporting).routes(),
            *FederationApi(engine, parts.destinations).routes(),
            *StatisticsApi(engine.database).routes(),
            *ServerApi().routes(),
        ],
        tasks=[*parts.shared_secret.tasks, *jobs.tasks],
        starts=[parts.rate_limits.start, blocks.start],
        appliers=[parts.rate_limits.apply, blocks.apply],
        followers=[rooms.follower, jobs.follower],
    )
