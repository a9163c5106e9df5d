"""The threads that users follow, where the server's settings have it.

https://github.com/matrix-org/matrix-spec-proposals/pull/4306
"""

from __future__ import annotations

from weft.modules.history import History
from weft.modules.module import Module
from weft.modules.thread_subscriptions.client_api import ThreadSubscriptionsApi
from weft.modules.thread_subscriptions.service import ThreadSubscriptions
from weft.modules.thread_subscriptions.sync import ThreadSubscriptionsSync
from weft.rooms.engine import Engine

__all__ = ["ThreadSubscriptions", "module"]


def module(engine: Engine, subscriptions: ThreadSubscriptions, history: History) -> Module:
    """Without routes where the server has no thread subscriptions: requests are unrecognised."""
    api = ThreadSubscriptionsApi(engine, subscriptions, history)
    return Module(
        name="thread_subscriptions",
        routes=api.routes() if subscriptions.enabled else (),
        sync=ThreadSubscriptionsSync(),
        appliers=(subscriptions.apply,),
    )
