"""https://spec.matrix.org/v1.19/client-server-api/#relationships-api"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson

from weft.http.call import Call, Route, route
from weft.modules.relations.service import LEVELS, Found, Relations
from weft.protocol.api.client import history as api
from weft.protocol.api.endpoint import Raw


class RelationsApi:
    def __init__(self, relations: Relations) -> None:
        self._relations = relations

    def routes(self) -> Sequence[Route[Any, Any]]:
        return [
            route(api.GET_RELATING_EVENTS, self.get_relating_events),
            route(api.GET_RELATING_EVENTS_WITH_REL_TYPE, self.get_relating_events_with_rel_type),
            route(
                api.GET_RELATING_EVENTS_WITH_REL_TYPE_AND_EVENT_TYPE,
                self.get_relating_events_with_rel_type_and_event_type,
            ),
            route(api.GET_THREAD_ROOTS, self.get_thread_roots),
        ]

    async def get_relating_events(self, call: Call[api.GetRelatingEventsRequest]) -> Raw:
        return _related(call.args, await self._relations.of_event(call.requester, call.args, None, None))

    async def get_relating_events_with_rel_type(self, call: Call[api.GetRelatingEventsWithRelTypeRequest]) -> Raw:
        args = call.args
        return _related(args, await self._relations.of_event(call.requester, args, args.rel_type, None))

    async def get_relating_events_with_rel_type_and_event_type(
        self, call: Call[api.GetRelatingEventsWithRelTypeAndEventTypeRequest]
    ) -> Raw:
        args = call.args
        return _related(args, await self._relations.of_event(call.requester, args, args.rel_type, args.event_type))

    async def get_thread_roots(self, call: Call[api.GetThreadRootsRequest]) -> Raw:
        return _page(await self._relations.threads(call.requester, call.args))


def _related(args: api.GetRelatingEventsRequest, found: Found) -> Raw:
    more = b""
    if args.from_ is not None:
        more += b',"prev_batch":' + orjson.dumps(args.from_)
    if args.recurse is not None:
        more += b',"recursion_depth":%d' % (LEVELS if args.recurse else 1)
    return _page(found, more)


def _page(found: Found, more: bytes = b"") -> Raw:
    if found.end is not None:
        more += b',"next_batch":"%s"' % found.end.spell().encode()
    return Raw(body=b'{"chunk":[%s]%s}' % (b",".join(found.events), more))
