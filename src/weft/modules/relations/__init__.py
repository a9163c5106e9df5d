"""What relates to events, and threads. https://spec.matrix.org/v1.19/client-server-api/#relationships-api"""

from weft.modules.module import Module
from weft.modules.relations.client_api import RelationsApi
from weft.modules.relations.service import Relations

__all__ = ["Relations", "module"]


def module(relations: Relations) -> Module:
    return Module(name="relations", routes=RelationsApi(relations).routes())
