"""Calls."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from weft.settings.values import Doc, Duration, Section


class Voip(Section, frozen=True, kw_only=True):
    """Calls: relays for those between two, and a LiveKit server for those of many."""

    turn_uris: Annotated[
        tuple[str, ...],
        Doc(
            text="The relays (TURN servers) that clients are told of; without any, calls work only where the two "
            "reach each other directly.",
            example='["turn:turn.example.org:3478?transport=udp", "turns:turn.example.org:5349"]',
        ),
    ] = ()
    turn_secret_file: Annotated[
        Path | None,
        Doc(
            text="The file of the secret that the relay shares (coturn's static-auth-secret): each user then gets "
            "a password of their own that is good for turn_lifetime.",
            example='"turn.secret"',
        ),
    ] = None
    turn_username: Annotated[str, Doc(text="The name at a relay that has one password for everybody.")] = ""
    turn_password_file: Annotated[
        Path | None,
        Doc(
            text="The file of that password.",
            example='"turn.password"',
            risk="Every user learns it, and can use the relay for anything until you change it.",
        ),
    ] = None
    turn_lifetime: Annotated[Duration, Doc(text="For how long a password of one's own is good.")] = Duration.parse("1d")
    turn_guests: Annotated[bool, Doc(text="Guests may use the relays too.")] = False
    livekit_url: Annotated[
        str,
        Doc(
            text="The LiveKit server that carries calls of many (Element Call). Its auto_create should be off: rooms "
            "are made for users of this server, and others join.",
            example='"wss://livekit.example.org"',
        ),
    ] = ""
    livekit_key: Annotated[str, Doc(text="The name of the key of the LiveKit server.", example='"weft"')] = ""
    livekit_secret_file: Annotated[
        Path | None, Doc(text="The file of that key's secret.", example='"livekit.secret"')
    ] = None
    livekit_service_url: Annotated[
        str | None,
        Doc(
            text="Where clients get tokens for the LiveKit server, if not from this server: the address of a "
            "separate lk-jwt-service.",
            example='"https://rtc.example.org/livekit/jwt"',
        ),
    ] = None
