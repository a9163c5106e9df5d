"""The budget for memory."""

from __future__ import annotations

from collections import OrderedDict

from hypothesis import given
from hypothesis import strategies as st

from weft.storage.cache import Budget, Cache

STEPS = st.lists(
    st.tuples(st.sampled_from(["put", "get", "drop"]), st.integers(0, 6), st.binary(max_size=30)), max_size=60
)


@given(STEPS, st.integers(0, 60), st.integers(1, 3))
def test_a_cache_holds_the_newest_that_fit(steps: list[tuple[str, int, bytes]], limit: int, at_least: int) -> None:
    evicted: list[bytes] = []
    cache: Cache[int, bytes] = Cache("test", limit, len, at_least=at_least, on_evict=evicted.append)
    model: OrderedDict[int, bytes] = OrderedDict()
    for step, key, value in steps:
        if step == "put":
            model.pop(key, None)
            model[key] = value
            expected: list[bytes] = []
            while sum(map(len, model.values())) > limit and len(model) > at_least:
                expected.append(model.popitem(last=False)[1])
            evicted.clear()
            cache.put(key, value)
            assert evicted == expected
        elif step == "get":
            assert cache.get(key) == model.get(key)
            if key in model:
                model.move_to_end(key)
        else:
            cache.drop(key)
            model.pop(key, None)
        assert cache.values() == list(model.values())
        assert cache.bytes == sum(map(len, model.values()))
        assert len(cache) == len(model)


def test_looking_is_not_using() -> None:
    cache: Cache[int, bytes] = Cache("test", 2, len)
    cache.put(1, b"a")
    cache.put(2, b"b")
    assert cache.peek(1) == b"a"
    cache.put(3, b"c")
    assert cache.peek(1) is None
    assert cache.peek(2) == b"b"
    assert (cache.hits, cache.misses) == (0, 0)
    assert cache.get(2) == b"b"
    assert cache.get(1) is None
    assert (cache.hits, cache.misses) == (1, 1)
    cache.clear()
    assert (len(cache), cache.bytes) == (0, 0)


def test_each_cache_has_its_share_of_the_budget() -> None:
    budget = Budget(1_000)
    first, second = budget.cache("first", 0.5, len), budget.cache("second", 0.1, len)
    assert (first.limit, second.limit) == (500, 100)
    first.put(1, b"x" * 300)
    first.put(2, b"x" * 300)
    second.put(1, b"x" * 80)
    assert budget.held == {"first": 300, "second": 80}
