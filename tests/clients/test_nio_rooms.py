"""matrix-nio, unmodified: accounts, rooms, membership, the directory, upgrades, and a server that restarts."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from nio import (
    AsyncClient,
    AsyncClientConfig,
    DevicesResponse,
    EnableEncryptionBuilder,
    GetOpenIDTokenResponse,
    JoinedMembersResponse,
    JoinedRoomsResponse,
    JoinResponse,
    LoginError,
    LoginResponse,
    LogoutResponse,
    PresenceGetResponse,
    PresenceSetResponse,
    ProfileGetDisplayNameResponse,
    ProfileGetResponse,
    ProfileSetAvatarResponse,
    ProfileSetDisplayNameResponse,
    RoomBanResponse,
    RoomCreateResponse,
    RoomForgetResponse,
    RoomGetStateEventResponse,
    RoomGetStateResponse,
    RoomGetVisibilityResponse,
    RoomInviteResponse,
    RoomKickResponse,
    RoomKnockResponse,
    RoomLeaveResponse,
    RoomMessageText,
    RoomPreset,
    RoomPutStateResponse,
    RoomResolveAliasResponse,
    RoomUnbanResponse,
    RoomUpgradeEvent,
    RoomVisibility,
    SetPushRuleResponse,
    SyncError,
    SyncResponse,
    UpdateDeviceResponse,
    UploadFilterResponse,
    WhoamiResponse,
)
from nio.api import PushRuleKind
from nio.events.account_data import PushNotify
from nio.responses import PublicRoomsResponse, RoomUpgradeResponse

from tests.clients.nio_people import client_of, expect, register, room_of, send, sync_until, timeline
from tests.clients.running import SERVER_NAME, RunningWeft

Name = Callable[[str], str]


async def test_accounts_and_devices(weft: RunningWeft, name: Name) -> None:
    alice = await register(weft.url, name("alice"), "first password")
    other = client_of(weft.url, alice.user_id)
    try:
        expect(LoginError, await other.login("second password"))
        expect(LoginResponse, await other.login("first password"))
        assert expect(WhoamiResponse, await other.whoami()).user_id == alice.user_id
        expect(UpdateDeviceResponse, await alice.update_device(other.device_id, {"display_name": "Tablet"}))
        devices = expect(DevicesResponse, await alice.devices()).devices
        assert {(device.id, device.display_name) for device in devices} >= {
            (alice.device_id, "nio"),
            (other.device_id, "Tablet"),
        }
        expect(GetOpenIDTokenResponse, await alice.get_openid_token(alice.user_id))
        expect(LogoutResponse, await other.logout())
        other.access_token = "gone"
        assert expect(SyncError, await other.sync()).status_code == "M_UNKNOWN_TOKEN"
    finally:
        await other.close()
        await alice.close()


async def test_profiles_reach_the_rooms(alice: AsyncClient, bob: AsyncClient) -> None:
    room_id = await room_of(alice, bob)
    expect(ProfileSetDisplayNameResponse, await alice.set_displayname("Alice Liddell"))
    expect(ProfileSetAvatarResponse, await alice.set_avatar("mxc://weft.test/rabbit"))
    shown = expect(ProfileGetDisplayNameResponse, await bob.get_displayname(alice.user_id))
    assert shown.displayname == "Alice Liddell"
    profile = expect(ProfileGetResponse, await bob.get_profile(alice.user_id))
    assert (profile.displayname, profile.avatar_url) == ("Alice Liddell", "mxc://weft.test/rabbit")
    await sync_until(bob, lambda _: bob.rooms[room_id].avatar_url(alice.user_id) == "mxc://weft.test/rabbit")
    assert bob.rooms[room_id].user_name(alice.user_id) == "Alice Liddell"


async def test_presence(alice: AsyncClient, bob: AsyncClient) -> None:
    await room_of(alice, bob)
    expect(PresenceSetResponse, await alice.set_presence("unavailable", "at lunch"))
    seen = expect(PresenceGetResponse, await bob.get_presence(alice.user_id))
    assert (seen.presence, seen.status_msg) == ("unavailable", "at lunch")
    response = await sync_until(
        bob,
        lambda response: any(
            (event.user_id, event.status_msg) == (alice.user_id, "at lunch") for event in response.presence_events
        ),
    )
    assert response


async def test_state_of_a_room(alice: AsyncClient, bob: AsyncClient) -> None:
    encrypted = EnableEncryptionBuilder().as_dict()
    room_id = await room_of(alice, bob, name="Tea", topic="At five", initial_state=[encrypted])
    room = bob.rooms[room_id]
    assert (room.name, room.topic, room.encrypted, room.room_version) == ("Tea", "At five", True, "12")
    assert room.member_count == 2
    expect(RoomPutStateResponse, await alice.room_put_state(room_id, "m.room.topic", {"topic": "At six"}))
    await sync_until(bob, lambda _: bob.rooms[room_id].topic == "At six")
    topic = expect(RoomGetStateEventResponse, await bob.room_get_state_event(room_id, "m.room.topic"))
    assert topic.content["topic"] == "At six"
    state = expect(RoomGetStateResponse, await bob.room_get_state(room_id)).events
    assert {"m.room.create", "m.room.power_levels", "m.room.join_rules", "m.room.topic"} <= {
        one["type"] for one in state
    }
    members = expect(JoinedMembersResponse, await bob.joined_members(room_id)).members
    assert {member.user_id for member in members} == {alice.user_id, bob.user_id}
    assert expect(JoinedRoomsResponse, await bob.joined_rooms()).rooms == [room_id]


async def test_invited_kicked_banned_and_back(alice: AsyncClient, bob: AsyncClient) -> None:
    room_id = expect(RoomCreateResponse, await alice.room_create(name="Club")).room_id
    expect(RoomInviteResponse, await alice.room_invite(room_id, bob.user_id))
    await sync_until(bob, lambda _: room_id in bob.invited_rooms)
    invited = bob.invited_rooms[room_id]
    assert (invited.inviter, invited.name) == (alice.user_id, "Club")
    expect(JoinResponse, await bob.join(room_id))
    await sync_until(bob, lambda _: room_id in bob.rooms)
    assert room_id not in bob.invited_rooms

    expect(RoomKickResponse, await alice.room_kick(room_id, bob.user_id, "too loud"))
    await sync_until(bob, lambda response: room_id in response.rooms.leave)
    expect(RoomBanResponse, await alice.room_ban(room_id, bob.user_id, "still too loud"))
    assert not isinstance(await bob.join(room_id), JoinResponse)
    expect(RoomUnbanResponse, await alice.room_unban(room_id, bob.user_id))
    expect(RoomInviteResponse, await alice.room_invite(room_id, bob.user_id))
    expect(JoinResponse, await bob.join(room_id))
    await sync_until(bob, lambda response: room_id in response.rooms.join)
    expect(RoomLeaveResponse, await bob.room_leave(room_id))
    expect(RoomForgetResponse, await bob.room_forget(room_id))


async def test_knocking(alice: AsyncClient, bob: AsyncClient) -> None:
    room_id = expect(RoomCreateResponse, await alice.room_create()).room_id
    expect(RoomPutStateResponse, await alice.room_enable_knocking(room_id))
    expect(RoomKnockResponse, await bob.room_knock(room_id, "let me in"))
    await sync_until(alice, lambda _: room_id in alice.rooms)
    expect(RoomInviteResponse, await alice.room_invite(room_id, bob.user_id))
    expect(JoinResponse, await bob.join(room_id))


async def test_the_directory(alice: AsyncClient, bob: AsyncClient, name: Name) -> None:
    alias = name("garden")
    created = await alice.room_create(
        RoomVisibility.public, alias, "Garden " + alias, "Flowers", preset=RoomPreset.public_chat
    )
    room_id = expect(RoomCreateResponse, created).room_id
    assert expect(RoomGetVisibilityResponse, await bob.room_get_visibility(room_id)).visibility == "public"
    resolved = expect(RoomResolveAliasResponse, await bob.room_resolve_alias(f"#{alias}:{SERVER_NAME}"))
    assert resolved.room_id == room_id
    listed = expect(PublicRoomsResponse, await bob.list_public_rooms(filter_generic_search_term=alias))
    assert [room.room_id for room in listed.public_rooms] == [room_id]
    assert listed.public_rooms[0].topic == "Flowers"
    assert expect(JoinResponse, await bob.join(f"#{alias}:{SERVER_NAME}")).room_id == room_id


async def test_push_rules(alice: AsyncClient, bob: AsyncClient) -> None:
    room_id = await room_of(alice, bob)
    kind = PushRuleKind.content
    expect(SetPushRuleResponse, await bob.set_pushrule("global", kind, "tea", actions=[PushNotify()], pattern="tea"))
    rules = (await sync_until(bob, lambda response: bool(response.account_data_events))).account_data_events
    assert any(rule.id == "tea" for event in rules for rule in event.global_rules.content)
    await send(alice, room_id, "tea is ready")
    await sync_until(bob, lambda _: bob.rooms[room_id].unread_notifications == 1)


async def test_lazily_loaded_members(alice: AsyncClient, bob: AsyncClient, carol: AsyncClient) -> None:
    room_id = await room_of(alice, bob, carol, name="Named, so that nobody has to be known for its name")
    for number in range(12):
        await send(alice, room_id, f"message {number}")
    lazy = {"state": {"lazy_load_members": True}, "timeline": {"limit": 5}}
    filter_id = expect(UploadFilterResponse, await carol.upload_filter(room=lazy)).filter_id
    carol.next_batch = carol.loaded_sync_token = ""
    carol.rooms.clear()
    response = expect(SyncResponse, await carol.sync(sync_filter=filter_id))
    loaded = {
        event.state_key for event in response.rooms.join[room_id].state if event.source["type"] == "m.room.member"
    }
    assert loaded == {alice.user_id, carol.user_id}
    room = carol.rooms[room_id]
    assert (room.member_count, len(room.users)) == (3, 2)
    await send(bob, room_id, "here I am")
    response = expect(SyncResponse, await carol.sync(timeout=10_000, sync_filter=filter_id))
    assert [event.state_key for event in response.rooms.join[room_id].state] == [bob.user_id]


@pytest.mark.parametrize(("before", "after"), [("10", "11"), ("9", "10")])
async def test_an_upgraded_room_is_followed(alice: AsyncClient, bob: AsyncClient, before: str, after: str) -> None:
    """By nio's own upgrade, which makes the new room from the old one's state by itself."""
    room_id = await room_of(alice, bob, name="Old hall", room_version=before, preset=RoomPreset.public_chat)
    new_room_id = expect(RoomUpgradeResponse, await alice.room_upgrade(room_id, after)).room_id
    response = await sync_until(bob, lambda _: bob.rooms[room_id].replacement_room == new_room_id)
    assert any(isinstance(event, RoomUpgradeEvent) for event in timeline(response, room_id))
    expect(JoinResponse, await bob.join(new_room_id))
    await sync_until(bob, lambda _: new_room_id in bob.rooms)
    room = bob.rooms[new_room_id]
    assert (room.name, room.room_version, room.join_rule) == ("Old hall", after, "public")
    create = expect(RoomGetStateEventResponse, await bob.room_get_state_event(new_room_id, "m.room.create"))
    assert create.content["predecessor"]["room_id"] == room_id


async def test_syncing_across_a_restart(weft_alone: RunningWeft) -> None:
    alice, bob = await register(weft_alone.url, "alice"), await register(weft_alone.url, "bob")
    try:
        room_id = await room_of(alice, bob)
        waiting = asyncio.create_task(bob.sync(timeout=30_000))
        await asyncio.sleep(0.2)
        missed = await send(alice, room_id, "before the restart")
        # Bob has the news, but a token that is older than the restart.
        expect(SyncResponse, await waiting)
        token = bob.next_batch
        later = await send(alice, room_id, "just before the restart")
        await asyncio.to_thread(weft_alone.restart)
        after = await send(alice, room_id, "after the restart")
        response = await sync_until(bob, lambda response: room_id in response.rooms.join)
        assert token != bob.next_batch
        said = [event.event_id for event in timeline(response, room_id) if isinstance(event, RoomMessageText)]
        assert said == [later, after]
        assert missed not in said
    finally:
        await alice.close()
        await bob.close()


async def test_sync_forever_survives_a_restart(weft_alone: RunningWeft) -> None:
    alice, bob = await register(weft_alone.url, "alice"), await register(weft_alone.url, "bob")
    bob.config = AsyncClientConfig()
    try:
        room_id = await room_of(alice, bob)
        heard: list[str] = []
        bob.add_event_callback(lambda _, event: heard.append(event.body), RoomMessageText)
        loop = asyncio.create_task(bob.sync_forever(timeout=5_000))
        await send(alice, room_id, "one")
        await until(lambda: heard == ["one"])
        await asyncio.to_thread(weft_alone.restart)
        await send(alice, room_id, "two")
        await until(lambda: heard == ["one", "two"])
        loop.cancel()
        with pytest.raises(asyncio.CancelledError):
            await loop
    finally:
        await alice.close()
        await bob.close()


def members_in(response: SyncResponse, room_id: str) -> set[str]:
    """Whose membership the state section tells."""
    state = response.rooms.join[room_id].state
    return {event.state_key for event in state if event.source["type"] == "m.room.member"}


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(15):
        while True:
            if holds():
                return
            await asyncio.sleep(0.05)
