"""Who may see an event: history visibility for users, guests and servers; and whom a user ignores.

Everything is asked about the room's state *at the event*, never about what is set now: history that was closed when
it was made stays closed. The caller finds that state; nothing is looked up here.

Rules: https://spec.matrix.org/v1.19/client-server-api/#room-history-visibility
       https://spec.matrix.org/v1.19/client-server-api/#ignoring-users
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final, Literal, get_args

HistoryVisibility = Literal["invited", "joined", "shared", "world_readable"]

#: What holds where nothing is set, or nothing that is understood.
DEFAULT_VISIBILITY: Final[HistoryVisibility] = "shared"
_BY_NAME: Final[dict[str, HistoryVisibility]] = {name: name for name in get_args(HistoryVisibility)}


def history_visibility(content: Mapping[str, Any] | None) -> HistoryVisibility:
    """What the content of an `m.room.history_visibility` event means; None is a room without one."""
    value = None if content is None else content.get("history_visibility")
    return _BY_NAME.get(value, DEFAULT_VISIBILITY) if isinstance(value, str) else DEFAULT_VISIBILITY


# Users


def is_visible(
    visibility: HistoryVisibility,
    membership: str | None,
    *,
    joined_since: bool,
    visibility_after: HistoryVisibility | None = None,
    membership_after: str | None = None,
) -> bool:
    """Whether a user may see an event.

    `visibility` and `membership` (None for no member event) are of the state before the event. `joined_since` says
    whether the user joined at any point after it, left again or not; a user who is joined now and was not then did.

    Two kinds of events may be seen if either the state before or the state after allows it: those that set the
    history visibility (give `visibility_after`), and the user's own membership (give `membership_after`).
    """
    return _allows(visibility, membership, joined_since) or (
        (visibility_after is not None or membership_after is not None)
        and _allows(visibility_after or visibility, membership_after or membership, joined_since)
    )


def is_visible_to_strangers(visibility: HistoryVisibility) -> bool:
    """Whether anybody may see it: users and guests who never were in the room, and servers that are not in it."""
    return visibility == "world_readable"


def _allows(visibility: HistoryVisibility, membership: str | None, joined_since: bool) -> bool:
    return (
        visibility == "world_readable"
        or membership == "join"
        or (visibility == "shared" and joined_since)
        or (visibility == "invited" and membership == "invite")
    )


# Servers


def is_visible_to_server(
    visibility: HistoryVisibility,
    memberships: Collection[str],
    *,
    joined_since: bool,
    visibility_after: HistoryVisibility | None = None,
    memberships_after: Collection[str] = (),
) -> bool:
    """Whether a server may see an event: whether one of its users may.

    `memberships` are those of the server's users before the event, in any order and without repetition if that is
    easier; `memberships_after` are given for member events of its users. `joined_since` says whether any of them
    joined after the event. A server that may not see an event can still be given its redacted form.
    """
    either: set[str | None] = {*memberships, *memberships_after} or {None}
    return any(
        is_visible(visibility, membership, joined_since=joined_since, visibility_after=visibility_after)
        for membership in either
    )


# Guests


def guests_may_join(content: Mapping[str, Any] | None) -> bool:
    """What the content of an `m.room.guest_access` event means; None is a room without one.

    https://spec.matrix.org/v1.19/client-server-api/#mroomguest_access
    """
    return content is not None and content.get("guest_access") == "can_join"


# Ignored users


def ignored_users(content: Mapping[str, Any] | None, user_id: str) -> frozenset[str]:
    """Whom the owner of this `m.ignored_user_list` ignores; nobody can ignore themselves."""
    ignored = None if content is None else content.get("ignored_users")
    return frozenset(ignored) - {user_id} if isinstance(ignored, Mapping) else frozenset()


def is_ignored(ignored: frozenset[str], sender: str, *, is_state: bool, is_invite: bool = False) -> bool:
    """Whether an event is kept from whoever ignores these users; `is_invite` is an invitation of that very user.

    State is shown whoever sent it, since a room must look the same to all, except for invitations.
    """
    return sender in ignored and (is_invite or not is_state)
