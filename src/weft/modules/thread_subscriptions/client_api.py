"""The endpoints of thread subscriptions."""

from __future__ import annotations

from typing import Any

import orjson

from weft.http.call import Call, Route, route
from weft.modules.events.places import parse_cut
from weft.modules.history import History
from weft.modules.receipts import threads
from weft.modules.thread_subscriptions.service import ThreadSubscriptions
from weft.modules.thread_subscriptions.store import Thread
from weft.protocol.api.client import thread_subscriptions as api
from weft.protocol.api.endpoint import Empty, Raw
from weft.protocol.errors import MatrixError
from weft.rooms.engine import Engine


class ThreadSubscriptionsApi:
    def __init__(self, engine: Engine, subscriptions: ThreadSubscriptions, history: History) -> None:
        self._engine = engine
        self._subscriptions = subscriptions
        self._history = history

    def routes(self) -> list[Route[Any, Any]]:
        return [
            route(api.GET_THREAD_SUBSCRIPTION, self.get_thread_subscription),
            route(api.SUBSCRIBE_TO_THREAD, self.subscribe_to_thread),
            route(api.UNSUBSCRIBE_FROM_THREAD, self.unsubscribe_from_thread),
            route(api.GET_THREAD_SUBSCRIPTIONS, self.get_thread_subscriptions),
        ]

    async def get_thread_subscription(self, call: Call[api.ThreadRequest]) -> api.ThreadSubscription:
        automatic = await self._subscriptions.is_automatic(await self._thread(call.user_id, call.args))
        return api.ThreadSubscription(automatic=automatic)

    async def subscribe_to_thread(self, call: Call[api.SubscribeToThreadRequest]) -> Empty:
        thread = await self._thread(call.user_id, call.args)
        cause = call.args.automatic
        await self._subscriptions.subscribe(thread, await self._cause(thread, cause) if cause is not None else None)
        return Empty()

    async def unsubscribe_from_thread(self, call: Call[api.ThreadRequest]) -> Empty:
        await self._subscriptions.unsubscribe(await self._thread(call.user_id, call.args))
        return Empty()

    async def get_thread_subscriptions(self, call: Call[api.GetThreadSubscriptionsRequest]) -> Raw:
        args = call.args
        since = parse_cut(args.to) if args.to is not None else None
        found, end = await self._subscriptions.changed(
            call.user_id, since, self._engine.log.head, args.limit, before=args.from_
        )
        return Raw(body=orjson.dumps({**found, "end": end} if end is not None else found))

    async def _thread(self, user_id: str, args: api.ThreadRequest) -> Thread:
        """Raises `NotFound` where there is no such root, or none that the user may see."""
        view, _ = await self._history.event(args.room_id, args.event_id, user_id)
        return Thread(user_id, view.room.number, view.room.id, args.event_id)

    async def _cause(self, thread: Thread, event_id: str) -> int:
        """The position of an event in a thread. Raises `NotFound`, or `M_NOT_IN_THREAD`."""
        _, seen = await self._history.event(thread.room_id, event_id, thread.user_id)
        relation = threads.relation_of(seen.stored.event.content)
        if await self._engine.database.get(threads.thread_of, relation) != thread.root:
            raise MatrixError("That event is not in the thread.", errcode="IO.ELEMENT.MSC4306.M_NOT_IN_THREAD")
        return seen.stored.position
