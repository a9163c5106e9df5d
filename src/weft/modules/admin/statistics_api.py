"""The endpoints of statistics.

https://element-hq.github.io/synapse/latest/admin_api/statistics.html
"""

from __future__ import annotations

from typing import Any, Final

from weft.http.call import Call, Route, route
from weft.modules.admin.user_store import like
from weft.protocol.api.synapse_admin import statistics as api
from weft.storage.database import Database, Transaction

_MAX_PAGE: Final = 1_000
#: Names that the answer's rows have, too.
_ORDERS: Final = {
    "user_id": "m.user_id",
    "displayname": "COALESCE(MAX(d.display_name), '')",
    "media_length": "SUM(m.size)",
    "media_count": "COUNT(*)",
}


class StatisticsApi:
    def __init__(self, database: Database) -> None:
        self._database = database

    def routes(self) -> list[Route[Any, Any]]:
        return [route(api.USER_MEDIA_STATISTICS, self.user_media)]

    async def user_media(self, call: Call[api.UserMediaStatisticsRequest]) -> api.UserMediaStatisticsResponse:
        users, total = await self._database.read(_user_media, call.args)
        upto = call.args.from_ + len(users)
        return api.UserMediaStatisticsResponse(
            users=users, total=total, next_token=upto if users and upto < total else None
        )


def _user_media(tx: Transaction, args: api.UserMediaStatisticsRequest) -> tuple[list[api.UserMediaStatistic], int]:
    where = "m.user_id IS NOT NULL AND m.hash IS NOT NULL AND m.created_ms >= :from_ms"
    params: dict[str, Any] = {"from_ms": args.from_ts}
    if args.until_ts is not None:
        where += " AND m.created_ms <= :until_ms"
        params["until_ms"] = args.until_ts
    if args.search_term:
        where += " AND (LOWER(m.user_id) LIKE :of_id ESCAPE '!' OR LOWER(d.display_name) LIKE :of_name ESCAPE '!')"
        params["of_id"] = f"@%{like(args.search_term)}%:%"
        params["of_name"] = f"%{like(args.search_term)}%"
    tables = "FROM media m LEFT JOIN user_directory d ON d.user_id = m.user_id"
    direction = "DESC" if args.dir == "b" else "ASC"
    rows = tx.all(
        f"""SELECT m.user_id, MAX(d.display_name), COUNT(*), SUM(m.size) {tables} WHERE {where}
            GROUP BY m.user_id ORDER BY {_ORDERS[args.order_by]} {direction}, m.user_id LIMIT :limit OFFSET :start""",
        limit=min(args.limit, _MAX_PAGE),
        start=args.from_,
        **params,
    )
    total: int = tx.value(f"SELECT COUNT(DISTINCT m.user_id) {tables} WHERE {where}", **params)
    users = [
        api.UserMediaStatistic(user_id=user_id, displayname=name, media_count=count, media_length=int(size))
        for user_id, name, count, size in rows
    ]
    return users, total
