"""How often something may be done."""

from __future__ import annotations

from typing import Annotated

import msgspec

from weft.protocol.api.rate_limits import RATE_LIMITS
from weft.settings.values import Count, Doc, Section


class Limit(Section, frozen=True, kw_only=True):
    """`per_second` on average, and up to `burst` at once."""

    per_second: Annotated[float, msgspec.Meta(gt=0), Doc(text="How many a second, on average.")]
    burst: Annotated[Count, Doc(text="How many at once, when there were none for a while.")]


def _why(name: str) -> Doc:
    row = RATE_LIMITS[name]
    return Doc(text=f"{row.why} One for each: {row.key.value}.")


def _default(name: str) -> Limit:
    row = RATE_LIMITS[name]
    return Limit(per_second=row.per_second, burst=row.burst)


class RateLimits(Section, frozen=True, kw_only=True):
    """How often something may be done before the answer is 429. What each limit protects is said where the limits are
    declared, `weft.protocol.api.rate_limits`."""

    enabled: Annotated[
        bool,
        Doc(
            text="Whether there are limits at all.",
            risk="Without limits one client can take the whole server, and passwords can be tried without end. "
            "Off is for tests and measurements.",
        ),
    ] = True
    login: Annotated[Limit, _why("login")] = _default("login")
    registration: Annotated[Limit, _why("registration")] = _default("registration")
    registration_token: Annotated[Limit, _why("registration_token")] = _default("registration_token")
    validation: Annotated[Limit, _why("validation")] = _default("validation")
    refresh: Annotated[Limit, _why("refresh")] = _default("refresh")
    oauth_client: Annotated[Limit, _why("oauth_client")] = _default("oauth_client")
    rendezvous: Annotated[Limit, _why("rendezvous")] = _default("rendezvous")
    user_code: Annotated[Limit, _why("user_code")] = _default("user_code")
    account: Annotated[Limit, _why("account")] = _default("account")
    message: Annotated[Limit, _why("message")] = _default("message")
    room_creation: Annotated[Limit, _why("room_creation")] = _default("room_creation")
    join: Annotated[Limit, _why("join")] = _default("join")
    invite: Annotated[Limit, _why("invite")] = _default("invite")
    moderation: Annotated[Limit, _why("moderation")] = _default("moderation")
    directory: Annotated[Limit, _why("directory")] = _default("directory")
    search: Annotated[Limit, _why("search")] = _default("search")
    user_directory: Annotated[Limit, _why("user_directory")] = _default("user_directory")
    history: Annotated[Limit, _why("history")] = _default("history")
    lookup: Annotated[Limit, _why("lookup")] = _default("lookup")
    profile: Annotated[Limit, _why("profile")] = _default("profile")
    presence: Annotated[Limit, _why("presence")] = _default("presence")
    typing: Annotated[Limit, _why("typing")] = _default("typing")
    receipt: Annotated[Limit, _why("receipt")] = _default("receipt")
    to_device: Annotated[Limit, _why("to_device")] = _default("to_device")
    settings: Annotated[Limit, _why("settings")] = _default("settings")
    report: Annotated[Limit, _why("report")] = _default("report")
    upload: Annotated[Limit, _why("upload")] = _default("upload")
    download: Annotated[Limit, _why("download")] = _default("download")
    preview: Annotated[Limit, _why("preview")] = _default("preview")
    federation: Annotated[Limit, _why("federation")] = _default("federation")
    server_keys: Annotated[Limit, _why("server_keys")] = _default("server_keys")

    def table(self) -> dict[str, Limit]:
        """Every limit by its name."""
        return {name: getattr(self, name) for name in RATE_LIMITS}
