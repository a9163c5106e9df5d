"""The list of modules: every service is made here, with what it uses, and nowhere else."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from weft.federation.asking import Asking
from weft.federation.federation import Federation
from weft.http.call import Requester
from weft.http.limits import Limiter
from weft.modules import (
    account_data,
    accounts,
    admin,
    application_services,
    dehydrated_devices,
    delayed_events,
    devices,
    directory,
    discovery,
    events,
    filters,
    history,
    key_backup,
    keys,
    legacy,
    media,
    membership,
    mutual_rooms,
    oauth,
    openid,
    policy,
    policy_lists,
    presence,
    profile,
    push_rules,
    pushers,
    receipts,
    relations,
    rendezvous,
    reporting,
    retention,
    room_creation,
    room_events,
    room_inspection,
    room_summary,
    search,
    server_keys,
    server_notices,
    sliding_sync,
    spaces,
    sticky_events,
    sync,
    third_party_ids,
    thread_subscriptions,
    to_device,
    transactions,
    typing,
    ui_auth,
    unread,
    url_previews,
    user_directory,
    voip,
)
from weft.modules.module import Module, SyncPart
from weft.protocol.errors import LimitExceeded
from weft.protocol.push_rules import KINDS, KINDS_WITHOUT_THREADS
from weft.rooms.access import RoomAccess
from weft.rooms.engine import Engine
from weft.server.accounts import around_accounts, join_accounts, people
from weft.server.config import read_secret
from weft.server.federating import http_client, previews_client, push_client
from weft.server.logging_in import browser_logins
from weft.server.sending import sender_cursors, sender_module
from weft.settings import Settings

#: The packages that own tables, in the order in which their migrations run.
TABLES = (
    "weft.federation",
    "weft.modules.account_data",
    "weft.modules.accounts",
    "weft.modules.admin",
    "weft.modules.application_services",
    "weft.modules.dehydrated_devices",
    "weft.modules.delayed_events",
    "weft.modules.devices",
    "weft.modules.directory",
    "weft.modules.filters",
    "weft.modules.history",
    "weft.modules.keys",
    "weft.modules.key_backup",
    "weft.modules.media",
    "weft.modules.oauth",
    "weft.modules.openid",
    "weft.modules.presence",
    "weft.modules.profile",
    "weft.modules.push_rules",
    "weft.modules.pushers",
    "weft.modules.receipts",
    "weft.modules.relations",
    "weft.modules.rendezvous",
    "weft.modules.reporting",
    "weft.modules.search",
    "weft.modules.server_notices",
    "weft.modules.single_sign_on",
    "weft.modules.sliding_sync",
    "weft.modules.third_party_ids",
    "weft.modules.thread_subscriptions",
    "weft.modules.to_device",
    "weft.modules.typing",
    "weft.modules.ui_auth",
    "weft.modules.unread",
    "weft.modules.url_previews",
    "weft.modules.user_directory",
)


@dataclass(slots=True)
class Modules:
    """All modules, and the services that the server itself uses."""

    all: list[Module]
    accounts: accounts.AccountsService


def assemble(engine: Engine, settings: Settings, limiter: Limiter, federation: Federation) -> Modules:
    """Makes every module of the server."""
    # Who one is.
    devices_, ui_auth_, accounts_, registration, services = people(engine, settings)

    # Events on their way to clients.
    user_rooms = events.UserRooms(engine)
    sharing = events.Sharing(user_rooms)
    aggregations = events.Aggregations(engine)
    sight = events.Sight(engine, expiry := events.Expiry(engine, settings.retention))
    forms = events.EventForms(engine, aggregations, erased=accounts_.erased)
    access = RoomAccess(engine.rooms)
    asking = Asking(federation.peers, origin=federation.own_keys.server_names[0])

    # What one is called.
    user_directory_ = user_directory.UserDirectory(engine, search_all_users=settings.user_directory.search_all_users)
    profiles = profile.Profiles(engine)
    profiles.on_change.append(user_directory_.index)
    propagation = profile.Propagation(engine, profiles, user_rooms)

    # What one keeps.
    account_data_ = account_data.AccountData(engine)
    filters_ = filters.Filters(engine)
    threads_ = thread_subscriptions.ThreadSubscriptions(engine, enabled=settings.thread_subscriptions.enabled)
    push_rules_ = push_rules.PushRules(engine, KINDS if threads_.enabled else KINDS_WITHOUT_THREADS)
    presence_ = presence.Presence(engine, sharing, enabled=settings.presence.enabled)
    receipts_ = receipts.Receipts(engine)
    to_device_ = to_device.ToDevice(
        engine, devices_, ignored_users=account_data_.ignored_users, sender_cursors=sender_cursors(engine)
    )
    typing_ = typing.Typing(engine)
    unread_ = unread.Unread(
        engine,
        push_rules=push_rules_,
        receipts=receipts_,
        account_data=account_data_,
        sight=sight,
        threads=threads_,
    )

    # What one encrypts with.
    one_time_keys, cross_signing = keys.OneTimeKeys(engine, _guard_file(settings)), keys.CrossSigning(engine)
    accounts_.hooks.deactivated.append(lambda tx, ended: cross_signing.removed(tx, ended.user_id))

    join_accounts(accounts_, profiles, user_directory_, account_data_, push_rules_, unread_, threads_)
    on_replaced = _carrying_over(account_data_, push_rules_)

    # Rooms.
    directory_ = directory.Directory(
        engine,
        settings.rooms,
        directory.RemoteDirectories(asking),
        services=services.registrations,
        ask_service=services.ask_alias,
    )
    viewing = membership.Viewing(engine, user_rooms, sight)
    stripped_states = membership.StrippedStates(engine)
    elsewhere = membership.Elsewhere(engine)
    members = membership.Members(engine, viewing, user_rooms, forms)

    memberships = membership.Memberships(
        engine,
        profile_of=profiles.profile_of,
        account_data_of=account_data_.content_of,
        locate=directory_.locate,
        is_guest=accounts_.is_guest,
        elsewhere=elsewhere,
        identity_keys=membership.IdentityKeys(federation.fetch),
        notices_localpart=settings.server_notices.localpart,
        on_replaced=on_replaced,
    )
    accounts_.hooks.after_deactivation.append(memberships.leave_all)
    addresses = third_party_ids.Addresses(
        engine,
        settings,
        accounts_,
        ui_auth_,
        federation.own_keys,
        web=http_client(settings.federation),
        invite=memberships.invite,
        read_secret=read_secret,
    )
    admitting = membership.Admitting(
        engine,
        access,
        elsewhere,
        membership.IdentityKeys(federation.fetch),
        exists=services.exists,
        check_invite=memberships.check_invite,
        check_room=memberships.check_open,
    )
    transactions_ = transactions.Transactions(engine, access)
    sending = room_events.Sending(engine, memberships, directory_)
    room_state = room_events.RoomState(engine, viewing, forms)
    history_ = history.History(
        engine, viewing=viewing, sight=sight, forms=forms, ignored_users=account_data_.ignored_users
    )
    creation = room_creation.RoomCreation(
        engine,
        memberships,
        directory_,
        by_address=addresses.invites,
        default_version=settings.rooms.default_version,
        limit=_limit_of(limiter),
    )
    upgrade = room_creation.RoomUpgrade(engine, creation, memberships, directory_, on_replaced=on_replaced)
    summaries = room_summary.RoomSummaries(engine, directory_, access, room_summary.RemoteRooms(engine, asking))

    notices = server_notices.ServerNotices(
        engine,
        creation,
        memberships,
        settings.server_notices,
        default_version=settings.rooms.default_version,
        set_tag=account_data_.set_tag,
        exists=accounts_.exists,
    )
    search_index = search.Index(engine, erased=accounts_.erased)
    search_ = search.Search(
        engine, search_index, history_, user_rooms=user_rooms, sight=sight, enabled=settings.search.enabled
    )

    parts = [
        events.module(user_rooms, sharing, aggregations),
        account_data.module(engine, account_data_),
        accounts.module(accounts_, registration, ui_auth_, settings),
        devices.module(devices_, ui_auth_),
        dehydrated_devices.module(
            dehydrated := dehydrated_devices.DehydratedDevices(engine, devices_, keys.DeviceKeys(engine), to_device_)
        ),
        admin.module(
            engine,
            admin.Parts(
                accounts=accounts_,
                tokens=registration.tokens,
                devices=devices_,
                shared_secret=admin.SharedSecretRegistration(
                    engine, settings.registration.shared_secret_file, accounts_
                ),
                rate_limits=admin.RateLimits(engine.database, limiter, accounts_),
                memberships=memberships,
                user_rooms=user_rooms,
                forms=forms,
                reporting=(reporting_ := reporting.ReportingService(engine, sight)),
                destinations=federation.destinations,
                around=around_accounts(engine, profiles, propagation, addresses.ids),
                account_data_of=account_data_.contents,
                dehydrated_of=dehydrated.device_of,
                locate=directory_.locate,
                creation=creation,
                senders=sender_cursors(engine),
                expiry=expiry,
            ),
        ),
        directory.module(directory_, shows_rooms=settings.federation.public_rooms),
        discovery.module(settings),
        filters.module(filters_),
        history.module(
            engine, history_, history.Serving(engine, access, events.ServerSight(engine, erased=accounts_.erased))
        ),
        keys.module(
            engine,
            devices_,
            one_time_keys,
            cross_signing,
            ui_auth=ui_auth_,
            user_rooms=user_rooms,
            sharing=sharing,
            shows_device_names=settings.federation.device_names,
        ),
        key_backup.module(key_backup.KeyBackups(engine, accounts_)),
        *_media(engine, settings, federation, accounts_, profiles),
        membership.module(
            memberships,
            members,
            stripped_states,
            admitting,
            membership.Binding(engine, admitting, elsewhere, exists=accounts_.exists),
            addresses.invites,
        ),
        mutual_rooms.module(user_rooms),
        *_openid(engine, settings, accounts_, asking),
        *browser_logins(
            engine,
            settings,
            federation,
            oauth.People(accounts_, registration, devices_, ui_auth_),
            profiles,
            propagation,
            limit=_limit_of(limiter),
        ),
        policy.module(policy.Policy(engine, access)),
        policy_lists.module(engine, settings.policy_lists.rooms, memberships),
        presence.module(engine, presence_),
        profile.module(
            profiles, profile.RemoteProfiles(engine, asking), propagation, shows_profiles=settings.federation.profiles
        ),
        push_rules.module(engine, push_rules_),
        pushers.module(
            engine,
            pushers.Pushers(engine, accounts_, devices_),
            unread_,
            push_client(settings.push),
            sight=sight,
            user_rooms=user_rooms,
            invite_permissions=memberships.invite_permissions,
        ),
        receipts.module(engine, receipts_, access),
        relations.module(relations.Relations(engine, history_, sight=sight, forms=forms)),
        rendezvous.module(engine, settings),
        reporting.module(reporting_),
        retention.module(engine, expiry),
        room_creation.module(creation, upgrade),
        *_room_events(engine, accounts_, sending, room_state),
        room_inspection.module(engine, settings.registration.shared_secret_file),
        room_summary.module(summaries),
        search.module(search_, search_index, enabled=settings.search.enabled),
        server_keys.module(federation.own_keys, federation.keyring, engine.outside.now_ms),
        server_notices.module(notices),
        spaces.module(spaces.Hierarchy(engine, summaries)),
        sticky_events.module(
            engine, sticky_ := sticky_events.StickyEvents(engine, forms, sight, account_data_.ignored_users)
        ),
        addresses.module(registration),
        thread_subscriptions.module(engine, threads_, history_),
        to_device.module(engine, to_device_),
        transactions.module(engine, transactions_),
        typing.module(engine, typing_, access),
        ui_auth.module(ui_auth_),
        unread.module(unread_, unread.Notifications(engine, unread_, user_rooms=user_rooms, forms=forms, sight=sight)),
        user_directory.module(engine, user_directory_),
    ]
    transactions_.edus = {edu_type: handle for part in parts for edu_type, handle in part.edus.items()}
    parts += [
        sender_module(engine, [told for part in parts for told in part.outgoing]),
        application_services.module(
            engine,
            services,
            forms=forms,
            sharing=sharing,
            parts=parts,
            aliases_of=directory_.numbered_aliases,
            set_network_visibility=directory_.set_network_visibility,
        ),
    ]
    around = sync.Surroundings(
        filter_of=filters_.named,
        ignored_users=account_data_.ignored_users,
        invite_permissions=memberships.invite_permissions,
        stripped_state=stripped_states.of,
        unread=unread_.counts,
        have_unread=unread_.have,
        seen=presence_.seen,
        about_device=one_time_keys.told,
        acknowledged=to_device_.acknowledged,
    )
    sync_ = sync.SyncService(
        engine, user_rooms=user_rooms, sight=sight, forms=forms, parts=_sync_parts(parts), around=around
    )
    # What wakes those who wait comes last, when everything in memory is up to date.
    return Modules(
        [
            *parts,
            sliding_sync.module(
                engine,
                devices_,
                user_rooms=user_rooms,
                sight=sight,
                forms=forms,
                parts=parts,
                waking=sync_.waking,
                around=around,
                preferences=sliding_sync.Preferences(
                    account_data=account_data_.content_of,
                    tags=account_data_.tags,
                    ignored_users=account_data_.ignored_users,
                    invite_permissions=memberships.invite_permissions,
                ),
                threads=threads_,
                sticky_events=sticky_,
            ),
            sync.module(sync_),
            legacy.module(
                engine,
                history_,
                user_rooms=user_rooms,
                sight=sight,
                forms=forms,
                parts=_sync_parts(parts),
                is_published=directory_.is_published,
            ),
        ],
        accounts_,
    )


def _sync_parts(parts: Sequence[Module]) -> list[SyncPart]:
    """What modules add to `/sync`."""
    return [part.sync for part in parts if part.sync is not None]


def _limit_of(limiter: Limiter) -> Callable[[str, str], None]:
    """Counts one use of a rate limit, by a user, inside a request. Raises `LimitExceeded`."""

    def limit(name: str, user_id: str) -> None:
        wait_ms = limiter.allow(name, user_id, time.monotonic())
        if wait_ms is not None:
            raise LimitExceeded(wait_ms)

    return limit


def _room_events(
    engine: Engine,
    accounts_: accounts.AccountsService,
    sending: room_events.Sending,
    room_state: room_events.RoomState,
) -> list[Module]:
    """Sending to rooms, now and later."""

    async def send(requester: Requester, row: delayed_events.Row, content: dict[str, Any]) -> str:
        if row.state_key is not None:
            return await sending.set_state(
                requester, row.room_id, row.type, row.state_key, content, None, sticky_ms=row.sticky_ms
            )
        return await sending.send(
            requester, row.room_id, row.type, content, row.delay_id, None, sticky_ms=row.sticky_ms
        )

    delayed = delayed_events.DelayedEvents(engine, accounts_, send)
    return [delayed_events.module(delayed), room_events.module(sending, room_state, delayed)]


def _openid(engine: Engine, settings: Settings, accounts_: accounts.AccountsService, asking: Asking) -> list[Module]:
    """Tokens that say who somebody is, and calls, which are joined with one."""
    service = openid.OpenIdService(engine, accounts_)
    return [openid.module(service), voip.module(engine, service, asking, settings, read_secret)]


def _media(
    engine: Engine,
    settings: Settings,
    federation: Federation,
    accounts_: accounts.AccountsService,
    profiles: profile.Profiles,
) -> list[Module]:
    """Files, and what links lead to: the pictures of that are files, too."""
    media_ = media.build(
        engine,
        settings.media,
        federation,
        read_secret=read_secret,
        web=http_client(settings.federation),
        exists=accounts_.is_known,
        pictures=profiles.texts,
    )
    web = previews_client(settings.url_previews)
    return [media_.module, url_previews.module(engine, settings.url_previews, web, media_.pictures)]


def _guard_file(settings: Settings) -> Path | None:
    """Where it is written down, beside SQLite's database, that one-time keys were given away."""
    return settings.sqlite_file.with_name(f"{settings.sqlite_file.name}.claims") if settings.is_sqlite else None


def _carrying_over(
    account_data_: account_data.AccountData, push_rules_: push_rules.PushRules
) -> Callable[[str, str, str], Awaitable[None]]:
    """What a user kept for a room goes on to the one that replaces it."""

    async def on_replaced(user_id: str, old_room_id: str, new_room_id: str) -> None:
        await account_data_.on_room_upgraded(user_id, old_room_id, new_room_id)
        await push_rules_.on_room_upgraded(user_id, old_room_id, new_room_id)

    return on_replaced
