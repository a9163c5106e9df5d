"""The endpoints of receipts and read markers."""

from __future__ import annotations

from typing import Any

from weft.http.call import Call, Route, route
from weft.modules.receipts.service import FULLY_READ, PRIVATE, PUBLIC, Receipts
from weft.protocol.api.client import receipts as api
from weft.protocol.api.endpoint import Empty


class ClientApi:
    def __init__(self, receipts: Receipts) -> None:
        self._receipts = receipts

    def routes(self) -> list[Route[Any, Any]]:
        return [route(api.POST_RECEIPT, self.post), route(api.SET_READ_MARKER, self.set_read_marker)]

    async def post(self, call: Call[api.PostReceiptRequest]) -> Empty:
        args = call.args
        await self._receipts.send(call.user_id, args.room_id, args.receipt_type, args.event_id, args.thread_id)
        return Empty()

    async def set_read_marker(self, call: Call[api.SetReadMarkerRequest]) -> Empty:
        args = call.args
        asked = {FULLY_READ: args.fully_read, PUBLIC: args.read, PRIVATE: args.read_private}
        markers = {receipt_type: event_id for receipt_type, event_id in asked.items() if event_id is not None}
        await self._receipts.send_markers(call.user_id, args.room_id, markers)
        return Empty()
