"""The authorisation rules for `m.room.member`: who may join, invite, leave, kick, ban and knock.

Rules: https://spec.matrix.org/v1.19/rooms/v12/#authorization-rules (rule 5; rule 4 or 5 in other versions)
       https://spec.matrix.org/v1.19/server-server-api/#third-party-invites
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from weft.protocol import canonical_json
from weft.protocol.auth_rules import JOIN_RULES_KEY, POWER_LEVELS_KEY, State, violation
from weft.protocol.errors import AuthRuleViolation, InvalidParam
from weft.protocol.event import Event
from weft.protocol.identifiers import is_valid_user_id
from weft.protocol.power_levels import PowerLevels
from weft.protocol.room_versions import RoomVersion
from weft.protocol.signatures import VerifyKey, decode_base64, signable

_NO_CONTENT: Final[dict[str, Any]] = {}
#: Identity servers give two keys and one signature; more than this many of either are not tried.
_MOST_KEYS: Final = 10
_MOST_SIGNATURES: Final = 10


class ThirdPartyKey(NamedTuple):
    """A key that a room's `m.room.third_party_invite` names; whoever has `validity_url` says whether it is good."""

    text: str
    validity_url: str | None
    key: VerifyKey


def authorise_member(event: Event, create: Event, state: State) -> None:
    """Raises `AuthRuleViolation` unless `state`, of the room of `create`, allows this change of membership.

    That the server of `join_authorised_via_users_server` has signed is for `event.verify` to see.
    """
    version = event.version
    target = event.state_key
    if target is None or not is_valid_user_id(target) or "membership" not in event.content:
        raise violation(version, "member.shape", "A membership event needs a user id as state key, and a membership.")
    if version.auth.restricted:
        _check_authoriser(event)
    match event.membership:
        case "join":
            _authorise_join(event, target, create, state)
        case "invite":
            _authorise_invite(event, target, create, state)
        case "leave":
            _authorise_leave(event, target, create, state)
        case "ban":
            _authorise_ban(event, target, create, state)
        case "knock" if version.auth.knock:
            _authorise_knock(event, target, state)
        case _:
            raise violation(version, "member.unknown", "The membership is not one that this room version knows.")


def _check_authoriser(event: Event) -> None:
    if "join_authorised_via_users_server" not in event.content:
        return
    authoriser = event.content["join_authorised_via_users_server"]
    if type(authoriser) is not str or not is_valid_user_id(authoriser):
        message = "join_authorised_via_users_server is not a user id, so that its server can't have signed."
        raise violation(event.version, "member.authorised_via.signature", message)


# Joining


def _authorise_join(event: Event, target: str, create: Event, state: State) -> None:
    version = event.version
    if event.prev_events == (create.event_id,) and target == _creator(create):
        return
    if event.sender != target:
        raise violation(version, "member.join.sender", "Nobody can join for somebody else.")
    membership = _membership(state, target)
    if membership == "ban":
        raise violation(version, "member.join.banned", f"{target} is banned from the room.")
    join_rule = _join_rule(state)
    if join_rule == "public":
        return
    if join_rule in _restricted_rules(version):
        if membership not in ("join", "invite"):
            _check_authorised_join(event, create, state)
        return
    is_by_invite = join_rule == "invite" or (join_rule == "knock" and version.auth.knock)
    if not is_by_invite or membership not in ("join", "invite"):
        raise violation(version, "member.join.otherwise", f"{target} is not invited, and the room is not public.")


def _check_authorised_join(event: Event, create: Event, state: State) -> None:
    authoriser = event.content.get("join_authorised_via_users_server")
    if authoriser is None:
        message = f"{event.sender} is not invited, and no member's server has vouched for the join."
        raise violation(event.version, "member.join.restricted.authoriser", message)
    levels = _levels(event, create, state)
    if _membership(state, authoriser) != "join" or levels.user(authoriser) < levels.invite:
        message = f"{authoriser}, in whose name the join is authorised, may not invite to the room."
        raise violation(event.version, "member.join.restricted.authoriser", message)


def _creator(create: Event) -> object:
    return create.content.get("creator") if create.version.auth.creator_in_content else create.sender


def _restricted_rules(version: RoomVersion) -> tuple[str, ...]:
    if version.auth.knock_restricted:
        return ("restricted", "knock_restricted")
    return ("restricted",) if version.auth.restricted else ()


# Inviting


def _authorise_invite(event: Event, target: str, create: Event, state: State) -> None:
    version = event.version
    if "third_party_invite" in event.content:
        _authorise_third_party_invite(event, target, state)
        return
    if _membership(state, event.sender) != "join":
        raise _not_joined(event, "member.invite.sender")
    membership = _membership(state, target)
    if membership in ("join", "ban"):
        standing = "in the room already" if membership == "join" else "banned from the room"
        raise violation(version, "member.invite.target", f"{target} is {standing}.")
    levels = _levels(event, create, state)
    if levels.user(event.sender) < levels.invite:
        raise _too_low(event, "member.invite.otherwise", "Inviting", levels.invite, levels)


def _authorise_third_party_invite(event: Event, target: str, state: State) -> None:
    def refused(part: str, message: str) -> AuthRuleViolation:
        return violation(event.version, f"member.invite.third_party.{part}", message)

    if _membership(state, target) == "ban":
        raise refused("banned", f"{target} is banned from the room.")
    invite = event.content["third_party_invite"]
    signed = invite.get("signed") if type(invite) is dict else None
    if type(signed) is not dict:
        raise refused("signed", "The third party invite has nothing signed.")
    mxid, token = signed.get("mxid"), signed.get("token")
    if type(mxid) is not str or type(token) is not str:
        raise refused("fields", "What is signed in the third party invite names no user or no token.")
    if mxid != target:
        raise refused("mxid", f"The third party invite is for {mxid}, not for {target}.")
    offer = state(("m.room.third_party_invite", token))
    if offer is None:
        raise refused("token", "The room has no third party invite with this token.")
    if offer.sender != event.sender:
        raise refused("sender", "The third party invite was sent by another user.")
    if not keys_that_signed(signed, offer.content, event.version):
        raise refused("otherwise", "The third party invite is not signed by a key that the room's invite names.")


def keys_that_signed(signed: dict[str, Any], offer: dict[str, Any], version: RoomVersion) -> list[ThirdPartyKey]:
    """Those of the keys of an `m.room.third_party_invite` by which something is signed; `offer` is its content."""
    encode = canonical_json.encode_checked if version.format.strict_canonical_json else canonical_json.encode_lax
    message = signable(signed, encode=encode)
    signatures = _signatures(signed)[:_MOST_SIGNATURES]
    return [one for one in _public_keys(offer) if any(one.key.verifies(message, signature) for signature in signatures)]


def _signatures(signed: dict[str, Any]) -> list[bytes]:
    """All Ed25519 signatures, whoever they are said to be of: what counts is the key."""
    by_server = signed.get("signatures")
    texts = [
        text
        for by_key in (by_server.values() if type(by_server) is dict else ())
        for key_id, text in (by_key.items() if type(by_key) is dict else ())
        if key_id.startswith("ed25519:") and type(text) is str
    ]
    return list(_decoded(texts))


def _decoded(texts: list[str]) -> Iterator[bytes]:
    for text in texts:
        try:
            yield decode_base64(text)
        except ValueError:
            continue


def _public_keys(offer: dict[str, Any]) -> list[ThirdPartyKey]:
    listed = offer.get("public_keys")
    entries = listed[: _MOST_KEYS - 1] if type(listed) is list else []
    keys = []
    for entry in (offer, *entries):
        if type(entry) is not dict:
            continue
        text, url = entry.get("public_key"), entry.get("key_validity_url")
        if type(text) is str:
            try:
                key = VerifyKey.from_base64("ed25519:0", text)
            except InvalidParam:
                continue
            keys.append(ThirdPartyKey(text, url if type(url) is str else None, key))
    return keys


# Leaving, kicking, banning, knocking


def _authorise_leave(event: Event, target: str, create: Event, state: State) -> None:
    version = event.version
    membership = _membership(state, target)
    if event.sender == target:
        if membership not in ("invite", "join") and not (membership == "knock" and version.auth.knock):
            raise violation(version, "member.leave.own", f"{target} is not in the room, nor about to be.")
        return
    if _membership(state, event.sender) != "join":
        raise _not_joined(event, "member.leave.sender")
    levels = _levels(event, create, state)
    level = levels.user(event.sender)
    if membership == "ban" and level < levels.ban:
        raise _too_low(event, "member.leave.unban", "Unbanning", levels.ban, levels)
    if level < levels.kick:
        raise _too_low(event, "member.leave.otherwise", "Removing a user", levels.kick, levels)
    if levels.user(target) >= level:
        raise _not_above(event, "member.leave.otherwise", target)


def _authorise_ban(event: Event, target: str, create: Event, state: State) -> None:
    if _membership(state, event.sender) != "join":
        raise _not_joined(event, "member.ban.sender")
    levels = _levels(event, create, state)
    level = levels.user(event.sender)
    if level < levels.ban:
        raise _too_low(event, "member.ban.otherwise", "Banning", levels.ban, levels)
    if levels.user(target) >= level:
        raise _not_above(event, "member.ban.otherwise", target)


def _authorise_knock(event: Event, target: str, state: State) -> None:
    version = event.version
    join_rule = _join_rule(state)
    if join_rule != "knock" and not (join_rule == "knock_restricted" and version.auth.knock_restricted):
        raise violation(version, "member.knock.join_rule", "The room does not let anybody knock.")
    if event.sender != target:
        raise violation(version, "member.knock.sender", "Nobody can knock for somebody else.")
    membership = _membership(state, target)
    if membership in ("ban", "invite", "join"):
        message = f"{target} can't knock: the present membership is {membership}."
        raise violation(version, "member.knock.otherwise", message)


# Reading the state


def _membership(state: State, user_id: str) -> str | None:
    member = state(("m.room.member", user_id))
    return None if member is None else member.membership


def _join_rule(state: State) -> object:
    """A room that says nothing about it is joined by invite."""
    event = state(JOIN_RULES_KEY)
    return (_NO_CONTENT if event is None else event.content).get("join_rule", "invite")


def _levels(event: Event, create: Event, state: State) -> PowerLevels:
    return PowerLevels.of(state(POWER_LEVELS_KEY), create, event.version)


# Saying no


def _not_joined(event: Event, rule: str) -> AuthRuleViolation:
    return violation(event.version, rule, f"{event.sender} is not joined to the room.")


def _too_low(event: Event, rule: str, what: str, required: int, levels: PowerLevels) -> AuthRuleViolation:
    message = f"{what} needs power level {required}; {event.sender} has {levels.user(event.sender)}."
    return violation(event.version, rule, message)


def _not_above(event: Event, rule: str, target: str) -> AuthRuleViolation:
    return violation(event.version, rule, f"The power level of {target} is not below that of {event.sender}.")
