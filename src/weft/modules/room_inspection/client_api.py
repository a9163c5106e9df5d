"""Weft's own endpoints by which an operator looks into a room."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from weft.http import operator
from weft.http.call import Call, Route, route
from weft.modules.room_inspection.comparison import Comparison
from weft.modules.room_inspection.graph import RoomGraph
from weft.protocol.api.client import room_inspection as api
from weft.protocol.api.endpoint import Raw
from weft.protocol.errors import Forbidden, MissingToken


class RoomInspectionApi:
    def __init__(
        self, graph: RoomGraph, comparison: Comparison, *, secret_file: Path | None, now_ms: Callable[[], int]
    ) -> None:
        self._graph = graph
        self._comparison = comparison
        self._secret_file = secret_file
        self._now_ms = now_ms

    def routes(self) -> list[Route[Any, Any]]:
        return [route(api.DRAW_ROOM, self.draw_room), route(api.COMPARE_ROOM, self.compare_room)]

    async def draw_room(self, call: Call[api.DrawRoomRequest]) -> Raw:
        self._check_operator(call, call.args.weft_operator)
        svg = await self._graph.draw(call.args.room_id, call.args.limit)
        # Nothing in the picture runs, whoever chose the texts in it.
        headers = {"Content-Security-Policy": "sandbox; default-src 'none'; style-src 'unsafe-inline'"}
        return Raw(body=svg.encode(), content_type="image/svg+xml", headers=headers)

    async def compare_room(self, call: Call[api.CompareRoomRequest]) -> api.CompareRoomResponse:
        self._check_operator(call, call.args.weft_operator)
        return await self._comparison.compare(call.args.room_id, call.args.server)

    def _check_operator(self, call: Call[Any], proof: str | None) -> None:
        """Raises `MissingToken` or `Forbidden`."""
        if call.maybe_requester is not None and call.maybe_requester.is_admin:
            return
        if proof is not None and self._secret_file is not None:
            path = call.raw_path.decode("latin-1")
            if call.query_string:
                path = f"{path}?{call.query_string.decode('latin-1')}"
            secret = self._secret_file.read_text(encoding="utf-8").strip()
            if secret and operator.proves(proof, secret, method=call.endpoint.method, path=path, now_ms=self._now_ms()):
                return
        if call.maybe_requester is None and proof is None:
            raise MissingToken("Only administrators of this server may look into rooms: show a token.")
        raise Forbidden("Only administrators of this server may look into rooms.")
