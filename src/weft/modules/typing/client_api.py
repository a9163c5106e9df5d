"""The endpoint of typing notifications."""

from __future__ import annotations

from typing import Any

from weft.http.call import Call, Route, route
from weft.modules.typing.service import Typing
from weft.protocol.api.client import typing as api
from weft.protocol.api.endpoint import Empty
from weft.protocol.errors import Forbidden


class ClientApi:
    def __init__(self, typing: Typing) -> None:
        self._typing = typing

    def routes(self) -> list[Route[Any, Any]]:
        return [route(api.SET_TYPING, self.set)]

    async def set(self, call: Call[api.SetTypingRequest]) -> Empty:
        args = call.args
        if args.user_id != call.user_id:
            raise Forbidden("Only you yourself can say that you are typing.")
        await self._typing.set(call.user_id, args.room_id, typing=args.typing, timeout_ms=args.timeout)
        return Empty()
