"""Places in the log.

Each process that writes holds a writer id and numbers its own entries 1, 2, 3 … without gaps. One entry's place is a
`position`: both packed into one integer, so that it can be a primary key. A `Vector` says for each writer how far one
has read: a cut through the log that means the same to every process. A sync token is a vector, spelled.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from weft.protocol.errors import InvalidParam

WRITER_SHIFT = 40
NUMBER_MASK = (1 << WRITER_SHIFT) - 1
_MAX_WRITER = (1 << 22) - 1
#: The positions from 1 up to this one are history's.
HISTORY_END = (1 << WRITER_SHIFT) - 1
#: Above every position, and above every event's depth.
END = (1 << 63) - 1
#: How many writers a spelled vector may name: far more than ever write to one database.
_MAX_PAIRS = 256
_MAX_DIGITS = len(str(NUMBER_MASK))


class Entry(NamedTuple):
    """One entry of the log. What `room`, `user_id` and `key` mean is up to the kind."""

    position: int
    kind: str
    room: int | None = None
    user_id: str | None = None
    key: str | None = None
    payload: object = None


def split(position: int) -> tuple[int, int]:
    """The writer and the number of a position."""
    return position >> WRITER_SHIFT, position & NUMBER_MASK


class Vector:
    """`{writer: number}`, immutable. Writers that are absent count as 0."""

    __slots__ = ("_numbers", "_text")

    def __init__(self, numbers: dict[int, int] | None = None) -> None:
        self._numbers = numbers or {}
        #: As it is spelled, once it has been: a head is told to many.
        self._text = ""

    def __contains__(self, position: int) -> bool:
        writer = position >> WRITER_SHIFT
        return not writer or position & NUMBER_MASK <= self._numbers.get(writer, 0)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Vector) and self._numbers == other._numbers

    def __hash__(self) -> int:
        return hash(frozenset(self._numbers.items()))

    def __repr__(self) -> str:
        return f"Vector({self.spell()})"

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return iter(self._numbers.items())

    @property
    def is_of_one_writer(self) -> bool:
        return len(self._numbers) == 1

    def number(self, writer: int) -> int:
        return self._numbers.get(writer, 0)

    def covers(self, other: Vector) -> bool:
        """Whether everything in `other` is in this one."""
        mine = self._numbers
        return all(mine.get(writer, 0) >= number for writer, number in other._numbers.items())

    def advanced(self, positions: Iterable[int]) -> Vector:
        """This vector, moved on to include the positions (each the next of its writer, or later)."""
        numbers = dict(self._numbers)
        for position in positions:
            writer, number = position >> WRITER_SHIFT, position & NUMBER_MASK
            if number > numbers.get(writer, 0):
                numbers[writer] = number
        return Vector(numbers)

    def joined(self, other: Vector) -> Vector:
        """The smallest vector that covers both."""
        numbers = dict(self._numbers)
        for writer, number in other:
            numbers[writer] = max(number, numbers.get(writer, 0))
        return Vector(numbers)

    def distance(self, older: Vector) -> int:
        """How many entries this one has that `older` lacks."""
        return sum(max(0, number - older.number(writer)) for writer, number in self._numbers.items())

    def spell(self) -> str:
        """As text of `[0-9._]`: `writer.number` pairs joined by `_`."""
        if not self._text:
            pairs = [f"{writer}.{number}" for writer, number in sorted(self._numbers.items())]
            self._text = "_".join(pairs) or "0.0"
        return self._text

    @classmethod
    def parse(cls, text: str) -> Vector:
        """Reads what `spell` wrote; raises `InvalidParam` for anything else."""
        numbers: dict[int, int] = {}
        pairs = text.split("_", _MAX_PAIRS)
        if len(pairs) > _MAX_PAIRS:
            raise InvalidParam("The token is not one that this server made.")
        for pair in pairs:
            writer, dot, number = pair.partition(".")
            if not (dot and _is_number(writer) and _is_number(number)):
                raise InvalidParam("The token is not one that this server made.")
            if int(writer) > _MAX_WRITER or int(number) > NUMBER_MASK:
                raise InvalidParam("The token is not one that this server made.")
            if int(number):
                numbers[int(writer)] = int(number)
        return cls(numbers)


class Moment(NamedTuple):
    """A place in a list that is in the order of time: milliseconds since 1970, then a position in the log."""

    ms: int
    position: int

    def spell(self, letter: str) -> str:
        """As a token; the letter says of which list."""
        return f"{letter}{self.ms}_{self.position}"

    @classmethod
    def parse(cls, letter: str, token: str) -> Moment:
        """Reads what `spell` wrote; raises `InvalidParam` for anything else."""
        ms, _, position = token[1:].partition("_")
        are_numbers = all(one.isascii() and one.isdigit() and len(one) < 19 for one in (ms, position))
        if not token.startswith(letter) or not are_numbers:
            raise InvalidParam("The token is not one that this server made.")
        return cls(int(ms), int(position))


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS


def ranges_beyond(vector: Vector) -> list[tuple[int, int]]:
    """The positions that are not in the vector, as pairs of bounds that are themselves left out."""
    ranges: list[tuple[int, int]] = []
    start = HISTORY_END
    for writer, number in sorted(vector):
        if not writer:
            continue
        first = writer << WRITER_SHIFT
        if first > start + 1:
            ranges.append((start, first))
        start = first + number
    return [*ranges, (start, END)]


def ranges_between(since: Vector, upto: Vector) -> list[tuple[int, int]]:
    """The positions of one vector that are not in another, as pairs of bounds that are themselves left out."""
    return [
        ((writer << WRITER_SHIFT) + since.number(writer), (writer << WRITER_SHIFT) + number + 1)
        for writer, number in upto
        if number > since.number(writer)
    ]


def beyond(vector: Vector, column: str = "position") -> str:
    """The SQL condition that a position is not in the vector, as ranges that an index can serve."""
    ranges = [f"({column} > {after} AND {column} < {before})" for after, before in ranges_beyond(vector)]
    return f"({' OR '.join(ranges)})"


def within(vector: Vector, column: str = "position") -> str:
    """The SQL condition that a position is in the vector."""
    covered = "".join(
        f" OR {column} BETWEEN {writer << WRITER_SHIFT} AND {(writer << WRITER_SHIFT) + number}"
        for writer, number in vector
        if writer
    )
    return f"({column} <= {HISTORY_END}{covered})"
