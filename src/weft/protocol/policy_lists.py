"""Who and what a moderation policy list bans.

https://spec.matrix.org/v1.19/client-server-api/#moderation-policy-lists
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from weft.protocol import globs
from weft.protocol.identifiers import domain_of

USER: Final = "user"
SERVER: Final = "server"
ROOM: Final = "room"
#: The types of rules, with the names that they had before, and the kind that each is of.
TYPES: Final[Mapping[str, str]] = {
    f"{prefix}.{kind}": kind
    for prefix in ("m.policy.rule", "m.room.rule", "org.matrix.mjolnir.rule")
    for kind in (USER, SERVER, ROOM)
}
_BANS: Final = frozenset({"m.ban", "org.matrix.mjolnir.ban"})
#: Longer entities than any identifier ban nothing.
_LONGEST: Final = 255


class PolicyRules:
    """The rules of some lists, by their types and contents. What is malformed or recommends something else is none."""

    def __init__(self, rules: Iterable[tuple[str, Mapping[str, Any]]] = ()) -> None:
        #: Most lists are thousands of names without a wildcard.
        self._names: dict[str, set[str]] = {USER: set(), SERVER: set(), ROOM: set()}
        self._matchers: dict[str, list[globs.Matcher]] = {USER: [], SERVER: [], ROOM: []}
        for event_type, content in rules:
            kind, entity = TYPES.get(event_type), content.get("entity")
            recommendation = content.get("recommendation")
            if kind is None or not isinstance(entity, str) or not 0 < len(entity) <= _LONGEST:
                continue
            if not isinstance(recommendation, str) or recommendation not in _BANS:
                continue
            if globs.has_wildcards(entity):
                self._matchers[kind].append(globs.matcher(entity))
            else:
                self._names[kind].add(entity)

    def bans_user(self, user_id: str) -> bool:
        """Whether a user is banned, or their server."""
        return self._bans(USER, user_id) or self.bans_server(domain_of(user_id))

    def bans_server(self, server_name: str) -> bool:
        return self._bans(SERVER, server_name)

    def bans_room(self, room_id: str) -> bool:
        return self._bans(ROOM, room_id)

    def _bans(self, kind: str, entity: str) -> bool:
        return entity in self._names[kind] or any(matches(entity) for matches in self._matchers[kind])
