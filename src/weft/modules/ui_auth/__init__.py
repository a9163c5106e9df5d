"""User-interactive authentication: consent, asked for in stages, and the pages that stand in for apps.

https://spec.matrix.org/v1.19/client-server-api/#user-interactive-authentication-api
"""

from __future__ import annotations

from weft.modules.module import Module
from weft.modules.ui_auth.client_api import FallbackApi
from weft.modules.ui_auth.service import PASSWORD_ONLY, StagePage, UiAuthService

__all__ = ["PASSWORD_ONLY", "StagePage", "UiAuthService", "module"]


def module(service: UiAuthService) -> Module:
    return Module(name="ui_auth", routes=FallbackApi(service).routes(), tasks=service.tasks)
