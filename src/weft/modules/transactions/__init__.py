"""Transactions of other servers. https://spec.matrix.org/v1.19/server-server-api/#transactions"""

from weft.modules.module import Module, Task
from weft.modules.transactions.federation_api import FederationApi
from weft.modules.transactions.service import Transactions
from weft.rooms.engine import Engine

__all__ = ["Transactions", "module"]


def module(engine: Engine, transactions: Transactions) -> Module:
    remote = engine.remote
    return Module(
        name="transactions",
        routes=FederationApi(transactions).routes(),
        tasks=(
            Task(name="events left behind", every_seconds=30, run=remote.staging.resume),
            Task(name="gaps in rooms' pasts", every_seconds=10, run=remote.backfill.fill),
            Task(name="old transaction ids", every_seconds=3600, run=transactions.prune),
        ),
    )
