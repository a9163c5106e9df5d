"""What clients ask of devices, wherever those are: keys are queried and claimed, here and at other servers.

Other servers are asked side by side, within the time that the client gives. Who does not answer is among the
`failures`.

https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3keysquery
https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3keysclaim
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Any, Final, TypeVar

import msgspec

from weft.http.client import Refused
from weft.modules.keys import foreign, signing_store
from weft.modules.keys.one_time_keys import Given, OneTimeKeys
from weft.modules.keys.one_time_store import Wanted
from weft.modules.keys.own_users import Known, OwnUsers
from weft.modules.keys.remote_lists import RemoteLists
from weft.protocol.api.endpoint import Endpoint
from weft.protocol.api.federation.encryption_keys import (
    CLAIM_USER_ENCRYPTION_KEYS,
    QUERY_USER_ENCRYPTION_KEYS,
    ClaimUserEncryptionKeysRequest,
    QueryUserEncryptionKeysRequest,
)
from weft.protocol.errors import NotNow, PeerError, Unreachable
from weft.protocol.identifiers import domain_of, is_valid_user_id
from weft.rooms.engine import Engine

#: Servers that are asked at the same time for one client.
_AT_ONCE: Final = 50
_LONGEST_MS: Final = 60_000

Q = TypeVar("Q", bound=msgspec.Struct)
R = TypeVar("R")
T = TypeVar("T")
#: Why servers did not answer, by their names.
Failures = dict[str, dict[str, Any]]


class Asking:
    def __init__(
        self, engine: Engine, own_users: OwnUsers, remote_lists: RemoteLists, one_time_keys: OneTimeKeys
    ) -> None:
        self._engine = engine
        self._remote_lists = remote_lists
        self._own_users = own_users
        self._one_time_keys = one_time_keys

    async def query(
        self, user_id: str, asked: Mapping[str, Collection[str]], timeout_ms: int
    ) -> tuple[Known, Failures]:
        """What a user may know of devices, by user id, all of them where none are named; and who did not answer."""
        own, others = self._divided(asked)
        found = await self._own_users.known(own)

        async def ask(server_name: str, some: Mapping[str, Collection[str]]) -> None:
            await self._query_server(user_id, server_name, some, found)

        failures = await self._ask_all(others, ask, timeout_ms)
        # How one's own keys sign others is nobody else's business, and neither is who has signed whom.
        found.user_signing_keys = {owner: key for owner, key in found.user_signing_keys.items() if owner == user_id}
        for signature in await self._engine.database.get(signing_store.signatures_by, user_id, list(found.device_keys)):
            found.sign(signature)
        return found, failures

    async def claim(
        self, user_id: str, asked: Mapping[str, Mapping[str, str]], timeout_ms: int
    ) -> tuple[Given, Failures]:
        """Claims a one-time key of each device, by device id by user id; and who did not answer."""
        own, others = self._divided(asked)
        given = await self._one_time_keys.claim(
            [
                Wanted(owner, device, algorithm)
                for owner, of_user in own.items()
                for device, algorithm in of_user.items()
            ]
        )

        async def ask(server_name: str, some: Mapping[str, Mapping[str, str]]) -> None:
            request = ClaimUserEncryptionKeysRequest(one_time_keys={owner: dict(of) for owner, of in some.items()})
            answer = await self._call(user_id, server_name, CLAIM_USER_ENCRYPTION_KEYS, request)
            given.update(foreign.given(answer.one_time_keys, some))

        return given, await self._ask_all(others, ask, timeout_ms)

    async def _query_server(
        self, user_id: str, server_name: str, asked: Mapping[str, Collection[str]], found: Known
    ) -> None:
        """Adds what is known of a server's users: from lists that are followed, or else as the server tells it.

        Of those who share a room with somebody here the list is followed from now on.
        """
        known = await self._remote_lists.known(asked)
        others = {owner: devices for owner, devices in asked.items() if owner not in known.device_keys}
        sharing = [owner for owner in others if await self._remote_lists.shares_a_room(owner)]
        origin = domain_of(user_id)
        answers = await asyncio.gather(
            *(self._remote_lists.ask(owner, origin) for owner in sharing), return_exceptions=True
        )
        problem: BaseException | None = None
        for owner, answer in zip(sharing, answers, strict=True):
            if isinstance(answer, Known):
                del others[owner]
                known.add(answer)
            elif not isinstance(answer, Refused):
                # Nobody is asked again what they have just not answered.
                del others[owner]
                problem = answer
        for owner, devices in asked.items():
            wanted = known.device_keys.get(owner)
            if devices and wanted is not None:
                known.device_keys[owner] = {name: keys for name, keys in wanted.items() if name in devices}
        found.add(known)
        if others and problem is None:
            request = QueryUserEncryptionKeysRequest(device_keys={owner: list(of) for owner, of in others.items()})
            answered = await self._call(user_id, server_name, QUERY_USER_ENCRYPTION_KEYS, request)
            found.add(foreign.known(answered, others))
        if problem is not None:
            raise problem

    async def _call(self, user_id: str, server_name: str, endpoint: Endpoint[Q, R], request: Q) -> R:
        return await self._engine.remote.federation.peers.call(
            endpoint,
            request,
            origin=domain_of(user_id),
            destination=server_name,
            # A stranger may have chosen the name.
            remember_failure=False,
        )

    def _divided(self, asked: Mapping[str, T]) -> tuple[dict[str, T], dict[str, dict[str, T]]]:
        """What is asked of our own users, and of those of other servers; what is no user's id is passed over."""
        own: dict[str, T] = {}
        others: dict[str, dict[str, T]] = {}
        for user_id, of_user in asked.items():
            if not is_valid_user_id(user_id):
                continue
            if self._engine.is_local(user_id):
                own[user_id] = of_user
            else:
                others.setdefault(domain_of(user_id), {})[user_id] = of_user
        return own, others

    async def _ask_all(
        self,
        others: Mapping[str, Mapping[str, T]],
        ask: Callable[[str, Mapping[str, T]], Awaitable[None]],
        timeout_ms: int,
    ) -> Failures:
        """Asks every server; which of them did not answer, or not in time, and why."""
        if not others:
            return {}
        failures: Failures = {}
        places = asyncio.Semaphore(_AT_ONCE)

        async def one(server_name: str, some: Mapping[str, T]) -> None:
            failures[server_name] = failure("The server did not answer in time.", 504)
            async with places:
                try:
                    await ask(server_name, some)
                except Refused as refused:
                    failures[server_name] = failure(f"The server refused: {str(refused)[:200]}", refused.status)
                except (Unreachable, NotNow, PeerError) as error:
                    failures[server_name] = failure(str(error)[:200], 503)
                else:
                    del failures[server_name]

        tasks = [asyncio.create_task(one(server_name, some)) for server_name, some in others.items()]
        _, late = await asyncio.wait(tasks, timeout=min(timeout_ms, _LONGEST_MS) / 1000)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)
        for task in tasks:
            if not task.cancelled():
                task.result()
        return failures


def failure(message: str, status: int) -> dict[str, Any]:
    """Why a server is among the failures."""
    return {"errcode": "M_UNKNOWN", "error": message, "status": status}
