"""The list of modules: every service is made here, with what it uses, and nowhere else."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from weft.http.limits import Limiter
from weft.modules import (
    account_data,
    accounts,
    admin,
    devices,
    directory,
    discovery,
    events,
    filters,
    membership,
    openid,
    push_rules,
    receipts,
    reporting,
    room_creation,
    room_events,
    room_summary,
    sync,
    typing,
    ui_auth,
    unread,
)
from weft.modules.module import Module
from weft.protocol.errors import LimitExceeded
from weft.rooms.engine import Engine
from weft.settings import Settings

#: The packages that own tables, in the order in which their migrations run.
TABLES = (
    "weft.modules.account_data",
    "weft.modules.accounts",
    "weft.modules.admin",
    "weft.modules.devices",
    "weft.modules.directory",
    "weft.modules.filters",
    "weft.modules.openid",
    "weft.modules.push_rules",
    "weft.modules.receipts",
    "weft.modules.reporting",
    "weft.modules.typing",
    "weft.modules.ui_auth",
)


@dataclass(slots=True)
class Modules:
    """All modules, and the services that the server itself uses."""

    all: list[Module]
    accounts: accounts.AccountsService


def assemble(engine: Engine, settings: Settings, limiter: Limiter) -> Modules:
    """Makes every module of the server."""
    # Events on their way to clients.
    user_rooms = events.UserRooms(engine)
    aggregations = events.Aggregations(engine)
    sight = events.Sight(engine)
    forms = events.EventForms(engine, aggregations)

    # Who one is.
    devices_ = devices.DevicesService(engine.database, engine.outside.now_ms)
    ui_auth_ = ui_auth.UiAuthService(engine)
    accounts_ = accounts.AccountsService(engine, settings, devices=devices_, ui_auth=ui_auth_)
    registration = accounts.Registration(engine, settings.registration, accounts_, ui_auth_)
    shared_secret = admin.SharedSecretRegistration(engine, settings.registration.shared_secret_file, accounts_)

    async def profile_of(user_id: str) -> dict[str, Any]:
        return {}

    async def seen(requester: object, presence: str) -> None:
        return None

    # What one keeps.
    account_data_ = account_data.AccountData(engine)
    filters_ = filters.Filters(engine)
    push_rules_ = push_rules.PushRules(engine)
    account_data_.provide("m.push_rules", push_rules_.json)
    receipts_ = receipts.Receipts(engine)
    typing_ = typing.Typing(engine)
    unread_ = unread.Unread(engine, push_rules=push_rules_, receipts=receipts_, account_data=account_data_, sight=sight)
    notifications = unread.Notifications(engine, unread_, user_rooms=user_rooms, forms=forms, sight=sight)

    # Rooms.
    directory_ = directory.Directory(engine, settings.rooms)
    viewing = membership.Viewing(engine, user_rooms, sight)
    stripped_states = membership.StrippedStates(engine)
    members = membership.Members(engine, viewing, user_rooms, forms)
    memberships = membership.Memberships(
        engine,
        profile_of=profile_of,
        account_data_of=account_data_.content_of,
        resolve=directory_.resolve,
        notices_localpart=settings.server_notices.localpart,
        on_replaced=account_data_.on_room_upgraded,
    )
    sending = room_events.Sending(engine, memberships, directory_)
    room_state = room_events.RoomState(engine, viewing, forms)

    def limit(name: str, user_id: str) -> None:
        """Counts one use of a rate limit inside a request. Raises `LimitExceeded`."""
        wait_ms = limiter.allow(name, user_id, time.monotonic())
        if wait_ms is not None:
            raise LimitExceeded(wait_ms)

    creation = room_creation.RoomCreation(
        engine, memberships, directory_, default_version=settings.rooms.default_version, limit=limit
    )
    upgrade = room_creation.RoomUpgrade(
        engine, creation, memberships, directory_, on_replaced=account_data_.on_room_upgraded
    )
    summaries = room_summary.RoomSummaries(engine, directory_)
    openid_ = openid.OpenIdService(engine, accounts_)

    parts = [
        events.module(user_rooms, aggregations),
        account_data.module(engine, account_data_),
        accounts.module(accounts_, registration, ui_auth_, settings),
        admin.module(accounts_, devices_, shared_secret),
        devices.module(devices_, ui_auth_),
        directory.module(directory_),
        discovery.module(settings),
        filters.module(filters_),
        membership.module(memberships, members, stripped_states),
        openid.module(openid_),
        push_rules.module(engine, push_rules_),
        receipts.module(engine, receipts_),
        reporting.module(reporting.ReportingService(engine, sight)),
        room_creation.module(creation, upgrade),
        room_events.module(sending, room_state),
        room_summary.module(summaries),
        typing.module(engine, typing_),
        ui_auth.module(ui_auth_),
        unread.module(unread_, notifications),
    ]
    sync_ = sync.SyncService(
        engine,
        user_rooms=user_rooms,
        sight=sight,
        forms=forms,
        parts=[part.sync for part in parts if part.sync is not None],
        around=sync.Surroundings(
            filter_of=filters_.named,
            ignored_users=account_data_.ignored_users,
            stripped_state=stripped_states.of,
            unread=unread_.counts,
            seen=seen,
        ),
    )
    # What wakes those who wait comes last, when everything in memory is up to date.
    return Modules([*parts, sync.module(sync_)], accounts_)
