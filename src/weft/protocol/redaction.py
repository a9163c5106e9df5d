"""What is left of an event when it has been redacted, and who may redact what.

Rules: https://spec.matrix.org/v1.19/client-server-api/#redactions
       https://spec.matrix.org/v1.19/rooms/v11/#redactions
       https://spec.matrix.org/v1.19/rooms/v11/#handling-redactions
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from weft.protocol.identifiers import domain_of

if TYPE_CHECKING:
    from weft.protocol.event import Event
    from weft.protocol.power_levels import PowerLevels
    from weft.protocol.room_versions import RedactionRules, RoomVersion

_TOP_LEVEL: Final = frozenset(
    {
        "event_id",
        "type",
        "room_id",
        "sender",
        "state_key",
        "content",
        "hashes",
        "signatures",
        "depth",
        "prev_events",
        "auth_events",
        "origin_server_ts",
    }
)
_LEGACY_TOP_LEVEL: Final = frozenset({"origin", "membership", "prev_state"})
_POWER_LEVELS: Final = (
    "ban",
    "events",
    "events_default",
    "kick",
    "redact",
    "state_default",
    "users",
    "users_default",
)


class _Kept(NamedTuple):
    top_level: frozenset[str]
    #: Type to the keys of its content that stay; None for all of them.
    content: dict[str, tuple[str, ...] | None]
    third_party_invite_signed: bool


def redact(pdu: dict[str, Any], version: RoomVersion) -> dict[str, Any]:
    """A new PDU with only what the room version protects; `pdu` itself is left alone, and parts of it are shared."""
    kept = _kept(version.redaction)
    top_level = kept.top_level
    redacted = {key: value for key, value in pdu.items() if key in top_level}
    redacted["content"] = _redact_content(pdu, kept)
    return redacted


def may_redact(redaction: Event, target: Event, levels: PowerLevels) -> bool:
    """Whether `redaction`, an event that was accepted, takes effect on `target`.

    `levels` are those that the redaction event was authorised by. In room versions 1 and 2 the same conditions
    are authorisation rule 11, so that an accepted redaction always passes here once its target is known.
    """
    if redaction.redacts != target.event_id or redaction.room_id != target.room_id:
        return False
    if levels.user(redaction.sender) >= levels.redact:
        return True
    if redaction.version.auth.redactions_by_domain:
        return domain_of(redaction.event_id) == domain_of(target.event_id)
    return redaction.sender_domain == target.sender_domain


def _redact_content(pdu: dict[str, Any], kept: _Kept) -> dict[str, Any]:
    content: dict[str, Any] = pdu["content"]
    event_type = pdu["type"]
    if event_type not in kept.content:
        return {}
    keys = kept.content[event_type]
    if keys is None:
        return content
    redacted = {key: content[key] for key in keys if key in content}
    if event_type == "m.room.member" and kept.third_party_invite_signed:
        invite = content.get("third_party_invite")
        if type(invite) is dict:
            redacted["third_party_invite"] = {"signed": invite["signed"]} if "signed" in invite else {}
    return redacted


@lru_cache(maxsize=32)
def _kept(rules: RedactionRules) -> _Kept:
    content: dict[str, tuple[str, ...] | None] = {
        "m.room.member": ("membership", *(["join_authorised_via_users_server"] * rules.keep_join_authorised_via)),
        "m.room.create": None if rules.keep_all_of_create else ("creator",),
        "m.room.join_rules": ("join_rule", *(["allow"] * rules.keep_join_rules_allow)),
        "m.room.power_levels": (*_POWER_LEVELS, *(["invite"] * rules.keep_power_levels_invite)),
        "m.room.history_visibility": ("history_visibility",),
    }
    if rules.keep_aliases:
        content["m.room.aliases"] = ("aliases",)
    if rules.redacts_in_content:
        content["m.room.redaction"] = ("redacts",)
    top_level = _TOP_LEVEL | _LEGACY_TOP_LEVEL if rules.keep_legacy_top_level else _TOP_LEVEL
    return _Kept(top_level, content, rules.keep_third_party_invite_signed)
