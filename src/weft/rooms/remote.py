"""All of the room engine that needs other servers, put together."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from weft.federation.federation import Federation
from weft.graph.build import Identity
from weft.rooms.backfill import Backfill
from weft.rooms.handshake import Handshakes
from weft.rooms.incoming import Incoming
from weft.rooms.missing import MissingEvents
from weft.rooms.outside import OutsideRooms
from weft.rooms.policy import PolicyServers
from weft.rooms.receive import Receive
from weft.rooms.resident import Resident
from weft.rooms.rooms import Rooms
from weft.rooms.staging import Staging
from weft.storage.database import Database


class Remote:
    def __init__(
        self,
        database: Database,
        rooms: Rooms,
        receive: Receive,
        federation: Federation,
        identities: Mapping[str, Identity],
        now_ms: Callable[[], int],
        server_names: Collection[str],
    ) -> None:
        self.federation = federation
        self.peers = federation.peers
        self.incoming = Incoming(federation.keyring)
        self.missing = MissingEvents(database, rooms, receive, self.incoming, self.peers, next(iter(server_names)))
        self.staging = Staging(database, rooms, receive, self.incoming, self.missing, now_ms)
        self.backfill = Backfill(database, rooms, self.incoming, self.missing, self.peers, now_ms)
        self.outside = OutsideRooms(database, rooms)
        self.handshakes = Handshakes(
            database, rooms, receive, self.incoming, self.peers, self.outside, identities, now_ms
        )
        self.policy = PolicyServers(rooms, receive, self.peers, self.missing.own_domain)
        receive.policy = self.policy.recommended
        self.resident = Resident(rooms, receive, self.incoming, identities, now_ms)

    async def close(self) -> None:
        """Stops what is under way; what others gave us and is not dealt with yet is there at the next start."""
        await self.staging.close()
        await self.backfill.close()
        await self.federation.close()
