"""`m.room.server_acl`: the order of its steps, patterns, addresses, and contents that break the schema."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weft.protocol import globs, server_acl
from weft.protocol.identifiers import parse_server_name
from weft.protocol.server_acl import ServerAcl

OPEN: dict[str, Any] = {"allow": ["*"]}

CASES: list[tuple[dict[str, Any], str, bool]] = [
    (OPEN, "example.org", True),
    (OPEN, "example.org:8448", True),
    (OPEN, "1.2.3.4", True),
    ({}, "example.org", False),
    ({"allow": []}, "example.org", False),
    ({"deny": ["other.org"]}, "example.org", False),
    ({"allow": ["example.org"]}, "example.org", True),
    ({"allow": ["example.org"]}, "example.org:80", True),
    ({"allow": ["example.org:80"]}, "example.org:80", False),
    ({"allow": ["EXAMPLE.org"]}, "example.ORG", True),
    ({"allow": ["example.org"]}, "a.example.org", False),
    ({**OPEN, "deny": ["evil.com"]}, "evil.com", False),
    ({**OPEN, "deny": ["evil.com"]}, "evil.com:1234", False),
    ({**OPEN, "deny": ["evil.com"]}, "EVIL.com", False),
    ({**OPEN, "deny": ["evil.com"]}, "notevil.com", True),
    ({**OPEN, "deny": ["*.evil.com"]}, "a.b.evil.com", False),
    ({**OPEN, "deny": ["*.evil.com"]}, "evil.com", True),
    ({**OPEN, "deny": ["evil*"]}, "evil.com", False),
    ({**OPEN, "deny": ["evil*"]}, "an.evil.com", True),
    ({**OPEN, "deny": ["e?il.*om"]}, "evil.com", False),
    ({**OPEN, "deny": ["*"]}, "example.org", False),
    ({"allow": ["example.org"], "deny": ["example.org"]}, "example.org", False),
    ({**OPEN, "allow_ip_literals": False}, "1.2.3.4", False),
    ({**OPEN, "allow_ip_literals": False}, "1.2.3.4:8448", False),
    ({**OPEN, "allow_ip_literals": False}, "[::1]", False),
    ({**OPEN, "allow_ip_literals": False}, "[::1]:8448", False),
    ({**OPEN, "allow_ip_literals": False}, "example.org", True),
    ({"allow": ["1.2.3.4"], "allow_ip_literals": False}, "1.2.3.4", False),
    ({**OPEN, "allow_ip_literals": True}, "[::1]", True),
    ({**OPEN, "deny": ["[::1]"]}, "[::1]:80", False),
    # contents that break the schema
    ({**OPEN, "allow_ip_literals": "false"}, "1.2.3.4", True),
    ({**OPEN, "allow_ip_literals": None}, "1.2.3.4", True),
    ({**OPEN, "allow_ip_literals": 0}, "1.2.3.4", True),
    ({"allow": "*"}, "example.org", False),
    ({"allow": {"*": 1}}, "example.org", False),
    ({"allow": [None, 1, ["*"], "*"]}, "example.org", True),
    ({**OPEN, "deny": "example.org"}, "example.org", True),
    ({**OPEN, "deny": [{"a": "example.org"}, 5, None]}, "example.org", True),
    ({**OPEN, "deny": ["", "a" * 300, "*" + "?" * 300, "ẞ"]}, "example.org", True),
    # names that are none
    (OPEN, "", False),
    (OPEN, "exa mple.org", False),
    (OPEN, "example.org:port", False),
]


@pytest.mark.parametrize(("content", "name", "expected"), CASES)
def test_steps(content: dict[str, Any], name: str, expected: bool) -> None:
    assert server_acl.is_allowed(content, name) is expected
    assert ServerAcl(content).allows(name) is expected


def test_a_room_without_the_event_is_open() -> None:
    assert server_acl.is_allowed(None, "example.org")


def test_a_long_list_is_asked_quickly() -> None:
    deny = [f"host{i}.evil.com" for i in range(2000)] + [f"*.evil{i}.com" for i in range(500)]
    acl = ServerAcl({**OPEN, "deny": deny})
    assert not acl.allows("host1999.evil.com")
    assert not acl.allows("a.evil499.com")
    assert acl.allows("example.org")


patterns = st.text("ab.*?", max_size=6)
hosts = st.text("ab.", min_size=1, max_size=8)


@given(st.lists(patterns, max_size=5), st.lists(patterns, max_size=5), hosts)
def test_sorting_the_patterns_changes_nothing(allow: list[str], deny: list[str], name: str) -> None:
    host = parse_server_name(name).host
    expected = not any(globs.matcher(each)(host) for each in deny) and any(globs.matcher(each)(host) for each in allow)
    assert server_acl.is_allowed({"allow": allow, "deny": deny}, name) is expected


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@given(st.fixed_dictionaries({}, optional=dict.fromkeys(("allow", "deny", "allow_ip_literals"), anything)), st.text())
def test_hostile_contents_and_names_have_an_answer(content: dict[str, Any], name: str) -> None:
    assert server_acl.is_allowed(content, name) in (True, False)
    assert server_acl.is_allowed(content, "example.org") in (True, False)
