"""What administrators ask for and takes longer than a request: one job after the other, through restarts.

A job is a row and an entry of the log; the follower that does jobs begins one again that a process left unfinished, so
whatever a job does must bear being done twice.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, NamedTuple

import orjson
import structlog

from weft.modules.module import Task
from weft.protocol.errors import MatrixError, NotFound
from weft.rooms.engine import Engine
from weft.storage.database import DatabaseError, Transaction, WriteTransaction
from weft.storage.followers import Follower
from weft.storage.positions import Entry

log = structlog.get_logger(__name__)

FOLLOWER: Final = "administrators' jobs"
#: The kind of log entry: `key` is the job's id.
KIND: Final = "admin_job"
#: How long it is told what became of a job.
KEPT_MS: Final = 7 * 24 * 3_600_000

SCHEDULED, ACTIVE, COMPLETE, FAILED = "scheduled", "active", "complete", "failed"


class Job(NamedTuple):
    """`subject`: the room or the user that it is about. `changed_ms`: milliseconds since 1970."""

    job_id: str
    action: str
    subject: str
    requester: str
    arguments: dict[str, Any]
    status: str
    result: dict[str, Any]
    error: str | None
    changed_ms: int


#: Does a job, as far as it is not done yet; returns its result.
Work = Callable[[Job], Awaitable[dict[str, Any]]]
#: More writes for the transaction in which a job begins.
Also = Callable[[WriteTransaction], None]


class Jobs:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._database = engine.database
        #: By action.
        self.work: dict[str, Work] = {}
        self.follower = Follower(FOLLOWER, {KIND}, self._handle)
        self.tasks = [Task(name="jobs that are long done", every_seconds=3_600, run=self.prune)]

    async def begin(
        self, action: str, subject: str, requester: str, arguments: dict[str, Any], also: Also | None = None
    ) -> str:
        """Has a job done; returns its id."""
        job_id = self._engine.outside.token(24)
        job = Job(job_id, action, subject, requester, arguments, SCHEDULED, {}, None, self._engine.outside.now_ms())
        await self._database.write(_insert, job, also)
        return job_id

    async def ended(self, job_id: str) -> Job:
        """The job, once it is done."""
        await self._engine.followed(FOLLOWER)
        return await self.one(job_id)

    async def one(self, job_id: str, action: str | None = None) -> Job:
        """Raises `NotFound`, also for a job of another action."""
        found = await self._database.get(_one, job_id)
        if found is None or action not in (None, found.action):
            raise NotFound("There is no such job, or it is long done.")
        return found

    async def of(self, action: str | None, subject: str | None) -> list[Job]:
        """The jobs of an action and about a subject, the newest last."""
        return await self._database.read(_of, action, subject)

    async def note(self, job: Job, result: dict[str, Any]) -> None:
        """Writes down what a job has done so far."""
        await self._write(job, ACTIVE, result)

    def note_in(self, tx: WriteTransaction, job: Job, result: dict[str, Any]) -> None:
        """As `note`, in a transaction that does something for the job."""
        _update(tx, job.job_id, ACTIVE, result, None, self._engine.outside.now_ms())

    async def _write(self, job: Job, status: str, result: dict[str, Any], error: str | None = None) -> None:
        now_ms = self._engine.outside.now_ms()
        await self._database.write(_update, job.job_id, status, result, error, now_ms)

    async def _handle(self, entries: Sequence[Entry]) -> None:
        for entry in entries:
            job = await self._database.get(_one, entry.key or "")
            if job is not None and job.status in (SCHEDULED, ACTIVE):
                await self._do(job)

    async def _do(self, job: Job) -> None:
        await self._write(job, ACTIVE, job.result)
        try:
            result = await self.work[job.action](job)
        except DatabaseError:
            raise
        except MatrixError as error:
            await self._fail(job, error.message)
        except Exception as error:
            log.exception("what an administrator asked for failed", action=job.action, subject=job.subject)
            await self._fail(job, f"{type(error).__name__}; the server's log says more")
        else:
            await self._write(job, COMPLETE, result)

    async def _fail(self, job: Job, error: str) -> None:
        so_far = await self._database.get(_one, job.job_id)
        await self._write(job, FAILED, so_far.result if so_far is not None else {}, error)

    async def prune(self) -> None:
        """Forgets jobs that have been over for long."""
        await self._database.write(_prune, self._engine.outside.now_ms() - KEPT_MS)


_COLUMNS: Final = "job_id, action, subject, requester, arguments, status, result, error, changed_ms"


def _insert(tx: WriteTransaction, job: Job, also: Also | None) -> None:
    row = {**job._asdict(), "arguments": orjson.dumps(job.arguments), "result": orjson.dumps(job.result)}
    tx.run(f"INSERT INTO admin_jobs ({_COLUMNS}) VALUES ({', '.join(f':{name}' for name in row)})", **row)
    if also is not None:
        also(tx)
    tx.append(KIND, key=job.job_id)


def _one(tx: Transaction, job_id: str) -> Job | None:
    row = tx.one(f"SELECT {_COLUMNS} FROM admin_jobs WHERE job_id = :job_id", job_id=job_id)
    return _job(row) if row else None


def _of(tx: Transaction, action: str | None, subject: str | None) -> list[Job]:
    params = {name: value for name, value in (("action", action), ("subject", subject)) if value is not None}
    where = " AND ".join(["1 = 1", *(f"{name} = :{name}" for name in params)])
    rows = tx.all(f"SELECT {_COLUMNS} FROM admin_jobs WHERE {where} ORDER BY changed_ms, job_id LIMIT 1000", **params)
    return [_job(row) for row in rows]


def _job(row: tuple[Any, ...]) -> Job:
    return Job._make((*row[:4], orjson.loads(bytes(row[4])), row[5], orjson.loads(bytes(row[6])), *row[7:]))


def _update(
    tx: WriteTransaction, job_id: str, status: str, result: dict[str, Any], error: str | None, now_ms: int
) -> None:
    tx.run(
        """UPDATE admin_jobs SET status = :status, result = :result, error = :error, changed_ms = :now
           WHERE job_id = :job_id""",
        status=status,
        result=orjson.dumps(result),
        error=error,
        now=now_ms,
        job_id=job_id,
    )


def _prune(tx: WriteTransaction, before_ms: int) -> None:
    tx.run(
        "DELETE FROM admin_jobs WHERE changed_ms < :before AND status IN :ended",
        before=before_ms,
        ended=[COMPLETE, FAILED],
    )
