"""The token buckets."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weft.http.limits import UNLIMITED, Limiter, Rate


def limiter(per_second: float = 1.0, burst: int = 3, max_keys: int = 1000) -> Limiter:
    return Limiter({"test": Rate(per_second, burst), "free": None}, max_keys=max_keys)


def test_a_burst_then_one_after_another() -> None:
    one = limiter(per_second=2)
    assert [one.allow("test", "alice", 10.0) for _ in range(4)] == [None, None, None, 500]
    assert one.allow("test", "alice", 10.25) == 250
    assert one.allow("test", "alice", 10.5) is None
    assert one.allow("test", "alice", 10.5) == 500


def test_a_refusal_costs_nothing() -> None:
    one = limiter(burst=1)
    assert one.allow("test", "alice", 0.0) is None
    assert {one.allow("test", "alice", 0.5) for _ in range(50)} == {500}
    assert one.allow("test", "alice", 1.0) is None


def test_keys_and_names_are_apart() -> None:
    one = Limiter({"a": Rate(1, 1), "b": Rate(1, 1)})
    assert [one.allow(*pair, 0.0) for pair in (("a", "x"), ("a", "y"), ("b", "x"))] == [None, None, None]
    assert one.allow("a", "x", 0.0) == 1000


def test_idle_for_long_is_full_and_no_fuller() -> None:
    one = limiter()
    one.allow("test", "alice", 0.0)
    assert [one.allow("test", "alice", 1e6) for _ in range(4)] == [None, None, None, 1000]


def test_unlimited() -> None:
    one = limiter()
    assert {one.allow("free", "alice", 0.0) for _ in range(100)} == {None}
    off = Limiter({"test": Rate(1, 1)}, enabled=False)
    assert {off.allow("test", "alice", 0.0) for _ in range(100)} == {None}
    assert UNLIMITED.allow("whatever", "alice", 0.0) is None


def test_an_unknown_name_is_a_mistake() -> None:
    one = limiter()
    assert one.missing(["test", "nowhere"]) == ["nowhere"]
    with pytest.raises(KeyError):
        one.allow("nowhere", "alice", 0.0)


def test_memory_is_bounded_and_full_buckets_go_first() -> None:
    one = limiter(per_second=0.001, burst=1, max_keys=10)
    one.allow("test", "busy", 0.0)
    for number in range(1000):
        one.allow("test", f"stranger {number}", float(number))
        assert one.remembered() <= 10
    quick = limiter(per_second=100, burst=1, max_keys=10)
    quick_then_slow = [quick.allow("test", f"passer-by {number}", number / 10) for number in range(100)]
    assert set(quick_then_slow) == {None}
    assert quick.remembered() <= 10


@pytest.mark.parametrize(("per_second", "burst"), [(0, 1), (-1, 1), (float("inf"), 1), (float("nan"), 1), (1, 0)])
def test_rates_that_make_no_sense(per_second: float, burst: int) -> None:
    with pytest.raises(ValueError, match="rate"):
        Rate(per_second, burst)


@given(st.floats(0.1, 100), st.integers(1, 20), st.lists(st.floats(0, 2), min_size=1, max_size=60))
def test_never_more_than_the_rate_and_waiting_helps(per_second: float, burst: int, gaps: list[float]) -> None:
    one = limiter(per_second=per_second, burst=burst)
    now = 0.0
    for allowed, gap in enumerate(gaps, 1):
        now += gap
        wait = one.allow("test", "alice", now)
        if wait is not None:
            now += wait / 1000
            assert one.allow("test", "alice", now) is None
        assert allowed <= burst + per_second * now + 1e-6
