"""Getting into rooms and out of them. https://spec.matrix.org/v1.19/client-server-api/#room-membership"""

from __future__ import annotations

from typing import Any

import pytest

from tests.federation.identity_server import IDENTITY, IdentityServer
from weft.protocol.signatures import encode_base64
from weft.testing import Client, TestServer

V3 = "/_matrix/client/v3"


async def member(client: Client, room_id: str, user_id: str) -> Any:
    path = f"{V3}/rooms/{room_id}/state/m.room.member/{user_id}"
    return (await client.get(path, format="event")).ok()


async def content(client: Client, room_id: str, user_id: str) -> Any:
    return (await member(client, room_id, user_id))["content"]


async def act(client: Client, room_id: str, action: str, user_id: str, **body: Any) -> Any:
    return await client.post(f"{V3}/rooms/{room_id}/{action}", {"user_id": user_id, **body})


async def three(server: TestServer) -> tuple[Client, Client, Client]:
    return await server.user("alice"), await server.user("bob"), await server.user("carol")


# -- joining and leaving


async def test_joining_by_id_and_by_alias(server: TestServer) -> None:
    alice, bob, carol = await three(server)
    room_id = await alice.create_room(preset="public_chat", room_alias_name="pub")
    answer = await bob.post(f"{V3}/rooms/{room_id}/join", {"reason": "thirst"})
    assert answer.ok() == {"room_id": room_id}
    assert (await content(alice, room_id, bob.user_id))["reason"] == "thirst"
    assert await carol.join("#pub:weft.test") == room_id
    for who in (bob, carol):
        assert (await who.get(f"{V3}/joined_rooms")).ok() == {"joined_rooms": [room_id]}


async def test_a_second_join_changes_nothing(server: TestServer) -> None:
    alice, bob, _ = await three(server)
    room_id = await alice.create_room(preset="public_chat")
    await bob.join(room_id)
    before = await member(bob, room_id, bob.user_id)
    await bob.join(room_id)
    assert (await member(bob, room_id, bob.user_id))["event_id"] == before["event_id"]


@pytest.mark.parametrize(
    ("target", "status", "errcode"),
    [
        ("!unknown:weft.test", 404, "M_NOT_FOUND"),
        ("%23unknown:weft.test", 404, "M_NOT_FOUND"),
        ("nonsense", 400, "M_INVALID_PARAM"),
        ("%23bad", 400, "M_INVALID_PARAM"),
    ],
)
@pytest.mark.parametrize("action", ["join", "knock"])
async def test_rooms_that_can_not_be_found(
    server: TestServer, action: str, target: str, status: int, errcode: str
) -> None:
    alice = await server.user()
    (await alice.post(f"{V3}/{action}/{target}")).refused(status, errcode)


async def test_a_private_room_takes_an_invite(server: TestServer) -> None:
    alice, bob, _ = await three(server)
    room_id = await alice.create_room()
    (await bob.post(f"{V3}/join/{room_id}")).refused(403, "M_FORBIDDEN")
    (await act(alice, room_id, "invite", bob.user_id, reason="come in")).ok()
    assert await content(alice, room_id, bob.user_id) == {"membership": "invite", "reason": "come in"} | _profile(
        await content(alice, room_id, bob.user_id)
    )
    await bob.join(room_id)
    assert (await content(alice, room_id, bob.user_id))["membership"] == "join"
    await bob.leave(room_id)
    (await bob.post(f"{V3}/join/{room_id}")).refused(403, "M_FORBIDDEN")


def _profile(found: dict[str, Any]) -> dict[str, Any]:
    return {key: found[key] for key in ("displayname", "avatar_url") if key in found}


async def test_leaving_twice_is_leaving_once(server: TestServer) -> None:
    alice, bob, _ = await three(server)
    room_id = await alice.create_room(preset="public_chat")
    (await bob.post(f"{V3}/rooms/{room_id}/leave")).refused(403, "M_FORBIDDEN")
    (await bob.post(f"{V3}/rooms/!nowhere:weft.test/leave")).refused(403, "M_FORBIDDEN")
    await bob.join(room_id)
    (await bob.post(f"{V3}/rooms/{room_id}/leave", {"reason": "late"})).ok()
    before = await member(alice, room_id, bob.user_id)
    assert before["content"] == {"membership": "leave", "reason": "late"}
    await bob.leave(room_id)
    assert (await member(alice, room_id, bob.user_id))["event_id"] == before["event_id"]


async def test_rejecting_an_invite(server: TestServer) -> None:
    alice, bob, _ = await three(server)
    room_id = await alice.create_room(invite=[bob.user_id])
    await bob.leave(room_id)
    assert (await content(alice, room_id, bob.user_id))["membership"] == "leave"


# -- others


async def test_inviting(server: TestServer) -> None:
    alice, bob, carol = await three(server)
    room_id = await alice.create_room(power_level_content_override={"invite": 50})
    (await act(bob, room_id, "invite", carol.user_id)).refused(403, "M_FORBIDDEN")
    await alice.invite(room_id, bob.user_id)
    (await act(bob, room_id, "invite", carol.user_id)).refused(403, "M_FORBIDDEN")
    before = await member(alice, room_id, bob.user_id)
    await alice.invite(room_id, bob.user_id)
    assert (await member(alice, room_id, bob.user_id))["event_id"] == before["event_id"]
    await bob.join(room_id)
    (await act(alice, room_id, "invite", bob.user_id)).refused(403, "M_FORBIDDEN")
    (await act(bob, room_id, "invite", carol.user_id)).refused(403, "M_FORBIDDEN")
    (await act(alice, room_id, "invite", "carol")).refused(400, "M_INVALID_PARAM")
    (await act(alice, room_id, "invite", "@x:elsewhere.test")).refused(502, "M_UNKNOWN")
    (await alice.post(f"{V3}/rooms/{room_id}/invite", {})).refused(400, "M_MISSING_PARAM")


async def test_kicking(server: TestServer) -> None:
    alice, bob, carol = await three(server)
    room_id = await alice.create_room(preset="public_chat")
    (await act(alice, room_id, "kick", bob.user_id)).refused(403, "M_FORBIDDEN")
    await bob.join(room_id)
    (await act(bob, room_id, "kick", alice.user_id)).refused(403, "M_FORBIDDEN")
    (await act(carol, room_id, "kick", bob.user_id)).refused(403, "M_FORBIDDEN")
    (await act(alice, room_id, "kick", bob.user_id, reason="rude")).ok()
    event = await member(alice, room_id, bob.user_id)
    assert event["content"] == {"membership": "leave", "reason": "rude"}
    assert event["sender"] == alice.user_id
    (await act(alice, room_id, "kick", bob.user_id)).refused(403, "M_FORBIDDEN")
    # What the kick ended can be ended again by the user, to no effect.
    await bob.leave(room_id)
    await alice.invite(room_id, carol.user_id)
    (await act(alice, room_id, "kick", carol.user_id)).ok()


async def test_banning_and_lifting_the_ban(server: TestServer) -> None:
    alice, bob, _ = await three(server)
    room_id = await alice.create_room(preset="public_chat")
    (await act(alice, room_id, "unban", bob.user_id)).refused(403, "M_BAD_STATE")
    await bob.join(room_id)
    (await act(alice, room_id, "unban", bob.user_id)).refused(403, "M_BAD_STATE")
    (await act(bob, room_id, "ban", alice.user_id)).refused(403, "M_FORBIDDEN")
    (await act(alice, room_id, "ban", bob.user_id, reason="spam")).ok()
    assert await content(alice, room_id, bob.user_id) == {"membership": "ban", "reason": "spam"}
    (await bob.post(f"{V3}/join/{room_id}")).refused(403, "M_FORBIDDEN")
    (await act(alice, room_id, "invite", bob.user_id)).refused(403, "M_FORBIDDEN")
    (await act(alice, room_id, "kick", bob.user_id)).refused(403, "M_FORBIDDEN")
    (await bob.post(f"{V3}/rooms/{room_id}/leave")).refused(403, "M_FORBIDDEN")
    (await act(bob, room_id, "unban", bob.user_id)).refused(403, "M_FORBIDDEN")
    (await act(alice, room_id, "unban", bob.user_id, reason="sorry")).ok()
    assert await content(alice, room_id, bob.user_id) == {"membership": "leave", "reason": "sorry"}
    await bob.join(room_id)
    (await act(alice, room_id, "ban", "@never.seen:elsewhere.test")).ok()


# -- through the state


async def test_membership_by_putting_state(server: TestServer) -> None:
    alice, bob, carol = await three(server)
    room_id = await alice.create_room(preset="public_chat")

    async def put(who: Client, target: str, **wanted: Any) -> Any:
        return await who.put(f"{V3}/rooms/{room_id}/state/m.room.member/{target}", wanted)

    joined = (await put(bob, bob.user_id, membership="join", displayname="Bobby", x=1)).ok()
    event = await member(alice, room_id, bob.user_id)
    assert event["event_id"] == joined["event_id"]
    assert event["content"]["displayname"] == "Bobby"
    assert event["content"]["x"] == 1
    (await put(alice, carol.user_id, membership="join")).refused(403, "M_FORBIDDEN")
    (await put(alice, carol.user_id, membership="invite", reason="please")).ok()
    assert (await content(alice, room_id, carol.user_id))["reason"] == "please"
    (await put(alice, carol.user_id, membership="leave")).ok()
    (await put(alice, carol.user_id, membership="leave")).refused(403, "M_FORBIDDEN")
    (await put(alice, bob.user_id, membership="ban")).ok()
    (await put(bob, bob.user_id, membership="join")).refused(403, "M_FORBIDDEN")
    (await put(alice, bob.user_id, membership="leave")).ok()
    assert (await content(alice, room_id, bob.user_id))["membership"] == "leave"
    for wrong in ("nonsense", 5, None):
        (await put(alice, bob.user_id, membership=wrong)).refused(400, "M_BAD_JSON")
    (await put(alice, "bob", membership="invite")).refused(400, "M_INVALID_PARAM")
    (await put(alice, alice.user_id, membership="leave")).ok()


# -- knocking


async def knockable(alice: Client, **options: Any) -> str:
    rules = {"type": "m.room.join_rules", "content": {"join_rule": "knock"}}
    return await alice.create_room(initial_state=[rules], room_alias_name="door", **options)


async def test_knocking_and_being_let_in(server: TestServer) -> None:
    alice, bob, _ = await three(server)
    room_id = await knockable(alice)
    (await bob.post(f"{V3}/join/{room_id}")).refused(403, "M_FORBIDDEN")
    answer = await bob.post(f"{V3}/knock/%23door%3Aweft.test", {"reason": "it's me"})
    assert answer.ok() == {"room_id": room_id}
    first = await member(alice, room_id, bob.user_id)
    assert first["content"]["membership"] == "knock"
    assert first["content"]["reason"] == "it's me"
    (await bob.post(f"{V3}/knock/{room_id}", {"reason": "it's me"})).ok()
    assert (await member(alice, room_id, bob.user_id))["event_id"] == first["event_id"]
    await alice.invite(room_id, bob.user_id)
    (await bob.post(f"{V3}/knock/{room_id}")).refused(403, "M_FORBIDDEN")
    await bob.join(room_id)


async def test_a_knock_taken_back_and_one_denied(server: TestServer) -> None:
    alice, bob, carol = await three(server)
    room_id = await knockable(alice)
    for who in (bob, carol):
        (await who.post(f"{V3}/knock/{room_id}")).ok()
    await bob.leave(room_id)
    (await act(alice, room_id, "kick", carol.user_id)).ok()
    for who in (bob, carol):
        assert (await content(alice, room_id, who.user_id))["membership"] == "leave"
    (await act(alice, room_id, "ban", bob.user_id)).ok()
    (await bob.post(f"{V3}/knock/{room_id}")).refused(403, "M_FORBIDDEN")


@pytest.mark.parametrize("options", [{}, {"preset": "public_chat"}, {"room_version": "6"}])
async def test_rooms_without_a_door_to_knock_at(server: TestServer, options: dict[str, Any]) -> None:
    alice, bob, _ = await three(server)
    room_id = await alice.create_room(**options)
    (await bob.post(f"{V3}/knock/{room_id}")).refused(403, "M_FORBIDDEN")


# -- restricted rooms


async def restricted(alice: Client, allowed: list[str], rule: str = "restricted", **options: Any) -> str:
    allow = [{"type": "m.room_membership", "room_id": room_id} for room_id in allowed]
    rules = {"type": "m.room.join_rules", "content": {"join_rule": rule, "allow": [{"type": "x"}, 5, *allow]}}
    return await alice.create_room(initial_state=[rules], **options)


@pytest.mark.parametrize(
    ("rule", "version"),
    [("restricted", "8"), ("restricted", "12"), ("knock_restricted", "10"), ("knock_restricted", "12")],
)
async def test_members_of_an_allowed_room_may_join(server: TestServer, rule: str, version: str) -> None:
    alice, bob, carol = await three(server)
    club = await alice.create_room(preset="public_chat")
    room_id = await restricted(alice, ["!unknown:weft.test", club], rule, room_version=version)
    (await bob.post(f"{V3}/join/{room_id}")).refused(403, "M_FORBIDDEN")
    await bob.join(club)
    await bob.join(room_id)
    found = await content(bob, room_id, bob.user_id)
    assert found["join_authorised_via_users_server"] == alice.user_id
    # Joining again does not ask for a new authorisation, nor does staying ask for membership of the club.
    await bob.leave(club)
    await bob.join(room_id)
    assert await content(bob, room_id, bob.user_id) == found
    # An invite is enough by itself.
    await alice.invite(room_id, carol.user_id)
    await carol.join(room_id)
    assert "join_authorised_via_users_server" not in await content(carol, room_id, carol.user_id)


async def test_nobody_vouches_for_themselves(server: TestServer) -> None:
    alice, bob, _ = await three(server)
    club = await alice.create_room()
    room_id = await restricted(alice, [club])
    wanted = {"membership": "join", "join_authorised_via_users_server": alice.user_id}
    refused = await bob.put(f"{V3}/rooms/{room_id}/state/m.room.member/{bob.user_id}", wanted)
    refused.refused(403, "M_FORBIDDEN")


async def test_somebody_with_the_power_to_invite_must_be_there(server: TestServer) -> None:
    alice, bob, carol = await three(server)
    club = await alice.create_room(preset="public_chat")
    levels = {"invite": 50, "users": {carol.user_id: 50}}
    room_id = await restricted(alice, [club], power_level_content_override=levels)
    for who in (bob, carol):
        await who.join(club)
    await carol.join(room_id)
    await alice.leave(room_id)
    await bob.join(room_id)
    assert (await content(bob, room_id, bob.user_id))["join_authorised_via_users_server"] == carol.user_id
    await bob.leave(room_id)
    await carol.leave(room_id)
    (await bob.post(f"{V3}/join/{room_id}")).refused(403, "M_FORBIDDEN")


async def test_a_restricted_room_of_a_version_that_does_not_know_the_rule(server: TestServer) -> None:
    alice, bob, _ = await three(server)
    club = await alice.create_room(preset="public_chat")
    await bob.join(club)
    room_id = await restricted(alice, [club], room_version="7")
    (await bob.post(f"{V3}/join/{room_id}")).refused(403, "M_FORBIDDEN")


# -- guests


async def guest(server: TestServer) -> Client:
    made = (await server.client().post(f"{V3}/register", {}, kind="guest")).ok()
    return server.client(made["access_token"], user_id=made["user_id"], device_id=made["device_id"])


async def test_guests_come_and_go_with_the_rooms_permission(server: TestServer) -> None:
    alice, bob, _ = await three(server)
    visitor = await guest(server)
    room_id = await alice.create_room(preset="public_chat")
    await bob.join(room_id)
    (await visitor.post(f"{V3}/rooms/{room_id}/join")).refused(403, "M_FORBIDDEN")
    await alice.set_state(room_id, "m.room.guest_access", {"guest_access": "can_join"})
    (await visitor.post(f"{V3}/rooms/{room_id}/join")).ok()
    await visitor.send(room_id)
    await alice.set_state(room_id, "m.room.guest_access", {"guest_access": "forbidden"})
    assert (await content(alice, room_id, visitor.user_id))["membership"] == "leave"
    assert (await content(alice, room_id, bob.user_id))["membership"] == "join"


# -- forgetting, and who sees what


async def test_forgetting_takes_leaving(server: TestServer) -> None:
    alice, bob, _ = await three(server)
    room_id = await alice.create_room(preset="public_chat")
    forget = f"{V3}/rooms/{room_id}/forget"
    (await bob.post(forget)).refused(403, "M_FORBIDDEN")
    await bob.join(room_id)
    (await bob.post(forget)).refused(400, "M_UNKNOWN")
    await bob.leave(room_id)
    (await bob.get(f"{V3}/rooms/{room_id}/state")).ok()
    (await bob.post(forget)).ok()
    (await bob.post(forget)).ok()
    for path in ("state", "members", "state/m.room.create"):
        (await bob.get(f"{V3}/rooms/{room_id}/{path}")).refused(403, "M_FORBIDDEN")
    await bob.join(room_id)
    (await bob.get(f"{V3}/rooms/{room_id}/state")).ok()


async def test_who_left_sees_the_room_as_it_was(server: TestServer) -> None:
    alice, bob, carol = await three(server)
    room_id = await alice.create_room(preset="public_chat", name="Before")
    await bob.join(room_id)
    await bob.leave(room_id)
    await alice.set_state(room_id, "m.room.name", {"name": "After"})
    await alice.set_state(room_id, "org.example.new", {})
    await carol.join(room_id)
    name = f"{V3}/rooms/{room_id}/state/m.room.name"
    assert (await bob.get(name)).ok() == {"name": "Before"}
    (await bob.get(f"{V3}/rooms/{room_id}/state/org.example.new")).refused(404, "M_NOT_FOUND")
    members = (await bob.get(f"{V3}/rooms/{room_id}/members")).ok()["chunk"]
    assert [(event["state_key"], event["content"]["membership"]) for event in members] == [
        (alice.user_id, "join"),
        (bob.user_id, "leave"),
    ]
    # Being banned, or invited again, shows nothing more.
    (await act(alice, room_id, "ban", bob.user_id)).ok()
    assert (await bob.get(name)).ok() == {"name": "Before"}
    (await act(alice, room_id, "unban", bob.user_id)).ok()
    await alice.invite(room_id, bob.user_id)
    assert (await bob.get(name)).ok() == {"name": "Before"}
    await bob.join(room_id)
    assert (await bob.get(name)).ok() == {"name": "After"}


async def test_who_was_never_in_sees_nothing(server: TestServer) -> None:
    alice, bob, carol = await three(server)
    room_id = await alice.create_room(name="Secret", invite=[bob.user_id])
    paths = [f"{V3}/rooms/{room_id}/{path}" for path in ("state", "state/m.room.name", "members", "joined_members")]
    for who in (bob, carol):
        for path in paths:
            (await who.get(path)).refused(403, "M_FORBIDDEN")
    await bob.leave(room_id)
    for path in paths:
        (await bob.get(path)).refused(403, "M_FORBIDDEN")
    unknown = (await carol.get(paths[0].replace(room_id, "!nowhere:weft.test"))).refused(403, "M_FORBIDDEN")
    assert unknown == (await carol.get(paths[0])).json


async def test_anybody_sees_a_world_readable_room(server: TestServer) -> None:
    alice, bob, _ = await three(server)
    visitor = await guest(server)
    room_id = await alice.create_room(
        name="Open",
        initial_state=[{"type": "m.room.history_visibility", "content": {"history_visibility": "world_readable"}}],
    )
    for who in (bob, visitor):
        assert (await who.get(f"{V3}/rooms/{room_id}/state/m.room.name")).ok() == {"name": "Open"}
        assert len((await who.get(f"{V3}/rooms/{room_id}/members")).ok()["chunk"]) == 1
    (await bob.get(f"{V3}/rooms/{room_id}/joined_members")).refused(403, "M_FORBIDDEN")


# -- members


async def test_members_by_membership(server: TestServer) -> None:
    alice, bob, carol = await three(server)
    room_id = await alice.create_room(preset="public_chat", invite=[carol.user_id])
    await bob.join(room_id)
    await bob.leave(room_id)

    async def members(**query: Any) -> set[str]:
        chunk = (await alice.get(f"{V3}/rooms/{room_id}/members", **query)).ok()["chunk"]
        assert all(event["room_id"] == room_id for event in chunk)
        return {event["state_key"] for event in chunk}

    a, b, c = alice.user_id, bob.user_id, carol.user_id
    assert await members() == {a, b, c}
    assert await members(membership="join") == {a}
    assert await members(membership="leave") == {b}
    assert await members(not_membership="leave") == {a, c}
    assert await members(membership="invite", not_membership="join") == {b, c}
    assert await members(membership="knock") == set()
    (await alice.get(f"{V3}/rooms/{room_id}/members", membership="x")).refused(400, "M_INVALID_PARAM")
    (await alice.get(f"{V3}/rooms/{room_id}/members", at="x")).refused(400, "M_INVALID_PARAM")


async def test_members_at_a_time(server: TestServer) -> None:
    alice, bob, carol = await three(server)
    room_id = await alice.create_room(preset="public_chat")
    await bob.join(room_id)
    token = (await alice.sync())["next_batch"]
    await carol.join(room_id)

    async def members(who: Client) -> set[str]:
        chunk = (await who.get(f"{V3}/rooms/{room_id}/members", at=token)).ok()["chunk"]
        return {event["state_key"] for event in chunk}

    assert await members(alice) == {alice.user_id, bob.user_id}
    await bob.leave(room_id)
    assert await members(bob) == {alice.user_id, bob.user_id}
    await alice.set_state(room_id, "m.room.history_visibility", {"history_visibility": "joined"})
    await alice.send(room_id)
    token = (await alice.sync())["next_batch"]
    await bob.join(room_id)
    (await bob.get(f"{V3}/rooms/{room_id}/members", at=token)).refused(403, "M_FORBIDDEN")


async def test_joined_members_with_their_names(server: TestServer) -> None:
    alice, bob, carol = await three(server)
    room_id = await alice.create_room(preset="public_chat", invite=[carol.user_id])
    named = {"membership": "join", "displayname": "Bobby", "avatar_url": "mxc://weft.test/bob"}
    (await bob.put(f"{V3}/rooms/{room_id}/state/m.room.member/{bob.user_id}", named)).ok()
    joined = (await bob.get(f"{V3}/rooms/{room_id}/joined_members")).ok()["joined"]
    assert set(joined) == {alice.user_id, bob.user_id}
    assert joined[bob.user_id] == {"display_name": "Bobby", "avatar_url": "mxc://weft.test/bob"}


async def test_an_invite_shows_the_rooms_stripped_state(server: TestServer) -> None:
    alice, bob, _ = await three(server)
    room_id = await alice.create_room(name="Ours", invite=[bob.user_id], creation_content={"type": "m.space"})
    events = (await bob.sync())["rooms"]["invite"][room_id]["invite_state"]["events"]
    by_type = {event["type"]: event for event in events}
    assert by_type["m.room.name"]["content"] == {"name": "Ours"}
    assert by_type["m.room.create"]["content"]["type"] == "m.space"
    assert set(by_type["m.room.create"]) == {"type", "sender", "state_key", "content"}


# -- others' ways in and out


async def test_who_has_left_the_server_has_left_its_rooms(server: TestServer) -> None:
    alice, bob, _ = await three(server)
    public = await alice.create_room(preset="public_chat")
    private = await alice.create_room(invite=[bob.user_id])
    await bob.join(public)
    password = {"type": "m.login.password", "user": bob.user_id, "password": "correct horse"}
    body = {"auth": {**password, "identifier": {"type": "m.id.user", "user": bob.user_id}}}
    (await bob.post(f"{V3}/account/deactivate", body)).ok()
    await server.server.engine.log.catch_up()
    await server.server.engine.followed("accounts that ended")
    for room_id in (public, private):
        assert (await content(alice, room_id, bob.user_id))["membership"] == "leave"


async def test_accepting_an_invite_to_an_address(server: TestServer) -> None:
    alice, bob, carol = await three(server)
    room_id = await alice.create_room()
    identity_server = IdentityServer()
    server.network.register([IDENTITY], lambda: identity_server.app)
    await alice.set_state(room_id, "m.room.third_party_invite", identity_server.offer, "token")

    def signed(mxid: str, token: str = "token", sender: str = alice.user_id) -> dict[str, Any]:
        return {"third_party_signed": identity_server.sign(mxid=mxid, sender=sender, token=token)}

    join = f"{V3}/rooms/{room_id}/join"
    (await bob.post(join)).refused(403, "M_FORBIDDEN")
    (await bob.post(join, signed(carol.user_id))).refused(403, "M_FORBIDDEN")
    (await bob.post(join, signed(bob.user_id, token="other"))).refused(403, "M_FORBIDDEN")
    (await bob.post(join, signed(bob.user_id, sender=carol.user_id))).refused(403, "M_FORBIDDEN")
    forged = signed(bob.user_id)
    forged["third_party_signed"]["signatures"][IDENTITY][identity_server.key.key_id] = encode_base64(bytes(64))
    (await bob.post(join, forged)).refused(403, "M_FORBIDDEN")
    identity_server.is_valid = False
    (await bob.post(join, signed(bob.user_id))).refused(403, "M_FORBIDDEN")
    identity_server.is_valid = True
    (await bob.post(join, signed(bob.user_id))).ok()
    assert (await content(alice, room_id, bob.user_id))["membership"] == "join"


async def test_profiles_go_into_the_room(server: TestServer) -> None:
    alice, bob, _ = await three(server)
    for who, name in ((alice, "Alice M."), (bob, "Bob K.")):
        (await who.put(f"{V3}/profile/{who.user_id}/displayname", {"displayname": name})).ok()
    (await bob.put(f"{V3}/profile/{bob.user_id}/avatar_url", {"avatar_url": "mxc://weft.test/bob"})).ok()
    room_id = await alice.create_room(invite=[bob.user_id])
    assert (await content(alice, room_id, alice.user_id))["displayname"] == "Alice M."
    expected = {"displayname": "Bob K.", "avatar_url": "mxc://weft.test/bob"}
    assert await content(alice, room_id, bob.user_id) == {"membership": "invite"} | expected
    await bob.join(room_id)
    assert await content(alice, room_id, bob.user_id) == {"membership": "join"} | expected
