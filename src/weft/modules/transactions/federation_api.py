"""https://spec.matrix.org/v1.19/server-server-api/#transactions"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from weft.http.call import Call, Route, route
from weft.modules.transactions.service import Transactions
from weft.protocol.api.endpoint import Raw
from weft.protocol.api.federation import transactions as api


class FederationApi:
    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    def routes(self) -> Sequence[Route[Any, Any]]:
        return [route(api.SEND_TRANSACTION, self.send_transaction)]

    async def send_transaction(self, call: Call[api.SendTransactionRequest]) -> Raw:
        return Raw(body=await self._transactions.take(call.origin, call.args))
