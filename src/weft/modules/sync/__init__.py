"""`/sync`: what is new for a client, in one answer. Modules add their parts; this one adds the rooms."""

from weft.modules.module import Module
from weft.modules.sync.client_api import SyncApi
from weft.modules.sync.service import Surroundings, SyncService

__all__ = ["Surroundings", "SyncService", "module"]


def module(service: SyncService) -> Module:
    return Module(name="sync", routes=SyncApi(service).routes(), appliers=[service.waking.wake])
