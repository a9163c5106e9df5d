"""State resolution on rooms drawn by hand: the proposals' worked examples and the quarrels that rooms live through.

Every resolution is asked in several orders, with states given twice and with too many keys called different.
"""

from __future__ import annotations

import pytest

from tests.protocol.state_resolution_rooms import DrawnRoom, State, key
from weft.protocol.state_resolution import MemoryReader, resolve, resolve_maps

ALL = ["1", "2", "6", "10", "12"]
SINCE_2 = ["2", "6", "10", "12"]
V2_0 = ["2", "6", "10", "11"]


# What is not in conflict


@pytest.mark.parametrize("version", ALL)
def test_one_state_is_its_own_resolution(version: str) -> None:
    room = DrawnRoom(version)
    state = room.start("bob")
    assert resolve_maps(room.version, [state], room.reader) == state
    assert resolve(room.version, [state, state], [], room.reader) == {}


@pytest.mark.parametrize("version", ALL)
def test_keys_that_do_not_differ_keep_their_value(version: str) -> None:
    room = DrawnRoom(version)
    state = room.start("bob")
    asked = [key("member bob"), key("topic")]
    assert resolve(room.version, [state, dict(state)], asked, room.reader) == {
        key("member bob"): room.id("join-bob"),
        key("topic"): None,
    }


# Moderation


@pytest.mark.parametrize("version", ALL)
@pytest.mark.parametrize("ban_is_later", [True, False])
def test_what_a_banned_moderator_did_meanwhile_is_undone(version: str, ban_is_later: bool) -> None:
    room = DrawnRoom(version)
    base = room.topic(room.start("bob", bob=50), "topic-0")
    banned = room.member(base, "ban", "bob", "ban", sender="alice", ts=90_000 if ban_is_later else 20_000)
    topic = room.topic(base, "topic-bob", sender="bob", ts=50_000)
    assert_resolved(room, [banned, topic], {"member bob": "ban", "topic": "topic-0"})


@pytest.mark.parametrize("version", ALL)
@pytest.mark.parametrize("join_depth", [5, 50])
def test_a_ban_wins_against_a_join(version: str, join_depth: int) -> None:
    room = DrawnRoom(version)
    base = room.start()
    banned = room.member(base, "ban", "carol", "ban", sender="alice", depth=20)
    joined = room.join(base, "carol", depth=join_depth, ts=1)
    assert_resolved(room, [banned, joined], {"member carol": "ban"})


@pytest.mark.parametrize("version", ALL)
def test_a_kick_wins_against_a_new_display_name(version: str) -> None:
    room = DrawnRoom(version)
    base = room.start("bob", rule="invite")
    kicked = room.member(base, "kick", "bob", "leave", sender="alice", depth=20)
    renamed = room.member(base, "rename", "bob", "join", depth=21)
    assert_resolved(room, [kicked, renamed], {"member bob": "kick"})


@pytest.mark.parametrize(("version", "carol"), [("1", "join-carol"), *[(version, None) for version in SINCE_2]])
def test_a_closed_door_wins_against_a_join(version: str, carol: str | None) -> None:
    """Version 1 takes what only one state has as it is."""
    room = DrawnRoom(version)
    base = room.start()
    closed = room.send(base, "closed", "alice", "rules", {"join_rule": "invite"})
    joined = room.join(base, "carol")
    assert_resolved(room, [closed, joined], {"rules": "closed", "member carol": carol})


@pytest.mark.parametrize("version", SINCE_2)
def test_of_two_demotions_the_mightier_senders_counts(version: str) -> None:
    room = DrawnRoom(version)
    base = room.start("bob", "carol", bob=50, carol=25)
    by_alice = room.power(base, "alice-demotes-bob", ts=90_000, bob=0, carol=25)
    by_bob = room.power(base, "bob-demotes-carol", sender="bob", ts=50_000, bob=50, carol=0)
    assert_resolved(room, [by_alice, by_bob], {"power": "alice-demotes-bob"})


@pytest.mark.parametrize("version", SINCE_2)
def test_nobody_is_banned_by_one_who_was_banned(version: str) -> None:
    room = DrawnRoom(version)
    base = room.start("bob", "carol", bob=50)
    first = room.member(base, "ban-bob", "bob", "ban", sender="alice")
    second = room.member(base, "ban-carol", "carol", "ban", sender="bob")
    assert_resolved(room, [first, second], {"member bob": "ban-bob", "member carol": "join-carol"})


@pytest.mark.parametrize("version", SINCE_2)
def test_a_demotion_undoes_what_rested_on_the_level_through_several_steps(version: str) -> None:
    """Bob makes carol a moderator and she sets a topic; alice had taken bob's power on the other side."""
    room = DrawnRoom(version)
    base = room.topic(room.start("bob", "carol", bob=60), "topic-0")
    demoted = room.power(base, "demoted", bob=0)
    promoted = room.power(base, "promoted", sender="bob", bob=60, carol=50)
    topic = room.topic(promoted, "topic-carol", sender="carol")
    assert_resolved(room, [demoted, topic], {"power": "demoted", "topic": "topic-0"})


# Races between equals


@pytest.mark.parametrize("version", SINCE_2)
@pytest.mark.parametrize(
    ("first", "second", "winner"),
    [(50_000, 60_000, "b"), (60_000, 50_000, "a"), (50_000, 50_000, "b")],
    ids=["later", "earlier", "same time, higher id"],
)
def test_a_fight_for_the_name_goes_to_the_later(version: str, first: int, second: int, winner: str) -> None:
    room = DrawnRoom(version)
    base = room.start("bob", bob=50)
    a = room.send(base, "a", "alice", "name", {"name": "A"}, ts=first)
    b = room.send(base, "b", "bob", "name", {"name": "B"}, ts=second)
    assert_resolved(room, [a, b], {"name": winner})


@pytest.mark.parametrize(
    ("depths", "winner"),
    [((10, 11), "b"), ((11, 10), "a"), ((10, 10), "a")],
    ids=["deeper", "less deep", "same depth, lower sha1"],
)
def test_a_fight_for_the_name_in_version_1_goes_by_depth_and_hash(depths: tuple[int, int], winner: str) -> None:
    room = DrawnRoom("1")
    base = room.start("bob", bob=50)
    a = room.send(base, "a", "alice", "name", {"name": "A"}, depth=depths[0])
    b = room.send(base, "b", "bob", "name", {"name": "B"}, depth=depths[1])
    assert_resolved(room, [a, b], {"name": winner})


@pytest.mark.parametrize("version", SINCE_2)
def test_of_two_power_levels_by_one_sender_the_later_stays(version: str) -> None:
    room = DrawnRoom(version)
    base = room.start("bob", "carol")
    bob = room.power(base, "bob-up", ts=50_000, bob=50)
    carol = room.power(base, "carol-up", ts=60_000, carol=50)
    assert_resolved(room, [bob, carol], {"power": "carol-up"})


@pytest.mark.parametrize("version", SINCE_2)
def test_power_levels_in_a_row_all_count(version: str) -> None:
    """Alice lets bob, bob lets carol, carol lets dave; the other side saw only the first."""
    room = DrawnRoom(version)
    base = room.start("bob", "carol", "dave")
    one = room.power(base, "one", bob=50)
    two = room.power(one, "two", sender="bob", bob=50, carol=50)
    three = room.power(two, "three", sender="carol", bob=50, carol=50, dave=50)
    assert_resolved(room, [one, three], {"power": "three"})


@pytest.mark.parametrize("version", ["10", "12"])
@pytest.mark.parametrize("how", ["kick", "demotion", "closing"])
def test_a_restricted_join_needs_its_authoriser_still(version: str, how: str) -> None:
    room = DrawnRoom(version)
    base = room.start("bob", rule="restricted", bob=50, invite=50)
    if how == "kick":
        other = room.member(base, "kick", "bob", "leave", sender="alice")
    elif how == "demotion":
        other = room.power(base, "demotion", bob=0, invite=50)
    else:
        other = room.send(base, "closing", "alice", "rules", {"join_rule": "invite"})
    via_bob = room.join(base, "carol", join_authorised_via_users_server="@bob:bob.example")
    assert_resolved(room, [other, via_bob], {"member carol": None})


@pytest.mark.parametrize("version", ["10", "12"])
def test_two_restricted_joins_both_count(version: str) -> None:
    room = DrawnRoom(version)
    base = room.start("bob", rule="restricted", bob=50)
    carol = room.join(base, "carol", join_authorised_via_users_server="@bob:bob.example")
    dave = room.join(base, "dave", join_authorised_via_users_server="@alice:alice.example")
    assert_resolved(room, [carol, dave], {"member carol": "join-carol", "member dave": "join-dave"})


@pytest.mark.parametrize("version", SINCE_2)
def test_who_left_stays_out_where_the_states_are_before_and_after(version: str) -> None:
    """Leave, join, leave: resolving the first leave against the last must not bring the join back."""
    room = DrawnRoom(version)
    left = room.member(room.start("bob"), "left", "bob", "leave")
    back = room.member(left, "back", "bob", "join")
    gone = room.member(back, "gone", "bob", "leave")
    assert_resolved(room, [left, gone], {"member bob": "gone"})
    assert_resolved(room, [left, back, gone], {"member bob": "gone"})


@pytest.mark.parametrize("version", SINCE_2)
def test_three_states_are_resolved_together(version: str) -> None:
    room = DrawnRoom(version)
    base = room.topic(room.start("bob", bob=50), "topic-0")
    one = room.topic(base, "topic-1", sender="bob", ts=70_000)
    two = room.member(base, "ban", "bob", "ban", sender="alice")
    three = room.topic(base, "topic-3", ts=60_000)
    assert_resolved(room, [one, two, three], {"topic": "topic-3", "member bob": "ban"})


# Version 1's stages


def test_version_1_stops_at_the_first_step_that_is_not_allowed() -> None:
    """Bob's levels come second and are not allowed after alice's; hers that follow are not tried any more."""
    room = DrawnRoom("1")
    base = room.start("bob", bob=50)
    first = room.power(base, "first", bob=0)
    second = room.power(base, "second", sender="bob", bob=25)
    third = room.power(base, "third", bob=0, kick=10)
    assert_resolved(room, [first, second, third], {"power": "first"})


def test_version_1_takes_the_oldest_where_nothing_is_allowed() -> None:
    room = DrawnRoom("1")
    base = room.start("bob", "carol", bob=50, carol=50)
    bob = room.topic(base, "topic-bob", sender="bob")
    carol = room.topic(base, "topic-carol", sender="carol")
    no_bob = room.member(bob, "ban-bob", "bob", "ban", sender="alice")
    no_carol = room.member(no_bob, "ban-carol", "carol", "ban", sender="alice")
    other = {**no_carol, key("topic"): carol[key("topic")]}
    assert_resolved(room, [no_carol, other], {"topic": "topic-bob"})


# The proposals' worked examples


@pytest.mark.parametrize("version", SINCE_2)
def test_msc1442_example_1_message_2(version: str) -> None:
    room, topic_2, topic_3, _ = msc1442_example_1(version)
    assert_resolved(room, [topic_2, topic_3], {"power": "deops-bob", "topic": "topic-2"})


@pytest.mark.parametrize("version", ["2", "6", "10"])
def test_msc1442_example_1_message_3(version: str) -> None:
    """Topic 2 claims a later time, but rests on older power levels."""
    room, topic_2, topic_3, topic_4 = msc1442_example_1(version)
    message_2 = room.resolve(topic_2, topic_3)
    assert_resolved(room, [message_2, topic_4], {"power": "deops-bob", "topic": "topic-4"})


def test_without_conflicting_power_levels_version_2_1_has_no_mainline() -> None:
    """Its first step leaves no power levels in the state, so that only the time is left to compare."""
    room, topic_2, topic_3, topic_4 = msc1442_example_1("12")
    message_2 = room.resolve(topic_2, topic_3)
    assert_resolved(room, [message_2, topic_4], {"power": "deops-bob", "topic": "topic-2"})


def msc1442_example_1(version: str) -> tuple[DrawnRoom, State, State, State]:
    """The states after `Deops Bob`, after `Topic 3` and after `Topic 4`."""
    room = DrawnRoom(version)
    base = room.topic(room.start("bob"), "topic-1")
    ops_bob = room.power(base, "ops-bob", bob=50)
    topic_2 = room.topic(ops_bob, "topic-2", ts=90_000)
    deops_bob = room.power(topic_2, "deops-bob", bob=0)
    change = room.power(ops_bob, "change", sender="bob", bob=50, kick=40)
    topic_3 = room.topic(change, "topic-3", sender="bob", ts=95_000)
    topic_4 = room.topic(deops_bob, "topic-4", ts=60_000)
    return room, deops_bob, topic_3, topic_4


@pytest.mark.parametrize(("known", "topic"), [(True, "topic-bob"), (False, None)])
def test_msc1442_example_2_rejected_events(known: bool, topic: str | None) -> None:
    """An event that only its state refused takes part; one that the reader keeps back does not."""
    room = DrawnRoom("6")
    ops_bob = room.power(room.start("bob"), "ops-bob", bob=50)
    deops_bob = room.power(ops_bob, "deops-bob", bob=0)
    by_bob = room.topic(ops_bob, "topic-bob", sender="bob")
    refused = {**deops_bob, key("topic"): by_bob[key("topic")]}
    reops_bob = room.power(deops_bob, "reops-bob", bob=50)
    if not known:
        del room.events[by_bob[key("topic")]]
    assert_resolved(room, [refused, reops_bob], {"power": "reops-bob", "topic": topic})


@pytest.mark.parametrize(("version", "rules"), [*[(version, None) for version in V2_0], ("12", "rules-1")])
def test_msc4297_problem_a(version: str, rules: str | None) -> None:
    """The states agree that alice left, and differ on a join rule that she had set: until 2.1 it was lost."""
    room = DrawnRoom(version)
    closed = room.start("bob", "charlie", rule="invite")
    alone = room.member(closed, "alice-leaves", "alice", "leave")
    yellow = room.member(alone, "rename-bob", "bob", "join")
    blue = room.member(alone, "rename-charlie", "charlie", "join")
    blue[key("rules")] = room.id("rules-0")
    assert_resolved(
        room,
        [yellow, blue],
        {
            "rules": rules,
            "member alice": "alice-leaves",
            "member bob": "rename-bob",
            "member charlie": "rename-charlie",
        },
    )


@pytest.mark.parametrize(("version", "power"), [*[(version, "power-0") for version in V2_0], ("12", "power-2")])
def test_msc4297_problem_b(version: str, power: str) -> None:
    """One state has old power levels; those between, which allowed the newest, are in both chains."""
    room = DrawnRoom(version)
    base = room.start("bob", "charlie")
    bob = room.power(base, "power-1", bob=50)
    charlie = room.power(bob, "power-2", sender="bob", bob=50, charlie=50)
    red = room.member(room.join(charlie, "eve"), "rename-eve", "eve", "join")
    red[key("power")] = room.id("power-0")
    yellow = room.join(charlie, "zara")
    assert_resolved(room, [red, yellow], {"power": power, "member eve": "rename-eve", "member zara": "join-zara"})


# States that servers should not send, but do


@pytest.mark.parametrize("version", SINCE_2)
def test_an_event_that_no_state_has_may_win_its_place(version: str) -> None:
    """Carol was invited and joined, and one state has lost her; her membership comes out of the auth chain."""
    room = DrawnRoom(version)
    invited = room.member(room.start(rule="invite", carol=50), "invite", "carol", "invite", sender="alice")
    topic = room.topic(room.join(invited, "carol"), "topic-carol", sender="carol")
    del topic[key("member carol")]
    other = room.topic({**invited}, "topic-alice", ts=1)
    del other[key("member carol")]
    result = resolve(room.version, [topic, other], [key("topic")], room.reader)
    assert result == {key("topic"): room.id("topic-carol"), key("member carol"): room.id("join-carol")}


@pytest.mark.parametrize("version", ALL)
def test_events_that_nobody_knows_are_passed_over(version: str) -> None:
    room = DrawnRoom(version)
    base = room.topic(room.start("bob", bob=50), "topic-0")
    lost = {**base, key("topic"): "$lost", key("name"): "$nowhere"}
    other = {**base, key("name"): "$gone"}
    result = resolve(room.version, [lost, other], [key("topic"), key("name")], room.reader)
    assert result == {key("topic"): room.id("topic-0"), key("name"): None}


@pytest.mark.parametrize("version", ALL)
def test_nothing_known_resolves_to_nothing(version: str) -> None:
    room = DrawnRoom(version)
    states = [{key("topic"): "$a", key("create"): "$c"}, {key("topic"): "$b", key("create"): "$c"}]
    assert resolve(room.version, states, [key("topic")], MemoryReader()) == {key("topic"): None}


@pytest.mark.parametrize("version", SINCE_2)
def test_events_that_cite_each_other_in_a_circle_do_not_hold_us_up(version: str) -> None:
    room = DrawnRoom(version)
    base = room.start("bob", bob=50)
    chain = ["create", "join-alice"] if version != "12" else ["join-alice"]
    room.send(base, "power-a", "alice", "power", {}, auth=[*chain, "power-b"])
    room.send(base, "power-b", "alice", "power", {}, auth=[*chain, "power-a"])
    topic_a = room.send(base, "topic-a", "alice", "topic", {}, auth=[*chain, "power-a"])
    topic_b = room.send(base, "topic-b", "alice", "topic", {}, auth=[*chain, "power-b"])
    other = {**topic_b, key("power"): room.id("power-a")}
    assert_resolved(room, [topic_a, other], {"member bob": "join-bob"})


def assert_resolved(room: DrawnRoom, states: list[State], expected: dict[str, str | None]) -> None:
    """The resolution as far as the test speaks of it; None for what must be absent."""
    result = room.names(*states)
    assert {place: result.get(place) for place in expected} == expected
