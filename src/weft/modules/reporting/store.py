"""The rows of reports."""

from __future__ import annotations

from typing import Literal, NamedTuple

from weft.storage.database import Row, Transaction, WriteTransaction

About = Literal["event", "room", "user"]


class NewReport(NamedTuple):
    """`user_id`: whom it is about; of an event its sender. `received_ms` is milliseconds since 1970."""

    received_ms: int
    reporter: str
    about: About
    room_id: str | None = None
    event_id: str | None = None
    user_id: str | None = None
    reason: str | None = None
    score: int | None = None


class ReportRow(NamedTuple):
    number: int
    report: NewReport


_COLUMNS = "report, received_ms, reporter, about, room_id, event_id, user_id, reason, score"


def insert(tx: WriteTransaction, report: NewReport) -> None:
    tx.run(
        """INSERT INTO reports (received_ms, reporter, about, room_id, event_id, user_id, reason, score)
           VALUES (:received_ms, :reporter, :about, :room_id, :event_id, :user_id, :reason, :score)""",
        **report._asdict(),
    )


def page(tx: Transaction, after: int | None, limit: int, *, newest_first: bool) -> list[ReportRow]:
    """The reports that follow the one numbered `after`; without it, from the beginning of the order."""
    comparison, order = ("<", "DESC") if newest_first else (">", "ASC")
    condition = f"WHERE report {comparison} :after" if after is not None else ""
    rows = tx.all(
        f"""SELECT {_COLUMNS} FROM reports {condition} ORDER BY report {order} LIMIT :limit""",
        limit=limit,
        **({"after": after} if after is not None else {}),
    )
    return [_row(row) for row in rows]


class Wanted(NamedTuple):
    """Which reports of events. None: whoever's."""

    reporter: str | None = None
    room_id: str | None = None
    #: Who sent the event.
    about_user: str | None = None


def of_events(
    tx: Transaction, wanted: Wanted, *, start: int, limit: int, newest_first: bool
) -> tuple[list[ReportRow], int]:
    """A page of the reports of events, and how many there are in all."""
    columns = {"reporter": wanted.reporter, "room_id": wanted.room_id, "user_id": wanted.about_user}
    params = {column: value for column, value in columns.items() if value is not None}
    where = " AND ".join(["about = 'event'", *(f"{column} = :{column}" for column in params)])
    rows = tx.all(
        f"""SELECT {_COLUMNS} FROM reports WHERE {where} ORDER BY report {"DESC" if newest_first else "ASC"}
            LIMIT :limit OFFSET :start""",
        limit=limit,
        start=start,
        **params,
    )
    count: int = tx.value(f"SELECT COUNT(*) FROM reports WHERE {where}", **params)
    return [_row(row) for row in rows], count


def of_event(tx: Transaction, number: int) -> ReportRow | None:
    """One report of an event."""
    row = tx.one(f"SELECT {_COLUMNS} FROM reports WHERE report = :number AND about = 'event'", number=number)
    return _row(row) if row else None


def delete(tx: WriteTransaction, number: int) -> bool:
    """Removes a report of an event. Whether it was there."""
    return bool(tx.run("DELETE FROM reports WHERE report = :number AND about = 'event'", number=number))


def _row(row: Row) -> ReportRow:
    return ReportRow(row[0], NewReport(*row[1:]))


def total(tx: Transaction) -> int:
    return int(tx.value("SELECT COUNT(*) FROM reports"))
