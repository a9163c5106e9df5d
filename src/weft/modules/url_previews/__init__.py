"""What links lead to, for clients that show it.

https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv1mediapreview_url
"""

from __future__ import annotations

from weft.http.client import HttpClient
from weft.modules.media import Pictures
from weft.modules.module import Module, Task
from weft.modules.url_previews.client_api import UrlPreviewsApi
from weft.modules.url_previews.fetching import Fetcher, Rules
from weft.modules.url_previews.service import UrlPreviews
from weft.rooms.engine import Engine
from weft.settings import UrlPreviews as PreviewSettings

__all__ = ["module"]


def module(engine: Engine, settings: PreviewSettings, web: HttpClient, pictures: Pictures) -> Module:
    """`web` is what pages are asked with; it is closed with the module."""
    rules = Rules(settings.allowed_domains, settings.denied_domains)
    fetcher = Fetcher(web, rules, languages=settings.languages)
    previews = UrlPreviews(engine, fetcher, pictures, lifetime_ms=settings.lifetime)

    return Module(
        name="url_previews",
        routes=UrlPreviewsApi(previews, enabled=settings.enabled).routes(),
        stops=[previews.close, web.close],
        tasks=[Task(name="old previews of links", every_seconds=3600, run=previews.prune)],
    )
