"""What belongs to an account: how services that know nothing of each other come together in it."""

from __future__ import annotations

from typing import NamedTuple

from weft.modules import (
    account_data,
    accounts,
    admin,
    application_services,
    devices,
    profile,
    push_rules,
    single_sign_on,
    third_party_ids,
    thread_subscriptions,
    ui_auth,
    unread,
    user_directory,
)
from weft.protocol.identifiers import localpart_of
from weft.rooms.engine import Engine
from weft.server.config import read_registrations
from weft.settings import Settings
from weft.storage.database import WriteTransaction


class People(NamedTuple):
    devices: devices.DevicesService
    ui_auth: ui_auth.UiAuthService
    accounts: accounts.AccountsService
    registration: accounts.Registration
    services: application_services.ApplicationServices


def people(engine: Engine, settings: Settings) -> People:
    """Who has accounts here, and how they get one."""
    registrations = read_registrations(settings)
    devices_ = devices.DevicesService(engine.database, engine.outside.now_ms)
    ui_auth_ = ui_auth.UiAuthService(engine)
    accounts_ = accounts.AccountsService(
        engine,
        settings,
        devices=devices_,
        ui_auth=ui_auth_,
        services=registrations,
        # The server's own voice is nobody's account.
        is_reserved=lambda user_id: localpart_of(user_id) == settings.server_notices.localpart,
    )
    registration = accounts.Registration(engine, settings, accounts_, ui_auth_)
    services = application_services.ApplicationServices(engine, registrations, accounts_)
    return People(devices_, ui_auth_, accounts_, registration, services)


def around_accounts(
    engine: Engine,
    profiles: profile.Profiles,
    propagation: profile.Propagation,
    addresses: third_party_ids.ThirdPartyIds,
) -> admin.AroundAccounts:
    """What administrators do with profiles and addresses."""
    return admin.AroundAccounts(
        profile_of=profiles.profile_of,
        set_profile=propagation.set_field,
        addresses=addresses,
        external_ids=single_sign_on.ExternalIds(engine),
    )


def join_accounts(
    accounts_: accounts.AccountsService,
    profiles: profile.Profiles,
    user_directory_: user_directory.UserDirectory,
    account_data_: account_data.AccountData,
    push_rules_: push_rules.PushRules,
    unread_: unread.Unread,
    threads_: thread_subscriptions.ThreadSubscriptions,
) -> None:
    """Has what belongs to an account begin and end with it."""

    def created(tx: WriteTransaction, new: accounts.NewAccount) -> None:
        # A guest has not chosen the name that the server made up.
        name = new.display_name or (None if new.is_guest else localpart_of(new.user_id))
        profiles.created(tx, new.user_id, name)

    def ended(tx: WriteTransaction, deactivation: accounts.Deactivation) -> None:
        user_directory_.hide(tx, deactivation.user_id)
        account_data_.removed(tx, deactivation.user_id)
        push_rules_.removed(tx, deactivation.user_id)
        unread_.removed(tx, deactivation.user_id)
        threads_.removed(tx, deactivation.user_id)
        if deactivation.erase:
            profiles.erased(tx, deactivation.user_id)

    accounts_.hooks.created.append(created)

    def begun_again(tx: WriteTransaction, user_id: str) -> None:
        user_directory_.unhide(tx, user_id)
        profiles.told_again(tx, user_id)

    accounts_.hooks.deactivated.append(ended)
    accounts_.hooks.reactivated.append(begun_again)
    account_data_.provide("m.push_rules", push_rules_.json)
