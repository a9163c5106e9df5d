"""Events that are sent later: a call's last word of somebody whose client may be gone by then.

They are in the database and survive restarts. One process looks every second what is due. An event that is due is sent
as its sender would send it now, so that it may be refused; then it is dropped.

https://github.com/matrix-org/matrix-spec-proposals/pull/4140
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

import msgspec
import structlog

from weft.http.call import Requester
from weft.modules.accounts import AccountsService
from weft.modules.delayed_events import store
from weft.modules.delayed_events.store import Row
from weft.modules.module import Task
from weft.protocol.api.client.delayed_events import Action
from weft.protocol.client_event import dumps
from weft.protocol.errors import Forbidden, MatrixError, NotFound
from weft.protocol.identifiers import domain_of
from weft.rooms.engine import Engine
from weft.storage.database import UniqueViolation

log = structlog.get_logger(__name__)

#: The longest delay, in milliseconds, and how many events a user may have waiting.
MAX_DELAY: Final = 24 * 60 * 60 * 1000
MAX_WAITING: Final = 100
_AT_ONCE: Final = 100
_PAGE: Final = 50

#: Sends an event now: a state event where there is a state key, and else a message with the transaction id.
Send = Callable[[Requester, Row, dict[str, Any]], Awaitable[str]]


class DelayedEvents:
    def __init__(self, engine: Engine, accounts: AccountsService, send: Send) -> None:
        self._engine = engine
        engine.purging.tables_by_id["delayed_events"] = "delay_id"
        self._accounts = accounts
        self._send = send
        self._now_ms = engine.outside.now_ms
        self.tasks = [Task(name="delayed events", every_seconds=1.0, run=self.send_due)]
        accounts.hooks.deactivated.append(lambda tx, ended: store.remove_of_user(tx, ended.user_id))

    async def schedule(
        self,
        requester: Requester,
        room_id: str,
        event_type: str,
        content: dict[str, Any],
        delay_ms: int,
        *,
        state_key: str | None = None,
        txn_id: str | None = None,
        sticky_ms: int | None = None,
    ) -> str:
        """Has an event sent after a delay; returns its delay id. A repeated transaction id schedules nothing more.

        Raises `Forbidden` for who is not in the room, and the proposal's errors for a delay that is too long or too
        many that wait.
        """
        if delay_ms > MAX_DELAY:
            raise _refused("M_MAX_DELAY_EXCEEDED", f"The longest delay is {MAX_DELAY} ms.", max_delay=MAX_DELAY)
        user_id, device_id = requester.user_id, requester.device_id or ""
        transaction = f"{room_id} {event_type} {txn_id}" if txn_id is not None else None
        database = self._engine.database
        if transaction is not None:
            known = await database.get(store.scheduled_by, user_id, device_id, transaction)
            if known is not None:
                return known
        room = await self._engine.rooms.find(room_id)
        if room is None or room.membership(user_id) != "join":
            raise Forbidden("You are not in this room.")
        if await database.get(store.count, user_id) >= MAX_WAITING:
            raise _refused("M_MAX_DELAYED_EVENTS_EXCEEDED", f"At most {MAX_WAITING} events may wait.")
        now_ms = self._now_ms()
        row = Row(
            delay_id=f"weft_{self._engine.outside.token(24)}",
            user_id=user_id,
            device_id=device_id,
            transaction_id=transaction,
            room_id=room_id,
            type=event_type,
            state_key=state_key,
            content=dumps(content),
            replaces=room.state_id(event_type, state_key) if state_key is not None else None,
            delay_ms=delay_ms,
            running_since_ms=now_ms,
            due_ms=now_ms + delay_ms,
            sticky_ms=sticky_ms,
        )
        try:
            await database.write(store.insert, row)
        except UniqueViolation:
            known = await database.get(store.scheduled_by, user_id, device_id, transaction or "")
            if known is None:
                raise
            return known
        return row.delay_id

    async def waiting(self, user_id: str, after: str) -> tuple[list[Row], str | None]:
        """A page of what a user has waiting, and where the next one goes on."""
        rows = await self._engine.database.get(store.of_user, user_id, after, _PAGE + 1)
        return rows[:_PAGE], rows[_PAGE - 1].delay_id if len(rows) > _PAGE else None

    async def act(self, delay_id: str, action: Action) -> None:
        """Sends an event now, forgets it, or has its delay begin anew. Raises `NotFound` where it does not wait."""
        database = self._engine.database
        if action == "restart":
            done = await database.write(store.restart, delay_id, self._now_ms())
        elif action == "cancel":
            done = await database.write(store.remove, delay_id)
        else:
            row = await database.get(store.find, delay_id)
            done = row is not None
            if row is not None:
                await self._send_now(row)
        if not done:
            raise NotFound("There is no such delayed event, or it has been sent.")

    async def send_due(self) -> None:
        """Sends whatever has waited long enough."""
        # Nobody has asked, so that what other processes have written may not have been taken in yet.
        await self._engine.log.catch_up()
        for row in await self._engine.database.read(store.due, self._now_ms(), _AT_ONCE):
            try:
                await self._send_now(row)
            except MatrixError as error:
                log.info("a delayed event was refused", delay_id=row.delay_id, reason=error.message)

    async def _send_now(self, row: Row) -> None:
        """Sends an event, if it still is to be sent, and forgets it, also where it is refused.

        One that is sent again, because of a crash in between, counts once: by its transaction id, or as the same state.
        """
        try:
            if await self._may_send(row.user_id) and not await self._is_overtaken(row):
                requester = Requester(
                    user_id=row.user_id, device_id=row.device_id or None, server_name=domain_of(row.user_id)
                )
                await self._send(requester, row, msgspec.json.decode(row.content))
        except MatrixError:
            await self._engine.database.write(store.remove, row.delay_id)
            raise
        await self._engine.database.write(store.remove, row.delay_id)

    async def _may_send(self, user_id: str) -> bool:
        account = await self._accounts.find(user_id)
        return account is not None and not (account.is_deactivated or account.suspended or account.locked)

    async def _is_overtaken(self, row: Row) -> bool:
        """Whether somebody else has set the state meanwhile: theirs is newer, though this one would come later."""
        if row.state_key is None:
            return False
        room = await self._engine.rooms.find(row.room_id)
        current = await self._engine.rooms.state_event(room, row.type, row.state_key) if room is not None else None
        return current is not None and current.event_id != row.replaces and current.sender != row.user_id


def _refused(errcode: str, text: str, **more: int) -> MatrixError:
    """The proposal's own codes, as it spells them while it is one."""
    extra = {"org.matrix.msc4140.errcode": errcode, **{f"org.matrix.msc4140.{name}": one for name, one in more.items()}}
    return MatrixError(text, errcode="M_UNKNOWN", status=400, extra=extra)
