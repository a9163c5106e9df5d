"""The page of the stage `m.login.sso`: it leads to the providers.

https://spec.matrix.org/v1.19/client-server-api/#sso-during-user-interactive-authentication
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from weft.http.pages import Html
from weft.modules.single_sign_on.client_api import PAGES, stage_links
from weft.modules.single_sign_on.service import SingleSignOn
from weft.protocol.ui_auth import Session


class Stage:
    title = "Confirm that it is you"

    def __init__(self, service: SingleSignOn) -> None:
        self._service = service

    async def read(self, session: Session, form: dict[str, str]) -> dict[str, Any] | None:
        """Nothing that is posted here says who somebody is."""
        return None

    def show(self, session: Session, form: Mapping[str, str], problem: Html) -> Html:
        providers = [(id_, each.settings.name) for id_, each in self._service.providers.items()]
        return PAGES.part("stage", problem=problem, links=stage_links(providers, session.session_id))
