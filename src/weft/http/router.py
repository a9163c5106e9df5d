"""From a method and a raw path to what answers it.

The path is split at `/` before anything is percent-decoded, so a parameter may hold `%2F`. A literal segment wins
over a parameter at the same place; if the literal leads nowhere, the parameter is tried. A parameter is never empty
except as the last segment: `/rooms/{roomId}/state/{eventType}/` has the state key "".

Looking up is one dictionary access per segment (and one in all for a path without parameters). This is several
times as fast as a list of regular expressions; benchmarks/http_kit.py measures it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Generic, NamedTuple, TypeVar

from weft.http.percent import percent_decoded
from weft.protocol.errors import InvalidParam, Unrecognized

T = TypeVar("T")

#: Bytes of a path; more than any identifier in it could fill.
MAX_PATH: Final = 8192


class Match(NamedTuple, Generic[T]):
    target: T
    #: The parameters in the order in which the path has them, decoded.
    values: list[str]


@dataclass(slots=True)
class _Node(Generic[T]):
    literals: dict[str, _Node[T]] = field(default_factory=dict)
    parameter: _Node[T] | None = None
    methods: dict[str, T] = field(default_factory=dict)


class Router(Generic[T]):
    """A tree of path templates (`/profile/{userId}/{keyName}`), each with a target for every method."""

    def __init__(self) -> None:
        self._root: _Node[T] = _Node()
        self._fixed: dict[bytes, dict[str, T]] = {}

    def add(self, method: str, template: str, target: T) -> None:
        """Raises `ValueError` if the method and a template of the same shape are taken."""
        node = self._root
        for segment in template.split("/"):
            node = _child(node, segment)
        if method in node.methods:
            raise ValueError(f"two endpoints answer {method} {template}")
        node.methods[method] = target
        if "{" not in template:
            self._fixed[template.encode()] = node.methods

    def find(self, method: str, raw_path: bytes) -> Match[T]:
        """Raises `Unrecognized` (404, or 405 for a known path) or `InvalidParam`. HEAD is answered by GET's target."""
        if method == "HEAD":
            method = "GET"
        methods = self._fixed.get(raw_path)
        if methods is not None and method in methods:
            return Match(methods[method], [])
        return self._walk(method, raw_path)

    def _walk(self, method: str, raw_path: bytes) -> Match[T]:
        if len(raw_path) > MAX_PATH:
            raise Unrecognized("The path is too long.", status=414)
        segments, valid = _segments(raw_path)
        match = _descend(self._root, segments, method)
        if not valid:
            raise InvalidParam("The path is not valid percent-encoded UTF-8.")
        return match


def _child(node: _Node[T], segment: str) -> _Node[T]:
    if segment.startswith("{"):
        if node.parameter is None:
            node.parameter = _Node()
        return node.parameter
    child = node.literals.get(segment)
    if child is None:
        child = node.literals[segment] = _Node()
    return child


def _segments(raw_path: bytes) -> tuple[list[str], bool]:
    """The decoded segments, and whether all of them are text (`percent_decoded`)."""
    try:
        path = raw_path.decode()
    except UnicodeDecodeError:
        return raw_path.decode(errors="replace").split("/"), False
    segments = path.split("/")
    if "%" not in path:
        return segments, "\0" not in path
    valid = True
    for index, segment in enumerate(segments):
        if "%" in segment:
            decoded = percent_decoded(segment)
            valid = valid and decoded is not None
            segments[index] = "\ufffd" if decoded is None else decoded
    return segments, valid and "\0" not in path


def _descend(root: _Node[T], segments: list[str], method: str) -> Match[T]:
    """The target at the end of the path and the parameters on the way."""
    node = root
    values: list[str] = []
    known: dict[str, T] = {}
    # Where a literal was preferred: the place, the parameter's node, and how many values there were.
    forks: list[tuple[int, _Node[T], int]] = []
    index, last = 0, len(segments) - 1
    while True:
        segment = segments[index]
        step = node.literals.get(segment)
        parameter = node.parameter if segment or index == last else None
        if step is None and parameter is not None:
            step = parameter
            values.append(segment)
        elif parameter is not None:
            forks.append((index, parameter, len(values)))
        while step is None or index == last:
            if step is not None:
                if method in step.methods:
                    return Match(step.methods[method], values)
                known = known or step.methods
            if not forks:
                raise _unanswered(known)
            index, step, kept = forks.pop()
            values[kept:] = [segments[index]]
        node = step
        index += 1


def _unanswered(known: dict[str, T]) -> Unrecognized:
    if not known:
        return Unrecognized("Unrecognized request.")
    allowed = ", ".join(sorted({*known, "OPTIONS", *(("HEAD",) if "GET" in known else ())}))
    return Unrecognized("This path is not answered for this method.", status=405, headers={"Allow": allowed})
