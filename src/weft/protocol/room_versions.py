"""Every room version, each as its predecessor with just what changed.

A `RoomVersion` is a frozen bundle of rules. Algorithms receive these rules and never look at the
identifier, so that a new version is one more value here.

Rules: https://spec.matrix.org/v1.19/rooms/
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

from weft.protocol.errors import UnsupportedRoomVersion


class EventIdFormat(Enum):
    """How an event gets its id."""

    SERVER_ASSIGNED = "$localpart:domain, part of the event"
    BASE64 = "$ and the reference hash in base64"
    URL_SAFE_BASE64 = "$ and the reference hash in URL-safe base64"


class StateResolution(Enum):
    V1 = "1"
    V2 = "2"
    V2_1 = "2.1"


@dataclass(frozen=True, slots=True, kw_only=True)
class EventFormat:
    """What an event of this version looks like on the wire."""

    event_id: EventIdFormat
    #: `prev_events` and `auth_events` are pairs of id and hashes (versions 1 and 2) instead of ids.
    references_are_pairs: bool
    #: Integers outside ±(2^53-1), and floats, are refused.
    #: https://spec.matrix.org/v1.19/rooms/v6/#canonical-json
    strict_canonical_json: bool
    #: The room id is the create event's id with `!` for `$`; the create event has no `room_id`,
    #: and is in nobody's `auth_events`.
    room_id_is_create_hash: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RedactionRules:
    """What survives a redaction. https://spec.matrix.org/v1.19/client-server-api/#redactions"""

    #: Top-level `origin`, `membership` and `prev_state` survive.
    keep_legacy_top_level: bool
    keep_aliases: bool
    keep_join_rules_allow: bool
    keep_join_authorised_via: bool
    #: All of the create event's content survives.
    keep_all_of_create: bool
    keep_power_levels_invite: bool
    #: `signed` of `third_party_invite` in member events survives.
    keep_third_party_invite_signed: bool
    #: `redacts` is in the content of `m.room.redaction` (and survives there), not at the top level.
    redacts_in_content: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthRules:
    """The switches of the authorisation rules. https://spec.matrix.org/v1.19/rooms/v12/#authorization-rules"""

    #: `m.room.aliases` has a rule of its own.
    special_aliases: bool
    #: `m.room.redaction` has a rule of its own, on the domain of the event's id (versions 1 and 2).
    redactions_by_domain: bool
    #: Changes to `notifications` in power levels are limited as those to `events` are.
    check_notifications_levels: bool
    knock: bool
    restricted: bool
    knock_restricted: bool
    #: Power levels are integers; numbers in strings are refused.
    integer_power_levels: bool
    #: The create event must carry `content.creator`, and that user is the creator; otherwise its sender is.
    creator_in_content: bool
    #: Creators (the sender and `additional_creators`) stand above every power level.
    privileged_creators: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomVersion:
    identifier: str
    #: What `/capabilities` says of it.
    stable: bool
    format: EventFormat
    redaction: RedactionRules
    auth: AuthRules
    state_resolution: StateResolution
    #: A signing key must have been valid at the event's time.
    #: https://spec.matrix.org/v1.19/rooms/v5/#signing-key-validity-period
    enforce_key_validity: bool
    #: Extensible events (MSC1767) replace `m.room.message`; push rules know it as `m.extensible_events`.
    extensible_events: bool = False

    @property
    def push_features(self) -> frozenset[str]:
        """What `room_version_supports` conditions are true of this version (MSC3931)."""
        if not self.extensible_events:
            return frozenset()
        return frozenset({"m.extensible_events", "org.matrix.msc3932.extensible_events"})


V1 = RoomVersion(
    identifier="1",
    stable=True,
    format=EventFormat(
        event_id=EventIdFormat.SERVER_ASSIGNED,
        references_are_pairs=True,
        strict_canonical_json=False,
        room_id_is_create_hash=False,
    ),
    redaction=RedactionRules(
        keep_legacy_top_level=True,
        keep_aliases=True,
        keep_join_rules_allow=False,
        keep_join_authorised_via=False,
        keep_all_of_create=False,
        keep_power_levels_invite=False,
        keep_third_party_invite_signed=False,
        redacts_in_content=False,
    ),
    auth=AuthRules(
        special_aliases=True,
        redactions_by_domain=True,
        check_notifications_levels=False,
        knock=False,
        restricted=False,
        knock_restricted=False,
        integer_power_levels=False,
        creator_in_content=True,
        privileged_creators=False,
    ),
    state_resolution=StateResolution.V1,
    enforce_key_validity=False,
)
V2 = replace(V1, identifier="2", state_resolution=StateResolution.V2)
V3 = replace(
    V2,
    identifier="3",
    format=replace(V2.format, event_id=EventIdFormat.BASE64, references_are_pairs=False),
    auth=replace(V2.auth, redactions_by_domain=False),
)
V4 = replace(V3, identifier="4", format=replace(V3.format, event_id=EventIdFormat.URL_SAFE_BASE64))
V5 = replace(V4, identifier="5", enforce_key_validity=True)
V6 = replace(
    V5,
    identifier="6",
    format=replace(V5.format, strict_canonical_json=True),
    redaction=replace(V5.redaction, keep_aliases=False),
    auth=replace(V5.auth, special_aliases=False, check_notifications_levels=True),
)
V7 = replace(V6, identifier="7", auth=replace(V6.auth, knock=True))
V8 = replace(
    V7,
    identifier="8",
    redaction=replace(V7.redaction, keep_join_rules_allow=True),
    auth=replace(V7.auth, restricted=True),
)
V9 = replace(V8, identifier="9", redaction=replace(V8.redaction, keep_join_authorised_via=True))
V10 = replace(
    V9,
    identifier="10",
    auth=replace(V9.auth, knock_restricted=True, integer_power_levels=True),
)
V11 = replace(
    V10,
    identifier="11",
    redaction=replace(
        V10.redaction,
        keep_legacy_top_level=False,
        keep_all_of_create=True,
        keep_power_levels_invite=True,
        keep_third_party_invite_signed=True,
        redacts_in_content=True,
    ),
    auth=replace(V10.auth, creator_in_content=False),
)
V12 = replace(
    V11,
    identifier="12",
    format=replace(V11.format, room_id_is_create_hash=True),
    auth=replace(V11.auth, privileged_creators=True),
    state_resolution=StateResolution.V2_1,
)
#: The MIMI framework draft's version: version 10 with extensible events.
I_1 = replace(V10, identifier="I.1", stable=False, extensible_events=True)
#: The same under the name that MSC1767 gave it for tests between servers.
MSC1767_10 = replace(I_1, identifier="org.matrix.msc1767.10")

ROOM_VERSIONS: dict[str, RoomVersion] = {
    version.identifier: version for version in (V1, V2, V3, V4, V5, V6, V7, V8, V9, V10, V11, V12, I_1, MSC1767_10)
}
DEFAULT_ROOM_VERSION = V12


def room_version(identifier: str) -> RoomVersion:
    """The rules of a version. Raises `UnsupportedRoomVersion` for one that Weft doesn't know."""
    try:
        return ROOM_VERSIONS[identifier]
    except KeyError:
        raise UnsupportedRoomVersion(f"This server does not know room version {identifier!r}.") from None
