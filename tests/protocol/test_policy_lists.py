"""Who and what policy lists ban."""

from __future__ import annotations

from typing import Any

import pytest

from weft.protocol.policy_lists import PolicyRules


def ban(entity: object, recommendation: object = "m.ban") -> dict[str, Any]:
    return {"entity": entity, "recommendation": recommendation, "reason": "spam"}


def test_users_servers_and_rooms() -> None:
    rules = PolicyRules(
        [
            ("m.policy.rule.user", ban("@eve:evil.test")),
            ("m.policy.rule.user", ban("@spam*:*")),
            ("m.policy.rule.server", ban("*.bad.test")),
            ("m.policy.rule.room", ban("!room:evil.test")),
            ("org.matrix.mjolnir.rule.server", ban("old.test", "org.matrix.mjolnir.ban")),
            ("m.room.rule.user", ban("@older:x.test")),
        ]
    )
    assert [rules.bans_user(f"@{one}") for one in ("eve:evil.test", "spam7:good.test", "a:x.bad.test", "older:x.test")]
    assert not any(rules.bans_user(f"@{one}") for one in ("bob:evil.test", "eve:good.test", "a:bad.test"))
    assert rules.bans_server("old.test")
    assert not rules.bans_server("evil.test")
    assert rules.bans_room("!room:evil.test")
    assert not rules.bans_room("!other:evil.test")


@pytest.mark.parametrize(
    ("event_type", "content"),
    [
        ("m.policy.rule.user", {}),
        ("m.policy.rule.user", ban(5)),
        ("m.policy.rule.user", ban("")),
        ("m.policy.rule.user", ban("*" * 256)),
        ("m.policy.rule.user", ban("*", "m.takedown")),
        ("m.policy.rule.user", ban("*", ["m.ban"])),
        ("m.policy.rule.person", ban("*")),
    ],
)
def test_what_is_no_ban(event_type: str, content: dict[str, Any]) -> None:
    assert not PolicyRules([(event_type, content)]).bans_user("@bob:x.test")
