"""Vectors, and their spelling in tokens and in SQL."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.storage.conftest import Transactions
from weft.protocol.errors import InvalidParam
from weft.storage.positions import NUMBER_MASK, WRITER_SHIFT, Vector, beyond, ranges_beyond, split, within

WRITERS = st.integers(1, 6)
VECTORS = st.dictionaries(WRITERS, st.integers(1, 5)).map(Vector)
POSITIONS = st.builds(lambda writer, number: writer << WRITER_SHIFT | number, WRITERS, st.integers(1, 6))
ANY_VECTOR = st.dictionaries(st.integers(1, (1 << 22) - 1), st.integers(1, NUMBER_MASK), max_size=20).map(Vector)


@given(ANY_VECTOR)
def test_what_is_spelled_is_read(vector: Vector) -> None:
    text = vector.spell()
    assert Vector.parse(text) == vector
    assert set(text) <= set("0123456789._")


@given(st.text(max_size=30) | st.text(alphabet="0123456789._-+ ", max_size=30))
def test_anything_else_is_refused(text: str) -> None:
    try:
        vector = Vector.parse(text)
    except InvalidParam:
        return
    assert Vector.parse(vector.spell()) == vector


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1",
        "1.",
        ".1",
        "1.1_",
        "_",
        "1.-1",
        "1.1.1",
        "٣.٣",
        "1. 1",
        f"{1 << 22}.1",
        f"1.{1 << 40}",
        "1." + "9" * 5000,
        "_".join(f"{writer}.1" for writer in range(1, 400)),
    ],
)
def test_tokens_that_nobody_made(text: str) -> None:
    with pytest.raises(InvalidParam):
        Vector.parse(text)


@given(VECTORS, POSITIONS)
def test_membership(vector: Vector, position: int) -> None:
    writer, number = split(position)
    assert (position in vector) == (number <= vector.number(writer))
    assert (position in vector) != any(after < position < before for after, before in ranges_beyond(vector))


@given(VECTORS, VECTORS)
def test_order(one: Vector, other: Vector) -> None:
    both = one.joined(other)
    assert both.covers(one)
    assert both.covers(other)
    assert both == other.joined(one)
    assert one.covers(other) == (both == one)
    assert (one.distance(other) == 0) == other.covers(one)


@given(VECTORS, st.lists(POSITIONS))
def test_advancing(vector: Vector, positions: list[int]) -> None:
    moved = vector.advanced(positions)
    assert moved.covers(vector)
    assert all(position in moved for position in positions)
    assert moved.advanced(positions) == moved


def test_sql_agrees_with_membership(transactions: Transactions) -> None:
    positions = [writer << WRITER_SHIFT | number for writer in range(1, 7) for number in range(1, 7)]

    with transactions() as tx:
        tx.many("INSERT INTO log (position, kind) VALUES (:position, 'x')", [{"position": p} for p in positions])

        @given(VECTORS)
        def agree(vector: Vector) -> None:
            inside = [p for (p,) in tx.all(f"SELECT position FROM log WHERE {within(vector)} ORDER BY position")]
            outside = [p for (p,) in tx.all(f"SELECT position FROM log WHERE {beyond(vector)} ORDER BY position")]
            assert inside == [p for p in positions if p in vector]
            assert outside == [p for p in positions if p not in vector]

        agree()


def test_the_longest_token_that_is_read_is_no_burden_for_the_database(transactions: Transactions) -> None:
    vector = Vector.parse("_".join(f"{writer}.1" for writer in range(1, 257)))
    with transactions() as tx:
        assert tx.all(f"SELECT position FROM log WHERE {beyond(vector)} AND {within(vector)}") == []
