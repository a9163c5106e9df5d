"""The endpoints of server notices."""

from __future__ import annotations

from typing import Any

from weft.http.call import Call, Route, route
from weft.modules.server_notices.service import ServerNotices
from weft.protocol.api.client.room_events import EventIdResponse
from weft.protocol.api.synapse_admin import server_notices as api
from weft.storage.transaction_ids import TransactionKey


class ServerNoticesApi:
    def __init__(self, notices: ServerNotices) -> None:
        self._notices = notices

    def routes(self) -> list[Route[Any, Any]]:
        return [
            route(api.SEND_SERVER_NOTICE, self.send_server_notice),
            route(api.SEND_SERVER_NOTICE_ONCE, self.send_server_notice_once),
        ]

    async def send_server_notice(self, call: Call[api.SendServerNoticeRequest]) -> EventIdResponse:
        args = call.args
        event_id = await self._notices.send(args.user_id, args.type, args.content, state_key=args.state_key)
        return EventIdResponse(event_id=event_id)

    async def send_server_notice_once(self, call: Call[api.SendServerNoticeOnceRequest]) -> EventIdResponse:
        args = call.args
        key = TransactionKey(call.user_id, call.device_id or "", f"send_server_notice/{args.user_id}", args.txn_id)
        event_id = await self._notices.send(
            args.user_id, args.type, args.content, state_key=args.state_key, transaction=key
        )
        return EventIdResponse(event_id=event_id)
