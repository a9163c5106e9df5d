"""Messages from the server itself to its users."""

from __future__ import annotations

from weft.modules.module import Module
from weft.modules.server_notices.client_api import ServerNoticesApi
from weft.modules.server_notices.service import ServerNotices

__all__ = ["ServerNotices", "module"]


def module(notices: ServerNotices) -> Module:
    return Module(name="server_notices", routes=ServerNoticesApi(notices).routes())
