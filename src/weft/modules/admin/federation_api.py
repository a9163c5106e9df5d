"""The endpoints by which administrators look at other servers.

https://element-hq.github.io/synapse/latest/usage/administration/admin_api/federation.html
"""

from __future__ import annotations

from typing import Any, Final

from weft.federation.destinations import Destinations, Failing
from weft.http.call import Call, Route, route
from weft.modules.admin.user_store import like
from weft.protocol.api.endpoint import Empty
from weft.protocol.api.synapse_admin import federation as api
from weft.protocol.errors import InvalidParam, MatrixError, NotFound
from weft.protocol.identifiers import domain_of, is_valid_server_name
from weft.rooms.engine import Engine
from weft.storage.database import Transaction

_MAX_PAGE: Final = 1_000


class FederationApi:
    """A server is known if one of its users is in a room that is here, or if it does not answer."""

    def __init__(self, engine: Engine, destinations: Destinations) -> None:
        self._engine = engine
        self._destinations = destinations

    def routes(self) -> list[Route[Any, Any]]:
        return [
            route(api.LIST_DESTINATIONS, self.list_all),
            route(api.GET_DESTINATION, self.get),
            route(api.DESTINATION_ROOMS, self.rooms),
            route(api.RESET_DESTINATION, self.reset),
        ]

    async def list_all(self, call: Call[api.ListDestinationsRequest]) -> api.ListDestinationsResponse:
        args = call.args
        names = await self._names()
        wanted = (args.destination or "").lower()
        found = [_shown(name, self._destinations.failing(name)) for name in sorted(names) if wanted in name.lower()]
        found.sort(key=lambda one: getattr(one, args.order_by) or 0 if args.order_by != "destination" else "")
        if args.dir == "b":
            found.reverse()
        page = found[args.from_ : args.from_ + min(args.limit, _MAX_PAGE)]
        upto = args.from_ + len(page)
        return api.ListDestinationsResponse(
            destinations=page, total=len(found), next_token=str(upto) if page and upto < len(found) else None
        )

    async def _names(self) -> set[str]:
        present = await self._engine.database.read(_servers)
        failing = self._destinations.all_failing()
        return {name for name in {*present, *failing} if not self._engine.is_local_domain(name)}

    async def get(self, call: Call[api.DestinationRequest]) -> api.Destination:
        return await self._known(call.args.destination)

    async def _known(self, name: str) -> api.Destination:
        if not is_valid_server_name(name):
            raise InvalidParam("That is not the name of a server.")
        failing = self._destinations.failing(name)
        if failing is None and (
            self._engine.is_local_domain(name) or not await self._engine.database.read(_rooms_of, name)
        ):
            raise NotFound("Unknown destination")
        return _shown(name, failing)

    async def rooms(self, call: Call[api.DestinationRoomsRequest]) -> api.DestinationRoomsResponse:
        args = call.args
        await self._known(args.destination)
        found = sorted(await self._engine.database.read(_rooms_of, args.destination), reverse=args.dir == "b")
        page = found[args.from_ : args.from_ + min(args.limit, _MAX_PAGE)]
        upto = args.from_ + len(page)
        return api.DestinationRoomsResponse(
            rooms=[api.DestinationRoom(room_id=room_id) for room_id in page],
            total=len(found),
            next_token=str(upto) if page and upto < len(found) else None,
        )

    async def reset(self, call: Call[api.DestinationRequest]) -> Empty:
        """What waits for the server is sent at once, and not only when the pause is over."""
        destination = await self._known(call.args.destination)
        if destination.failure_ts is None:
            raise MatrixError("The retry timing does not need to be reset for this destination.")
        self._destinations.heard_from(destination.destination)
        return Empty()


def _shown(name: str, failing: Failing | None) -> api.Destination:
    if failing is None:
        return api.Destination(destination=name, retry_last_ts=0, retry_interval=0, failure_ts=None)
    return api.Destination(
        destination=name,
        retry_last_ts=max(failing.failing_since_ms, failing.retry_at_ms - failing.pause_ms),
        retry_interval=failing.pause_ms,
        failure_ts=failing.failing_since_ms,
    )


def _servers(tx: Transaction) -> set[str]:
    rows = tx.all("SELECT DISTINCT user_id FROM memberships WHERE membership = 'join'")
    return {domain_of(user_id) for (user_id,) in rows}


def _rooms_of(tx: Transaction, server_name: str) -> list[str]:
    rows = tx.all(
        """SELECT r.room_id FROM rooms r WHERE r.room IN (
               SELECT room FROM memberships WHERE membership = 'join' AND LOWER(user_id) LIKE :pattern ESCAPE '!')""",
        pattern=f"%:{like(server_name)}",
    )
    return [room_id for (room_id,) in rows]
