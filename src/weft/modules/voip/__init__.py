"""Calls. https://spec.matrix.org/v1.19/client-server-api/#voice-over-ip"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from weft.federation.asking import Asking
from weft.http.addresses import AddressGuard
from weft.http.client import HttpClient
from weft.modules.module import Module
from weft.modules.openid import OpenIdService
from weft.modules.voip.client_api import VoipApi
from weft.modules.voip.livekit import LiveKit
from weft.modules.voip.turn import Turn
from weft.rooms.engine import Engine
from weft.settings import Settings

__all__ = ["module"]


def module(
    engine: Engine, openid: OpenIdService, asking: Asking, settings: Settings, read_secret: Callable[[Path], str]
) -> Module:
    """`read_secret` reads the one line of a secret's file, or says what is wrong with it."""
    # The operator has named the LiveKit server, which may well be in their own network.
    http = HttpClient(guard=AddressGuard(deny=()))
    file = settings.voip.livekit_secret_file
    livekit = LiveKit(engine, openid, asking, settings.voip, read_secret(file) if file else "", http)
    api = VoipApi(
        Turn(settings.voip, read_secret, engine.outside.now_ms),
        livekit,
        service_url=settings.livekit_service,
        guests=settings.voip.turn_guests,
    )
    return Module(name="voip", routes=api.routes(), stops=[http.close])
