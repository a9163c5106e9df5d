"""The rows of reports."""

from __future__ import annotations

from typing import Literal, NamedTuple

from weft.storage.database import Transaction, WriteTransaction

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
        f"""SELECT report, received_ms, reporter, about, room_id, event_id, user_id, reason, score
            FROM reports {condition} ORDER BY report {order} LIMIT :limit""",
        limit=limit,
        **({"after": after} if after is not None else {}),
    )
    return [ReportRow(row[0], NewReport(*row[1:])) for row in rows]


def total(tx: Transaction) -> int:
    return int(tx.value("SELECT COUNT(*) FROM reports"))
