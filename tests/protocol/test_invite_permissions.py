"""Whose invites a user wants."""

from __future__ import annotations

from typing import Any

import pytest

from weft.protocol.invite_permissions import InvitePermissions, InviteRule

ALLOW, IGNORE, BLOCK = InviteRule.ALLOW, InviteRule.IGNORE, InviteRule.BLOCK


@pytest.mark.parametrize(
    ("config", "lists", "rule"),
    [
        (None, None, ALLOW),
        ({}, {}, ALLOW),
        ({"default_action": "allow"}, None, ALLOW),
        ({"default_action": "block"}, None, BLOCK),
        ({"default_action": ["block"]}, None, ALLOW),
        (None, {"blocked_users": ["@eve:evil.test"]}, BLOCK),
        (None, {"ignored_users": ["@e?e:*"]}, IGNORE),
        (None, {"blocked_servers": ["*.test"]}, BLOCK),
        (None, {"ignored_servers": ["evil.test"]}, IGNORE),
        (None, {"blocked_servers": ["good.test"], "ignored_users": ["@bob:*"]}, ALLOW),
        # Users before servers, and who is allowed before who is not.
        (None, {"allowed_users": ["@eve:*"], "blocked_servers": ["evil.test"]}, ALLOW),
        (None, {"blocked_users": ["@eve:*"], "allowed_servers": ["evil.test"]}, BLOCK),
        (None, {"blocked_users": ["@eve:*"], "ignored_users": ["@eve:*"]}, IGNORE),
        (None, {"blocked_users": ["@eve:*"], "ignored_users": ["@eve:*"], "allowed_users": ["@e*"]}, ALLOW),
        ({"default_action": "block"}, {"allowed_servers": ["evil.test"]}, ALLOW),
        ({"default_action": "block"}, {"allowed_servers": ["good.test"]}, BLOCK),
        (None, {"enabled": False, "blocked_users": ["*"]}, ALLOW),
        (None, {"enabled": True, "blocked_users": ["*"]}, BLOCK),
        # What is malformed says nothing.
        (None, {"blocked_users": "*", "blocked_servers": {"evil.test": {}}}, ALLOW),
        (None, {"blocked_users": [5, None, "", "*" * 256]}, ALLOW),
        (None, {"blocked_users": [5, "@eve:evil.test"]}, BLOCK),
    ],
)
def test_what_becomes_of_an_invite(
    config: dict[str, Any] | None, lists: dict[str, Any] | None, rule: InviteRule
) -> None:
    permissions = InvitePermissions(config, lists)
    assert permissions.rule("@eve:evil.test") is rule
    assert permissions.shows("@eve:evil.test") is (rule is ALLOW)
