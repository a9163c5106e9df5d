"""Logging in by the browser: what the OAuth 2.0 API is made of."""

from __future__ import annotations

from collections.abc import Callable

import orjson

from weft.federation.federation import Federation
from weft.modules import oauth, profile, single_sign_on
from weft.modules.module import Module
from weft.rooms.engine import Engine
from weft.server.config import read_secret
from weft.settings import Settings


def browser_logins(
    engine: Engine,
    settings: Settings,
    federation: Federation,
    people: oauth.People,
    profiles: profile.Profiles,
    propagation: profile.Propagation,
    *,
    limit: Callable[[str, str], None],
) -> list[Module]:
    """On the server's own pages, and with an account elsewhere.

    `limit` counts one use of a rate limit by somebody, and raises `LimitExceeded`.
    """

    async def name_of(user_id: str) -> str:
        return (await profiles.profile_of(user_id)).get("displayname", "")

    async def set_name(user_id: str, name: str) -> None:
        if name:
            await propagation.set_field(user_id, "displayname", orjson.dumps(name))
        else:
            await propagation.delete_field(user_id, "displayname")

    secure = (settings.server.public_url or "").startswith("https:")
    browsers = oauth.Browsers(engine, people.accounts, secure=secure)
    own_pages = oauth.module(
        engine,
        people,
        oauth.Names(name_of, set_name),
        base=settings.oauth_base,
        server_key=federation.own_keys.current[federation.own_keys.server_names[0]],
        limit=limit,
        browsers=browsers,
        providers=[(each.id, each.name) for each in settings.single_sign_on.providers],
    )
    elsewhere = single_sign_on.module(
        engine, settings, people.accounts, people.ui_auth, browsers, people.registration.policies, read_secret
    )
    return [own_pages, elsewhere]
