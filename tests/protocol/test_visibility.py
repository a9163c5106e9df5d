"""History visibility: the five rules over every combination, servers, guests, and ignored users."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weft.protocol import visibility
from weft.protocol.visibility import HistoryVisibility, is_visible, is_visible_to_server

VISIBILITIES: tuple[HistoryVisibility, ...] = ("invited", "joined", "shared", "world_readable")
MEMBERSHIPS = (None, "join", "invite", "leave", "ban", "knock")

#: What may be seen, written out: (visibility, membership at the event, joined since).
ALLOWED: set[tuple[str, str | None, bool]] = {
    *product(("world_readable",), MEMBERSHIPS, (False, True)),
    *product(VISIBILITIES, ("join",), (False, True)),
    *product(("shared",), MEMBERSHIPS, (True,)),
    *product(("invited",), ("invite",), (False, True)),
}


@pytest.mark.parametrize("joined_since", [False, True])
@pytest.mark.parametrize("membership", MEMBERSHIPS)
@pytest.mark.parametrize("at_event", VISIBILITIES)
def test_ordinary_events(at_event: HistoryVisibility, membership: str | None, joined_since: bool) -> None:
    expected = (at_event, membership, joined_since) in ALLOWED
    assert is_visible(at_event, membership, joined_since=joined_since) is expected
    assert is_visible(at_event, membership, joined_since=joined_since, visibility_after=at_event) is expected
    memberships = () if membership is None else (membership,)
    assert is_visible_to_server(at_event, memberships, joined_since=joined_since) is expected


@pytest.mark.parametrize("joined_since", [False, True])
@pytest.mark.parametrize("membership", MEMBERSHIPS)
@pytest.mark.parametrize(("before", "after"), list(product(VISIBILITIES, repeat=2)))
def test_changes_of_visibility(
    before: HistoryVisibility, after: HistoryVisibility, membership: str | None, joined_since: bool
) -> None:
    expected = (before, membership, joined_since) in ALLOWED or (after, membership, joined_since) in ALLOWED
    assert is_visible(before, membership, joined_since=joined_since, visibility_after=after) is expected
    memberships = () if membership is None else (membership,)
    assert is_visible_to_server(before, memberships, joined_since=joined_since, visibility_after=after) is expected


@pytest.mark.parametrize("joined_since", [False, True])
@pytest.mark.parametrize("at_event", VISIBILITIES)
@pytest.mark.parametrize(("before", "after"), list(product(MEMBERSHIPS, MEMBERSHIPS[1:])))
def test_the_users_own_membership(
    before: str | None, after: str, at_event: HistoryVisibility, joined_since: bool
) -> None:
    expected = (at_event, before, joined_since) in ALLOWED or (at_event, after, joined_since) in ALLOWED
    assert is_visible(at_event, before, joined_since=joined_since, membership_after=after) is expected
    memberships = () if before is None else (before,)
    assert is_visible_to_server(at_event, memberships, joined_since=joined_since, memberships_after=[after]) is expected


@pytest.mark.parametrize("at_event", VISIBILITIES)
def test_the_specifications_examples(at_event: HistoryVisibility) -> None:
    assert is_visible(at_event, "leave", joined_since=False, membership_after="join")
    assert is_visible(at_event, "join", joined_since=False, membership_after="ban")
    assert is_visible("world_readable", None, joined_since=False, visibility_after="joined")
    assert is_visible("joined", None, joined_since=False, visibility_after="world_readable")


@given(st.sampled_from(VISIBILITIES), st.lists(st.sampled_from(MEMBERSHIPS[1:])), st.booleans())
def test_a_server_sees_what_any_of_its_users_sees(
    at_event: HistoryVisibility, memberships: list[str], joined_since: bool
) -> None:
    expected = any(is_visible(at_event, each, joined_since=joined_since) for each in [None, *memberships])
    assert is_visible_to_server(at_event, memberships, joined_since=joined_since) is expected


@pytest.mark.parametrize("at_event", VISIBILITIES)
def test_strangers_see_what_the_world_may_read(at_event: HistoryVisibility) -> None:
    assert visibility.is_visible_to_strangers(at_event) is is_visible(at_event, None, joined_since=False)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        *(({"history_visibility": each}, each) for each in VISIBILITIES),
        (None, "shared"),
        ({}, "shared"),
        ({"history_visibility": "world-readable"}, "shared"),
        ({"history_visibility": "JOINED"}, "shared"),
        ({"history_visibility": None}, "shared"),
        ({"history_visibility": ["joined"]}, "shared"),
        ({"history_visibility": {"joined": 1}}, "shared"),
    ],
)
def test_reading_the_event(content: dict[str, Any] | None, expected: str) -> None:
    assert visibility.history_visibility(content) == expected


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ({"guest_access": "can_join"}, True),
        ({"guest_access": "forbidden"}, False),
        ({"guest_access": True}, False),
        ({}, False),
        (None, False),
    ],
)
def test_guest_access(content: dict[str, Any] | None, expected: bool) -> None:
    assert visibility.guests_may_join(content) is expected


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (None, set()),
        ({}, set()),
        ({"ignored_users": {"@bob:b": {}, "@carol:c": 1}}, {"@bob:b", "@carol:c"}),
        ({"ignored_users": {"@alice:a": {}, "@bob:b": {}}}, {"@bob:b"}),
        ({"ignored_users": ["@bob:b"]}, set()),
        ({"ignored_users": "@bob:b"}, set()),
        ({"ignored_users": None}, set()),
    ],
)
def test_whom_a_user_ignores(content: dict[str, Any] | None, expected: set[str]) -> None:
    assert visibility.ignored_users(content, "@alice:a") == expected


@pytest.mark.parametrize(
    ("sender", "is_state", "is_invite", "expected"),
    [
        ("@bob:b", False, False, True),
        ("@bob:b", True, False, False),
        ("@bob:b", True, True, True),
        ("@carol:c", False, False, False),
        ("@carol:c", True, True, False),
    ],
)
def test_what_is_kept_from_those_who_ignore(sender: str, is_state: bool, is_invite: bool, expected: bool) -> None:
    ignored = frozenset({"@bob:b"})
    assert visibility.is_ignored(ignored, sender, is_state=is_state, is_invite=is_invite) is expected
