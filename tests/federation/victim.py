"""A server that others mean ill: what it holds before and after, and what it asks others."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote

from tests.federation.stranger import Stranger
from weft.federation.transport import OutgoingRequest
from weft.storage.database import Transaction
from weft.testing import Answer, Client, TestServer

#: What may change whatever comes: that others are there, their keys, that a transaction was dealt with, the log, and
#: what followers of the log make of it in their own time.
_ALWAYS = frozenset(
    {
        "behind_destinations",
        "destinations",
        "followers",
        "history_blocks",
        "leases",
        "log",
        "server_key_documents",
        "server_keys",
        "transaction_ids",
        "user_directory",
        "user_directory_terms",
    }
)
_NUMBERS = iter(range(1, 1_000_000))


class Victim:
    def __init__(self, server: TestServer) -> None:
        self.server = server
        self.asked: Counter[str] = Counter()
        server.network.on_request.append(self._on_request)

    async def _on_request(self, request: OutgoingRequest) -> None:
        if request.origin in self.server.settings.server.names:
            self.asked[request.destination] += 1

    async def rows(self) -> dict[str, int]:
        """How many rows each table has."""
        return await self.server.server.engine.database.read(count_rows)

    @asynccontextmanager
    async def gains(self, **expected: int) -> AsyncIterator[None]:
        """Within this, tables gain just so many rows; those that are not named gain none."""
        before = await self.rows()
        yield
        await self.settled()
        after = await self.rows()
        gained = {name: after[name] - before[name] for name in after if after[name] != before[name]}
        found = {name: number for name, number in gained.items() if name not in _ALWAYS}
        assert found == expected, f"{found} instead of {expected}"

    async def settled(self) -> None:
        """Returns when all that had to be fetched has been, or a worker has given up for now."""
        await self.server.network.settle()
        staging = self.server.server.engine.remote.staging
        async with asyncio.timeout(30):
            while staging.is_busy:
                await asyncio.sleep(0.01)


def count_rows(tx: Transaction) -> dict[str, int]:
    if tx.dialect.for_update:
        names = tx.all("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    else:
        names = tx.all("SELECT name FROM sqlite_master WHERE type = 'table' AND sql NOT LIKE '%VIRTUAL%'")
    tables = [name for (name,) in names if not name.startswith("sqlite_") and "search" not in name]
    return {name: tx.value(f'SELECT COUNT(*) FROM "{name}"') for name in tables}


async def push(
    stranger: Stranger, *pdus: Any, edus: list[Any] | None = None, txn_id: str | None = None, **body: Any
) -> Answer:
    """Sends a transaction; each of `pdus` is an event or whatever."""
    content = {
        "origin": stranger.name,
        "origin_server_ts": stranger.server.clock(),
        "pdus": [getattr(one, "pdu", one) for one in pdus],
        "edus": edus or [],
        **body,
    }
    return await stranger.put(f"/send/{txn_id or f'hostile{next(_NUMBERS)}'}", content)


async def refused_events(answer: Answer) -> dict[str, str]:
    """Why each event was not taken."""
    return {event_id: told["error"] for event_id, told in answer.ok()["pdus"].items() if "error" in told}


async def timeline(client: Client, room_id: str) -> list[dict[str, Any]]:
    """All that a client sees of a room's past, the newest first."""
    path = f"/_matrix/client/v3/rooms/{quote(room_id)}/messages"
    found: list[dict[str, Any]] = (await client.get(path, dir="b", limit=500)).ok()["chunk"]
    return found


async def seen(client: Client, room_id: str) -> set[str]:
    return {event["event_id"] for event in await timeline(client, room_id)}
