"""The authorisation rules: may this event be in the room, given the state before it?

Three questions, asked in this order:

* `auth_event_keys`: which parts of the state does an event lean on? (Its `auth_events` name them.)
* `check_auth_events`: are the events that it names the right ones?
* `authorise`: does a given state allow the event? Asked of its auth events, of the state before it, and of
  the room's current state.

Nothing here looks up an event, and nothing checks the signatures of servers: see `event.verify`.

Rules: https://spec.matrix.org/v1.19/server-server-api/#authorization-rules
       https://spec.matrix.org/v1.19/rooms/v12/#authorization-rules (and the same of every other version)
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from typing import Any, Final

from weft.protocol.auth_rules import CREATE_KEY, JOIN_RULES_KEY, POWER_LEVELS_KEY, State, violation
from weft.protocol.event import Event, StateKey
from weft.protocol.identifiers import domain_of, is_valid_user_id
from weft.protocol.member_auth import authorise_member
from weft.protocol.power_level_auth import authorise_power_levels
from weft.protocol.power_levels import PowerLevels
from weft.protocol.room_versions import ROOM_VERSIONS, RoomVersion

__all__ = [
    "CREATE_KEY",
    "JOIN_RULES_KEY",
    "POWER_LEVELS_KEY",
    "State",
    "auth_event_keys",
    "authorise",
    "check_auth_events",
]

_JOIN_RULES_MATTER: Final = frozenset({"join", "invite", "knock"})


def auth_event_keys(
    event_type: str, state_key: str | None, sender: str, content: dict[str, Any], version: RoomVersion
) -> list[StateKey]:
    """The places of the state that belong in the event's `auth_events`, if anything is there. No place comes twice.

    https://spec.matrix.org/v1.19/server-server-api/#auth-events-selection
    """
    if event_type == "m.room.create":
        return []
    keys = [] if version.format.room_id_is_create_hash else [CREATE_KEY]
    keys.append(POWER_LEVELS_KEY)
    keys.append(("m.room.member", sender))
    if event_type == "m.room.member" and state_key is not None:
        for key in _member_keys(state_key, content, version):
            if key not in keys:
                keys.append(key)
    return keys


def check_auth_events(
    event: Event,
    auth_events: Sequence[Event],
    create: Event | None,
    rejected: Container[str] = frozenset(),
) -> None:
    """The rules about the events that `event.auth_events` names; these come in `auth_events`, all of them.

    `rejected` holds the ids of those events that were rejected. `create` is the room's create event, or None if
    we have none; it only counts in room versions whose events don't name it. Raises `AuthRuleViolation`.
    """
    if event.type == "m.room.create":
        return
    version = event.version
    if version.format.room_id_is_create_hash:
        _check_room(event, create, rejected)
    selected = auth_event_keys(event.type, event.state_key, event.sender, event.content, version)
    seen: set[tuple[str, str | None]] = set()
    for auth_event in auth_events:
        key = (auth_event.type, auth_event.state_key)
        if key in seen:
            raise violation(version, "auth_events.duplicate", f"The auth events name two of {_place(key)}.")
        seen.add(key)
    if len(set(event.auth_events)) != len(event.auth_events):
        raise violation(version, "auth_events.duplicate", "The auth events name one event twice.")
    for auth_event in auth_events:
        key = (auth_event.type, auth_event.state_key)
        if key not in selected:
            raise violation(version, "auth_events.not_selected", f"The auth events may not name {_place(key)}.")
    for auth_event in auth_events:
        if auth_event.event_id in rejected:
            raise violation(version, "auth_events.rejected", f"The auth event {auth_event.event_id} was rejected.")
    if CREATE_KEY not in seen and not version.format.room_id_is_create_hash:
        raise violation(version, "auth_events.create", "The auth events do not name the create event.")
    for auth_event in auth_events:
        if auth_event.room_id != event.room_id:
            raise violation(
                version, "auth_events.other_room", f"The auth event {auth_event.event_id} is of another room."
            )


def authorise(event: Event, state: State) -> None:
    """Raises `AuthRuleViolation` unless `state` allows the event. All rules but those of `check_auth_events`."""
    version = event.version
    event_type = event.type
    if event_type == "m.room.create":
        _authorise_create(event)
        return
    create = state(CREATE_KEY)
    if version.format.room_id_is_create_hash:
        create = _check_room(event, create)
    elif create is None:
        raise violation(version, "auth_events.create", "The room has no create event.")
    if create.content.get("m.federate") is False and event.sender_domain != create.sender_domain:
        raise violation(version, "federate", "The room is closed to users of other servers than its creator's.")
    if event_type == "m.room.member":
        authorise_member(event, create, state)
        return
    if event_type == "m.room.aliases" and version.auth.special_aliases:
        _authorise_aliases(event)
        return
    sender = state(("m.room.member", event.sender))
    if sender is None or sender.membership != "join":
        raise violation(version, "sender", f"{event.sender} is not joined to the room.")
    current = state(POWER_LEVELS_KEY)
    levels = PowerLevels.of(current, create, version)
    _authorise_by_level(event, levels)
    if event_type == "m.room.power_levels":
        authorise_power_levels(event, create, levels, is_first=current is None)


def _authorise_by_level(event: Event, levels: PowerLevels) -> None:
    """What a joined member may do."""
    version = event.version
    level = levels.user(event.sender)
    if event.type == "m.room.third_party_invite":
        if level < levels.invite:
            raise violation(version, "third_party_invite.level", _needs("Inviting", levels.invite, event, level))
        return
    required = levels.event(event.type, event.state_key is not None)
    if level < required:
        raise violation(version, "level", _needs(f"Sending {event.type}", required, event, level))
    if event.state_key is not None and event.state_key[:1] == "@" and event.state_key != event.sender:
        raise violation(version, "state_key", f"State for {event.state_key} can be set by that user only.")
    if event.type == "m.room.redaction" and version.auth.redactions_by_domain:
        _authorise_redaction(event, levels)


def _authorise_create(event: Event) -> None:
    version = event.version
    if event.prev_events:
        raise violation(version, "create.prev_events", "A create event comes first: it has no prev_events.")
    if version.format.room_id_is_create_hash:
        if "room_id" in event.pdu:
            raise violation(version, "create.room_id", "The create event names a room_id instead of being it.")
    elif domain_of(event.room_id) != event.sender_domain:
        raise violation(version, "create.room_id", "The room id is not of the sender's domain.")
    named = event.content.get("room_version", "1")
    if type(named) is not str or named not in ROOM_VERSIONS:
        raise violation(version, "create.room_version", "The create event's room version is not known.")
    if version.auth.creator_in_content and "creator" not in event.content:
        raise violation(version, "create.creator", "The create event does not name the creator.")
    if version.auth.privileged_creators and not _are_user_ids(event.content.get("additional_creators", [])):
        raise violation(version, "create.additional_creators", "The additional_creators are not a list of user ids.")


def _check_room(event: Event, create: Event | None, rejected: Container[str] = frozenset()) -> Event:
    if create is None or create.event_id[1:] != event.room_id[1:]:
        raise violation(event.version, "room", "The room id is not that of a known create event.")
    if create.type != "m.room.create" or create.event_id in rejected:
        raise violation(event.version, "room", "The event that the room id names did not create a room.")
    return create


def _authorise_aliases(event: Event) -> None:
    if event.state_key is None:
        raise violation(event.version, "aliases.state_key", "An m.room.aliases event must be a state event.")
    if event.state_key != event.sender_domain:
        raise violation(event.version, "aliases.domain", "A server's aliases can be set by its own users only.")


def _authorise_redaction(event: Event, levels: PowerLevels) -> None:
    level = levels.user(event.sender)
    if level >= levels.redact:
        return
    if event.redacts is None:
        # What it redacts is gone where it was redacted itself; by then it has been judged by those who saw it whole.
        return
    if domain_of(event.redacts) != domain_of(event.event_id):
        needs = _needs("Redacting events of other servers", levels.redact, event, level)
        raise violation(event.version, "redaction.otherwise", needs)


def _member_keys(target: str, content: dict[str, Any], version: RoomVersion) -> list[StateKey]:
    """What the membership of `target` leans on beside the sender's own standing."""
    keys: list[StateKey] = [("m.room.member", target)]
    membership = content.get("membership")
    if type(membership) is not str:
        return keys
    if membership in _JOIN_RULES_MATTER:
        keys.append(JOIN_RULES_KEY)
    if membership == "invite":
        token = _third_party_token(content)
        if token is not None:
            keys.append(("m.room.third_party_invite", token))
    if membership == "join" and version.auth.restricted:
        authoriser = content.get("join_authorised_via_users_server")
        if type(authoriser) is str:
            keys.append(("m.room.member", authoriser))
    return keys


def _third_party_token(content: dict[str, Any]) -> str | None:
    invite = content.get("third_party_invite")
    signed = invite.get("signed") if type(invite) is dict else None
    token = signed.get("token") if type(signed) is dict else None
    return token if type(token) is str else None


def _are_user_ids(value: object) -> bool:
    return type(value) is list and all(type(user) is str and is_valid_user_id(user) for user in value)


def _needs(what: str, required: int, event: Event, level: int) -> str:
    return f"{what} needs power level {required}; {event.sender} has {level}."


def _place(key: tuple[str, str | None]) -> str:
    event_type, state_key = key
    return event_type if not state_key else f"{event_type} of {state_key}"
