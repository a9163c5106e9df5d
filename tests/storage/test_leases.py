"""What only one process should do at a time."""

from __future__ import annotations

from tests.storage.conftest import Transactions
from weft.storage import leases
from weft.storage.positions import WRITER_SHIFT


def test_a_lease_has_one_holder_until_it_expires(transactions: Transactions) -> None:
    with transactions() as tx:
        assert leases.take(tx, "job", "one", now_ms=1_000, for_ms=100)
        assert leases.take(tx, "other job", "other", now_ms=1_000, for_ms=100)
        assert not leases.take(tx, "job", "other", now_ms=1_099, for_ms=100)
        assert leases.holder(tx, "job", now_ms=1_099) == "one"
        assert leases.holder(tx, "job", now_ms=1_100) is None
        assert leases.take(tx, "job", "other", now_ms=1_100, for_ms=100)
        assert not leases.take(tx, "job", "one", now_ms=1_150, for_ms=100)
        assert leases.holder(tx, "job", now_ms=1_150) == "other"


def test_a_lease_can_be_renewed_and_given_up(transactions: Transactions) -> None:
    with transactions() as tx:
        assert leases.take(tx, "job", "one", now_ms=0, for_ms=100)
        assert leases.take(tx, "job", "one", now_ms=90, for_ms=100)
        assert leases.holder(tx, "job", now_ms=150) == "one"
        leases.release(tx, "job", "other")
        assert leases.holder(tx, "job", now_ms=150) == "one"
        leases.release(tx, "job", "one")
        assert leases.holder(tx, "job", now_ms=150) is None
        assert leases.take(tx, "job", "other", now_ms=150, for_ms=1)


def test_the_only_writer_goes_on_where_it_was(transactions: Transactions) -> None:
    with transactions() as tx:
        assert leases.only_writer(tx, "first start") == (1, 0)
        for number in (1, 2, 3):
            tx.run("INSERT INTO log (position, kind) VALUES (:p, 'x')", p=1 << WRITER_SHIFT | number)
        tx.run("INSERT INTO log (position, kind) VALUES (:p, 'x')", p=2 << WRITER_SHIFT | 9)
        assert leases.only_writer(tx, "second start") == (1, 3)
        assert leases.newest_number(tx, 2) == 9
        assert leases.newest_number(tx, 3) == 0
        assert tx.all("SELECT writer, holder FROM writers") == [(1, "second start")]


def test_no_two_runs_have_one_number(transactions: Transactions) -> None:
    with transactions() as tx:
        runs = [leases.new_run(tx, "test") for _ in range(5)]
        assert len(set(runs)) == 5
        assert min(runs) > 0
