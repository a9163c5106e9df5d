"""Where two devices meet of which one signs the other in, by a QR code.

https://github.com/matrix-org/matrix-spec-proposals/pull/4388
"""

from __future__ import annotations

from weft.modules.module import Module
from weft.modules.rendezvous.client_api import RendezvousApi
from weft.modules.rendezvous.service import Rendezvous
from weft.rooms.engine import Engine
from weft.settings import Settings

__all__ = ["module"]


def module(engine: Engine, settings: Settings) -> Module:
    """Who can't log in by the browser can't be signed in by another device."""
    creators = settings.oauth.qr_codes if settings.oauth_base is not None else "nobody"
    rendezvous = Rendezvous(engine, creators)
    return Module(
        name="rendezvous",
        routes=RendezvousApi(rendezvous, settings.oauth_base or "").routes(),
        tasks=rendezvous.tasks,
    )
