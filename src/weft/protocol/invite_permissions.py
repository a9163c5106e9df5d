"""Whose invites a user wants, by their account data.

https://spec.matrix.org/v1.19/client-server-api/#invite-permission (`default_action`)
https://github.com/matrix-org/matrix-spec-proposals/pull/4155 (users and servers)
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any, Final

from weft.protocol import globs
from weft.protocol.identifiers import domain_of

KEY: Final = "m.invite_permission_config"
#: Where clients keep the lists of users and servers.
LISTS_KEY: Final = "org.matrix.msc4155.invite_permission_config"
#: A pattern that is longer than any user id matches none. How many there are is bounded by the size of account data.
_LONGEST: Final = 255


class InviteRule(Enum):
    ALLOW = "allowed"
    #: The invite is taken in, but neither shown nor notified.
    IGNORE = "ignored"
    #: Who invites is told that the user does not want it.
    BLOCK = "blocked"


class InvitePermissions:
    """What a user says of invites. What is malformed says nothing."""

    def __init__(self, config: Mapping[str, Any] | None, lists: Mapping[str, Any] | None) -> None:
        self._default = InviteRule.ALLOW
        if config is not None and config.get("default_action") == "block":
            self._default = InviteRule.BLOCK
        self._lists = lists if lists is not None and lists.get("enabled") is not False else {}

    def rule(self, inviter: str) -> InviteRule:
        """What becomes of an invite: users are looked for first, then servers; who is allowed before who is not."""
        for kind, text in (("users", inviter), ("servers", domain_of(inviter))):
            for rule in InviteRule:
                if any(globs.matcher(pattern)(text) for pattern in self._patterns(f"{rule.value}_{kind}")):
                    return rule
        return self._default

    def shows(self, inviter: str) -> bool:
        """Whether an invite is the user's to see."""
        return self.rule(inviter) is InviteRule.ALLOW

    def _patterns(self, name: str) -> list[str]:
        given = self._lists.get(name)
        return (
            [one for one in given if isinstance(one, str) and 0 < len(one) <= _LONGEST] if type(given) is list else []
        )
