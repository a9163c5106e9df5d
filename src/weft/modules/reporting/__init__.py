"""Reports of events, rooms and users, for the server's administrators.

https://spec.matrix.org/v1.19/client-server-api/#reporting-content
"""

from __future__ import annotations

from weft.modules.module import Module
from weft.modules.reporting.client_api import ReportingApi
from weft.modules.reporting.service import ReportingService

__all__ = ["ReportingService", "module"]


def module(service: ReportingService) -> Module:
    return Module(name="reporting", routes=ReportingApi(service).routes())
