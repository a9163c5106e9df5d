"""Application services: who they are, what they are asked, and whether they are there.

https://spec.matrix.org/v1.19/application-service-api/
"""

from __future__ import annotations

import asyncio
from typing import Final, Protocol

import structlog

from weft.http.addresses import AddressGuard
from weft.http.call import Requester
from weft.http.client import HttpClient
from weft.modules.application_services.asking import Asking
from weft.modules.application_services.telling import Telling
from weft.protocol.api.application_service import ping, queries
from weft.protocol.application_services import Registration, Registrations
from weft.protocol.errors import MatrixError, PeerError, Unreachable, UserInUse, WeftError
from weft.rooms.engine import Engine

log = structlog.get_logger(__name__)

#: Seconds in which a service makes what it is asked for: somebody waits.
_QUERY_TIMEOUT: Final = 10.0
_PING_TIMEOUT: Final = 15.0
#: Characters of a service's answer to a ping that it is told of.
_MOST_OF_AN_ANSWER: Final = 4096


class Accounts(Protocol):
    """What is needed of accounts."""

    async def is_known(self, user_id: str) -> bool: ...

    async def exists(self, user_id: str) -> bool: ...

    async def make(self, user_id: str, password: str | None, *, admin: bool | None = None) -> None: ...


class ApplicationServices:
    """All of them. `telling` has those that are told what happens, by their ids."""

    def __init__(self, engine: Engine, registrations: Registrations, accounts: Accounts) -> None:
        self._now_ms = engine.outside.now_ms
        self.registrations = registrations
        # The administrator has named their addresses, which are mostly on the same machine.
        self.asking = Asking(HttpClient(guard=AddressGuard(deny=())))
        self._accounts = accounts
        self.telling: dict[str, Telling] = {}

    async def start(self) -> None:
        """Has each service's own user exist."""
        for one in self.registrations:
            if await self._accounts.is_known(one.sender):
                continue
            try:
                await self._accounts.make(one.sender, None, admin=False)
            except UserInUse:
                # Another process was faster.
                continue

    def of(self, requester: Requester) -> Registration:
        """The application service that asks, on an endpoint that nobody else may call."""
        found = self.registrations.get(requester.appservice_id or "")
        if found is None:
            raise AssertionError("whoever is let in here is an application service")
        return found

    async def exists(self, user_id: str) -> bool:
        """Whether there is such an account and it has not ended; a service may make it now."""
        if await self._accounts.exists(user_id):
            return True
        return await self.ask_user(user_id) and await self._accounts.exists(user_id)

    async def ask_user(self, user_id: str) -> bool:
        """Whether there is such a user, after the services were asked whose it may be; they make it then."""
        if await self._accounts.is_known(user_id):
            return True
        services = [one for one in self.registrations if one.url is not None and one.has_user(user_id)]
        if not services:
            return False
        request = queries.QueryUserByIdRequest(user_id=user_id)
        try:
            return await self.asking.says_yes(services, queries.QUERY_USER_BY_ID, request, timeout=_QUERY_TIMEOUT)
        except WeftError as error:
            log.warning("an application service could not say whether it has a user", user=user_id, error=str(error))
            return False

    async def ask_alias(self, alias: str) -> bool:
        """Whether a service has made the room of an alias that is not known yet.

        Raises a 408 where the service whose it is does not answer.
        """
        services = [one for one in self.registrations if one.url is not None and one.has_alias(alias)]
        request = queries.QueryRoomByAliasRequest(room_alias=alias)
        try:
            return await self.asking.says_yes(services, queries.QUERY_ROOM_BY_ALIAS, request, timeout=_QUERY_TIMEOUT)
        except Unreachable:
            raise MatrixError(
                "The application service that this alias belongs to does not answer.", status=408
            ) from None
        except WeftError as error:
            log.warning("an application service could not say whether it has an alias", alias=alias, error=str(error))
            return False

    async def ping(self, service: Registration, transaction_id: str | None) -> int:
        """How many milliseconds the service took to answer. Raises what the specification names where it did not.

        https://spec.matrix.org/v1.19/application-service-api/#pinging
        """
        if service.url is None:
            raise MatrixError("The application service has no url.", errcode="M_URL_NOT_SET")
        began_ms = self._now_ms()
        try:
            async with asyncio.timeout(_PING_TIMEOUT):
                reply = await self.asking.reply(
                    service, ping.PING, ping.PingRequest(transaction_id=transaction_id), timeout=2 * _PING_TIMEOUT
                )
        except TimeoutError:
            raise MatrixError(
                "The application service did not answer in time.", errcode="M_CONNECTION_TIMEOUT", status=504
            ) from None
        except (Unreachable, PeerError) as error:
            raise MatrixError(
                f"The application service can't be reached: {error}", errcode="M_CONNECTION_FAILED", status=502
            ) from None
        if not reply.ok:
            text = reply.body.decode("utf-8", "replace")[:_MOST_OF_AN_ANSWER]
            raise MatrixError(
                f"The application service answered with status {reply.status}.",
                errcode="M_BAD_STATUS",
                status=502,
                extra={"status": reply.status, "body": text},
            )
        telling = self.telling.get(service.id)
        if telling is not None:
            telling.wake()
        return self._now_ms() - began_ms
