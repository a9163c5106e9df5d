"""The authorisation rules for membership, by number, in every room version."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.protocol import auth_cases
from tests.protocol.auth_cases import Case
from tests.protocol.rooms import draw
from weft.protocol.auth_rules import rule_number
from weft.protocol.errors import AuthRuleViolation
from weft.protocol.event_auth import authorise
from weft.protocol.room_versions import ROOM_VERSIONS, RoomVersion
from weft.protocol.signatures import SigningKey, encode_base64_url_safe, sign_json

every_version = pytest.mark.parametrize("version", ROOM_VERSIONS.values(), ids=lambda version: version.identifier)


@auth_cases.each(
    """
    member.shape             1-12 | | new m.room.member {"membership": "join"}
    member.shape             1-12 | | new m.room.member/@new:a {}
    member.shape             1-12 | | new m.room.member/new {"membership": "join"}
    member.shape             1-12 | | mod m.room.member/ {"membership": "ban"}
    member.unknown           1-12 | | new m.room.member/@new:a {"membership": "lurk"}
    member.unknown           1-12 | | new m.room.member/@new:a {"membership": 5}
    member.unknown           1-6  | rule:knock | new knock

    member.join.sender       1-12 | | mod m.room.member/@new:a {"membership": "join"}
    member.join.sender       1-12 | | mod m.room.member/@guest:g {"membership": "join"}
    member.join.banned       1-12 | | eve@e join
    member.join.otherwise    1-12 | rule:invite | new join
    -                        1-12 | rule:invite | guest@g join
    -                        1-12 | rule:invite | bob@b join {"displayname": "Bob"}
    -                        1-12 | rule:public | new join
    -                        1-12 | rule:public | guest@g join
    member.join.otherwise    1-12 | rule:private | new join
    member.join.otherwise    1-12 | rule:private | guest@g join
    member.join.otherwise    1-12 | m.room.join_rules/ {"join_rule": 5} | guest@g join
    -                        1-12 | m.room.join_rules/ {} | guest@g join
    member.join.otherwise    1-12 | m.room.join_rules/ {} | new join
    member.join.otherwise    1-6  | rule:knock | guest@g join
    -                        7-12 | rule:knock | guest@g join
    -                        7-12 | rule:knock | bob@b join
    member.join.otherwise    7-12 | rule:knock | new join
    member.join.otherwise    7-12 | rule:knock; new knock | new join
    member.join.otherwise    1-12 | rule:invite; new leave | new join

    member.join.otherwise    1-7  | rule:restricted | guest@g join
    -                        8-12 | rule:restricted | guest@g join
    -                        8-12 | rule:restricted | bob@b join
    member.join.restricted.authoriser 8-12 | rule:restricted | new join
    -                        8-12 | rule:restricted | new join {"join_authorised_via_users_server": "@bob:b"}
    member.join.restricted.authoriser 8-12 | rule:restricted | new join {"join_authorised_via_users_server": "@x:b"}
    member.join.restricted.authoriser 8-12 | rule:restricted | new join {"join_authorised_via_users_server": "@new:a"}
    member.join.restricted.authoriser 8-12 | rule:restricted; power {"mod": 1, "invite": 1}\
        | new join {"join_authorised_via_users_server": "@bob:b"}
    -                        8-12 | rule:restricted; power {"mod": 1, "invite": 1}\
        | new join {"join_authorised_via_users_server": "@mod:a"}
    member.join.banned       8-12 | rule:restricted | eve@e join {"join_authorised_via_users_server": "@bob:b"}
    member.join.otherwise    1-9  | rule:knock_restricted | guest@g join
    -                        10-12 | rule:knock_restricted | guest@g join
    member.join.restricted.authoriser 10-12 | rule:knock_restricted | new join
    -                        10-12 | rule:knock_restricted | new join {"join_authorised_via_users_server": "@bob:b"}
    member.authorised_via.signature 8-12 | | new join {"join_authorised_via_users_server": 5}
    member.authorised_via.signature 8-12 | | new join {"join_authorised_via_users_server": null}
    member.authorised_via.signature 8-12 | | bob@b leave {"join_authorised_via_users_server": "bob"}
    -                        1-7  | | new join {"join_authorised_via_users_server": 5}

    member.invite.sender     1-12 | | stranger@s invite:new
    member.invite.sender     1-12 | | guest@g invite:new
    member.invite.target     1-12 | | mod invite:bob@b
    member.invite.target     1-12 | | ada invite:eve@e
    -                        1-12 | | bob@b invite:new
    -                        1-12 | | bob@b invite:guest@g
    -                        1-12 | new leave | bob@b invite:new
    -                        7-12 | new knock | bob@b invite:new
    member.invite.otherwise  1-12 | power {"invite": 10} | bob@b invite:new
    -                        1-12 | power {"bob@b": 10, "invite": 10} | bob@b invite:new

    -                        1-12 | | bob@b leave
    -                        1-12 | | guest@g leave
    member.leave.own         1-12 | | new leave
    member.leave.own         1-12 | | eve@e leave
    member.leave.own         1-12 | new leave | new leave
    member.leave.own         1-6  | new knock | new leave
    -                        7-12 | new knock | new leave
    member.leave.sender      1-12 | | stranger@s kick:bob@b
    member.leave.sender      1-12 | | guest@g kick:bob@b
    member.leave.unban       1-12 | | bob@b unban:eve@e
    member.leave.unban       1-12 | power {"mod": 50, "ban": 51} | mod unban:eve@e
    -                        1-12 | | mod unban:eve@e
    member.leave.otherwise   1-12 | power {"mod": 50, "kick": 51} | mod unban:eve@e
    member.leave.otherwise   1-12 | power {"mod": 50, "eve@e": 50} | mod unban:eve@e
    member.leave.otherwise   1-12 | | bob@b kick:ben@b
    member.leave.otherwise   1-12 | | mod kick:peer
    member.leave.otherwise   1-12 | | mod kick:ada
    -                        1-12 | | mod kick:bob@b
    -                        1-12 | | mod kick:guest@g
    -                        1-12 | | ada kick:mod
    -                        1-12 | power {"bob@b": 5, "kick": 5} | bob@b kick:ben@b

    member.ban.sender        1-12 | | stranger@s ban:bob@b
    member.ban.sender        1-12 | | guest@g ban:bob@b
    member.ban.otherwise     1-12 | | bob@b ban:ben@b
    member.ban.otherwise     1-12 | | mod ban:peer
    member.ban.otherwise     1-12 | | mod ban:mod
    member.ban.otherwise     1-12 | power {"mod": 50, "ban": 51} | mod ban:bob@b
    -                        1-12 | | mod ban:bob@b
    -                        1-12 | | mod ban:new
    -                        1-12 | | mod ban:eve@e
    -                        1-12 | | ada ban:mod

    member.knock.join_rule   7-12 | | new knock
    member.knock.join_rule   7-12 | rule:invite | new knock
    member.knock.join_rule   7-12 | rule:restricted | new knock
    member.knock.join_rule   7-9  | rule:knock_restricted | new knock
    -                        10-12 | rule:knock_restricted | new knock
    -                        7-12 | rule:knock | new knock
    -                        7-12 | rule:knock; new knock | new knock
    -                        7-12 | rule:knock; new leave | new knock
    member.knock.sender      7-12 | rule:knock | mod m.room.member/@new:a {"membership": "knock"}
    member.knock.otherwise   7-12 | rule:knock | eve@e knock
    member.knock.otherwise   7-12 | rule:knock | guest@g knock
    member.knock.otherwise   7-12 | rule:knock | bob@b knock

    member.ban.otherwise     12   | create {"additional_creators": ["@carol:c"]}; carol@c join | alice ban:carol@c
    member.ban.otherwise     12   | create {"additional_creators": ["@carol:c"]}; carol@c join | carol@c ban:alice
    member.leave.otherwise   12   | create {"additional_creators": ["@carol:c"]}; carol@c join | alice kick:carol@c
    -                        12   | create {"additional_creators": ["@carol:c"]}; carol@c join | carol@c ban:ada
    member.ban.otherwise     1-11 | create {"additional_creators": ["@carol:c"]}; carol@c join | carol@c ban:bob@b
    """
)
def test_rule(case: Case, version: RoomVersion) -> None:
    auth_cases.check(case, version)


# The creator's first join


@every_version
def test_the_creator_joins_first(version: RoomVersion) -> None:
    room = draw(version, "create alice create\n join <- create alice join")
    authorise(room["join"], room.state_after("create").get)


@every_version
@pytest.mark.parametrize("lines", ["x <- create bob join", "y <- create bob join\n x <- y alice join"])
def test_nobody_else_joins_first_and_no_later(version: RoomVersion, lines: str) -> None:
    room = draw(version, f"create alice create\n{lines}")
    before = room.state_after(*room.names(room["x"].prev_events))
    with pytest.raises(AuthRuleViolation) as raised:
        authorise(room["x"], before.get)
    assert raised.value.rule == rule_number(version, "member.join.otherwise")


@pytest.mark.parametrize(("identifier", "sender"), [("10", "bob"), ("11", "alice"), ("12", "alice")])
def test_who_the_creator_is(identifier: str, sender: str) -> None:
    room = draw(identifier, f'create alice create {{"creator": "@bob:a"}}\n join <- create {sender} join')
    authorise(room["join"], room.state_after("create").get)
    other = draw(identifier, 'create alice create {"creator": "@bob:a", "additional_creators": ["@carol:c"]}')
    for user in {"alice", "bob", "carol@c"} - {sender}:
        other.draw(f"{user} <- create {user} join")
        with pytest.raises(AuthRuleViolation):
            authorise(other[user], other.state_after("create").get)


# Invites to third parties

IDENTITY = SigningKey("ed25519:0", b"i" * 32)
OTHER = SigningKey("ed25519:0", b"o" * 32)
SIGNED = sign_json({"mxid": "@new:n", "token": "token", "sender": "@mod:a"}, "identity.example", IDENTITY)


def offer(*keys: SigningKey) -> dict[str, Any]:
    return {"public_keys": [{"public_key": key.verify_key.to_base64()} for key in keys]}


GOOD_OFFER: dict[str, Any] = {"public_key": IDENTITY.verify_key.to_base64(), "display_name": "n…"}
THIRD = "member.invite.third_party."


def attempt(version: RoomVersion, offered: dict[str, Any], invite: object, sender: str, target: str) -> None:
    """mod offered an invite under `token`; now somebody redeems it for `target`."""
    room = draw(version, auth_cases.BASE)
    room.add("offer", "mod", "m.room.third_party_invite", offered, key="token")
    content = {"membership": "invite", "third_party_invite": invite}
    event = room.add("redeemed", sender, "m.room.member", content, key=target)
    authorise(event, room.state_after("offer").get)


@every_version
@pytest.mark.parametrize(
    "offered",
    [
        GOOD_OFFER,
        {"public_key": encode_base64_url_safe(IDENTITY.verify_key.data)},
        {"public_key": IDENTITY.verify_key.to_base64() + "="},
        offer(IDENTITY),
        offer(OTHER, IDENTITY),
        {"public_key": OTHER.verify_key.to_base64(), **offer(IDENTITY)},
        {"public_key": "?", "public_keys": [5, {}, {"public_key": 5}, *offer(IDENTITY)["public_keys"]]},
    ],
)
def test_third_party_invites_are_redeemed(version: RoomVersion, offered: dict[str, Any]) -> None:
    attempt(version, offered, {"signed": SIGNED, "display_name": "n…"}, "mod", "@new:n")


def changed(**fields: Any) -> dict[str, Any]:
    """What was signed, tampered with; a field given as None is left out."""
    return {"signed": {key: value for key, value in {**SIGNED, **fields}.items() if value is not None}}


@every_version
@pytest.mark.parametrize(
    ("rule", "offered", "invite", "sender"),
    [
        ("signed", GOOD_OFFER, {}, "mod"),
        ("signed", GOOD_OFFER, {"signed": 5}, "mod"),
        ("signed", GOOD_OFFER, "x", "mod"),
        ("signed", GOOD_OFFER, None, "mod"),
        ("fields", GOOD_OFFER, changed(mxid=None), "mod"),
        ("fields", GOOD_OFFER, changed(token=None), "mod"),
        ("fields", GOOD_OFFER, changed(token=5), "mod"),
        ("mxid", GOOD_OFFER, changed(mxid="@other:n"), "mod"),
        ("token", GOOD_OFFER, changed(token="other"), "mod"),
        ("sender", GOOD_OFFER, {"signed": SIGNED}, "bob@b"),
        ("otherwise", offer(OTHER), {"signed": SIGNED}, "mod"),
        ("otherwise", {}, {"signed": SIGNED}, "mod"),
        ("otherwise", {"public_key": 5, "public_keys": 5}, {"signed": SIGNED}, "mod"),
        ("otherwise", GOOD_OFFER, changed(sender="@bob:b"), "mod"),
        ("otherwise", GOOD_OFFER, changed(signatures=None), "mod"),
        ("otherwise", GOOD_OFFER, changed(signatures=5), "mod"),
        ("otherwise", GOOD_OFFER, changed(signatures={"x": 5}), "mod"),
        ("otherwise", GOOD_OFFER, changed(signatures={"x": {"ed25519:0": 5}}), "mod"),
        ("otherwise", GOOD_OFFER, changed(signatures={"x": {"ed25519:0": "?"}}), "mod"),
        ("otherwise", GOOD_OFFER, changed(signatures={"x": {"ed25519:0": "AAAA"}}), "mod"),
    ],
)
def test_third_party_invites_are_refused(
    version: RoomVersion, rule: str, offered: dict[str, Any], invite: object, sender: str
) -> None:
    with pytest.raises(AuthRuleViolation) as raised:
        attempt(version, offered, invite, sender, "@new:n")
    assert raised.value.rule == rule_number(version, THIRD + rule)


@every_version
def test_third_party_invites_do_not_lift_bans(version: RoomVersion) -> None:
    signed = sign_json({"mxid": "@eve:e", "token": "token"}, "identity.example", IDENTITY)
    with pytest.raises(AuthRuleViolation) as raised:
        attempt(version, GOOD_OFFER, {"signed": signed}, "mod", "@eve:e")
    assert raised.value.rule == rule_number(version, THIRD + "banned")


def test_third_party_invites_full_of_keys_cost_little() -> None:
    offered = {"public_keys": [{"public_key": OTHER.verify_key.to_base64()}] * 600}
    wrong = sign_json({"mxid": "@new:n", "token": "token"}, "x", IDENTITY)["signatures"]["x"]["ed25519:0"]
    signed = changed(signatures={"x": {f"ed25519:{number}": wrong for number in range(600)}})
    begin = time.process_time()
    with pytest.raises(AuthRuleViolation):
        attempt(ROOM_VERSIONS["12"], offered, signed, "mod", "@new:n")
    assert time.process_time() - begin < 1
