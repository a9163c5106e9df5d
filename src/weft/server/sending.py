"""What sends to other servers, as a module: followers of the log that know who is in which room."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import count
from typing import Final

from weft.federation.sender import Outgoing, Sender, cursor_name
from weft.graph.outcome import Outcome
from weft.modules.module import Module
from weft.protocol.identifiers import domain_of
from weft.rooms.engine import Engine
from weft.storage import sticky
from weft.storage.events import StoredEvent

#: On a shared database, processes divide other servers among themselves in so many parts.
_SHARES: Final = 4


def sender_cursors(engine: Engine) -> list[str]:
    """The names of the followers that send to other servers."""
    if not engine.remote.federation.enabled:
        return []
    return [cursor_name(share) for share in range(_shares(engine))]


def _shares(engine: Engine) -> int:
    return _SHARES if engine.database.shared else 1


def sender_module(engine: Engine, outgoing: Sequence[Outgoing]) -> Module:
    """The module that sends events, and what other modules tell besides."""
    federation = engine.remote.federation
    if not federation.enabled:
        return Module(name="sending")
    numbers = count(1)
    mark = engine.outside.token(8)

    async def servers_of(stored: StoredEvent) -> Iterable[str]:
        event = stored.event
        room = await engine.rooms.get(event.room_id)
        servers = set(room.servers)
        # Who is put out, or whose invite is taken back, has to hear of that much.
        if event.membership in ("leave", "ban") and event.state_key is not None:
            servers.add(domain_of(event.state_key))
        return servers

    async def reminder(hidden: StoredEvent) -> StoredEvent | None:
        sender = hidden.event.sender
        room = await engine.rooms.get(hidden.event.room_id)
        put_out = room.state_id("m.room.member", sender)
        is_told = hidden.outcome is not Outcome.SOFT_FAILED or room.servers.get(hidden.event.sender_domain)
        if is_told or not room.joined_local or put_out is None:
            return None
        found = await engine.rooms.event(put_out)
        is_put_out = found is not None and found.event.membership in ("leave", "ban") and found.event.sender != sender
        return found if is_put_out else None

    async def welcome(came: StoredEvent) -> Sequence[StoredEvent]:
        event = came.event
        room = await engine.rooms.get(event.room_id)
        before = await engine.rooms.event(came.replaces) if came.replaces is not None else None
        is_new = before is None or before.event.membership != "join"
        if event.state_key != event.sender or not is_new or room.servers.get(event.sender_domain) != 1:
            return ()
        ids = await engine.database.get(sticky.own, room.number, engine.outside.now_ms(), engine.is_local_domain)
        found = await engine.rooms.events(ids)
        return [found[event_id] for event_id in ids if event_id in found]

    async def origin_of(number: int) -> str:
        room = await engine.rooms.get(await engine.rooms.room_id(number))
        return engine.remote.missing.own_domain(room)

    shares = _shares(engine)
    senders = [
        Sender(
            engine.database,
            federation.peers,
            federation.destinations,
            servers_of=servers_of,
            reminder=reminder,
            welcome=welcome,
            origin_of=origin_of,
            is_local=engine.is_local_domain,
            default_origin=next(iter(engine.server_names)),
            outgoing=outgoing,
            new_transaction_id=lambda: f"{mark}{next(numbers)}",
            now_ms=engine.outside.now_ms,
            share=share,
            shares=shares,
        )
        for share in range(shares)
    ]
    for sender in senders:
        federation.destinations.on_return.append(sender.returned)
    return Module(name="sending", followers=[sender.follower for sender in senders])
