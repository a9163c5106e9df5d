"""A room's event graph as a picture (SVG): the newest event on top, lines down to what each event builds on.

Forks are columns that part, merges are lines that meet. What was rejected or soft-failed is drawn apart from what
everybody sees, and so is what events build on that is not here.

https://spec.matrix.org/v1.19/server-server-api/#pdus
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from xml.sax.saxutils import escape

from weft.graph.order import parents_first
from weft.graph.outcome import Outcome
from weft.protocol.event import Event

_SVG: Final = "http://www.w3.org/2000/svg"
#: Pixels.
_ROW: Final = 26
_LANE: Final = 22
_MARGIN: Final = 18
_HEAD: Final = 64
_LETTER: Final = 7.3
_NARROWEST: Final = 760

_LONGEST_TEXT: Final = 110
_MISSING: Final = "missing"
_NAMES: Final[Mapping[Outcome | str, str]] = {
    Outcome.ACCEPTED: "accepted",
    Outcome.SOFT_FAILED: "soft-failed",
    Outcome.REJECTED: "rejected",
    Outcome.REJECTED_BY_STATE: "rejected",
    Outcome.OUTLIER: "outlier",
    _MISSING: _MISSING,
}
_LEGEND: Final = ("accepted", "state", "end", "soft-failed", "rejected", "outlier", _MISSING)

_STYLE: Final = """
svg { background: #fff; font: 12px ui-monospace, Menlo, Consolas, monospace; }
text { fill: #24292f; } text.quiet { fill: #6e7781; } text.title { font-size: 15px; font-weight: 600; }
path { fill: none; stroke: #8c959f; stroke-width: 1.6; } path.missing { stroke-dasharray: 3 3; }
circle { stroke-width: 2; }
circle.accepted { fill: #0969da; stroke: #0969da; } circle.state { fill: #fff; stroke: #0969da; }
circle.end { fill: #1a7f37; stroke: #1a7f37; } circle.end.state { fill: #fff; }
circle.soft-failed { fill: #fff3d6; stroke: #bf8700; stroke-dasharray: 3 2; }
circle.rejected { fill: #ffdcd7; stroke: #cf222e; } circle.outlier { fill: #eaeef2; stroke: #57606a; }
circle.missing { fill: #fff; stroke: #8c959f; stroke-dasharray: 2 2; }
text.rejected { fill: #cf222e; } text.soft-failed { fill: #9a6700; }
"""


@dataclass(frozen=True, slots=True)
class Drawn:
    """An event to be drawn, and what became of it."""

    event: Event
    outcome: Outcome = Outcome.ACCEPTED


@dataclass(frozen=True, slots=True)
class _Place:
    row: int
    lane: int

    @property
    def x(self) -> int:
        return _MARGIN + self.lane * _LANE

    @property
    def y(self) -> int:
        return _HEAD + self.row * _ROW


def draw(title: str, events: Iterable[Drawn], *, ends: Collection[str] = ()) -> str:
    """The graph of some events as an SVG document; `ends` are the ids of the room's forward extremities."""
    by_id = {one.event.event_id: one for one in events}
    ordered = [by_id[event.event_id] for event in reversed(parents_first(one.event for one in by_id.values()))]
    rows = [one.event.event_id for one in ordered]
    rows += dict.fromkeys(parent for one in ordered for parent in one.event.prev_events if parent not in by_id)
    places = _places(rows, {one.event.event_id: one.event.prev_events for one in ordered})
    text_x = _MARGIN + _LANE * (1 + max((place.lane for place in places.values()), default=0))
    texts = [_text_of(by_id[one]) if one in by_id else f"{one} is not here" for one in rows]
    width = max(_NARROWEST, int(text_x + _LETTER * max(map(len, texts), default=0)) + _MARGIN)
    height = _HEAD + len(rows) * _ROW + _MARGIN
    lines = [line for one in ordered for line in _lines(one.event, places, by_id)]
    nodes = [
        _node(by_id.get(event_id), event_id, places[event_id], text, text_x, is_end=event_id in ends)
        for event_id, text in zip(rows, texts, strict=True)
    ]
    return "\n".join(
        [
            f'<svg xmlns="{_SVG}" width="{width}" height="{height}" viewBox="0 0 {width} {height}">',
            f"<style>{_STYLE}</style>",
            f'<text class="title" x="{_MARGIN}" y="22">{escape(title)}</text>',
            *_legend(),
            *lines,
            *nodes,
            "</svg>\n",
        ]
    )


def _places(rows: Sequence[str], parents: Mapping[str, Sequence[str]]) -> dict[str, _Place]:
    """Each event's row and column. A column is kept for an event from its first child down to it."""
    places: dict[str, _Place] = {}
    #: What each column is kept for.
    lanes: list[str | None] = []

    def lane_for(event_id: str, wished: int | None = None) -> int:
        if event_id in lanes:
            return lanes.index(event_id)
        if wished is not None and lanes[wished] is None:
            lane = wished
        elif None in lanes:
            lane = lanes.index(None)
        else:
            lane = len(lanes)
            lanes.append(None)
        lanes[lane] = event_id
        return lane

    for row, event_id in enumerate(rows):
        lane = lane_for(event_id)
        places[event_id] = _Place(row, lane)
        lanes[lane] = None
        for parent in parents.get(event_id, ()):
            if parent not in places:
                lane_for(parent, lane)
    return places


def _lines(event: Event, places: Mapping[str, _Place], here: Collection[str]) -> list[str]:
    start = places[event.event_id]
    found = []
    for parent in event.prev_events:
        end = places[parent]
        kind = "" if parent in here else ' class="missing"'
        bend = min(start.y + _ROW, end.y)
        found.append(
            f'<path{kind} d="M{start.x} {start.y} C{start.x} {bend - 8} {end.x} {start.y + 8} {end.x} {bend}'
            f' L{end.x} {end.y}"/>'
        )
    return found


def _node(drawn: Drawn | None, event_id: str, place: _Place, text: str, text_x: int, *, is_end: bool) -> str:
    kind = _NAMES[drawn.outcome if drawn is not None else _MISSING]
    classes = [kind]
    if drawn is not None and drawn.outcome is Outcome.ACCEPTED:
        classes = (["end"] if is_end else [kind]) + (["state"] if drawn.event.state_key is not None else [])
    label = kind if drawn is None or drawn.outcome is Outcome.ACCEPTED else f"{kind} event"
    return (
        f'<g id="{escape(event_id, _QUOTES)}"><title>{escape(_details(drawn, event_id, label))}</title>'
        f'<circle class="{" ".join(classes)}" cx="{place.x}" cy="{place.y}" r="6"/>'
        f'<text class="{"quiet" if drawn is None else kind}" x="{text_x}" y="{place.y + 4}">{escape(text)}</text></g>'
    )


def _text_of(drawn: Drawn) -> str:
    """An event in one line: who did what, and what became of it. What people write to each other is not drawn."""
    event = drawn.event
    parts = [event.type if event.state_key is None else f"{event.type} [{event.state_key}]", event.sender]
    if event.membership is not None:
        parts.append(event.membership)
    text = _printable(" · ".join(parts))
    text = text if len(text) <= _LONGEST_TEXT else f"{text[:_LONGEST_TEXT]}…"
    return text if drawn.outcome is Outcome.ACCEPTED else f"{text} ({_NAMES[drawn.outcome]})"


def _details(drawn: Drawn | None, event_id: str, label: str) -> str:
    if drawn is None:
        return f"{event_id}\n{label}"
    event = drawn.event
    return _printable(
        f"{event_id}\n{label}, depth {event.depth}, by its sender's clock {event.origin_server_ts} ms\n"
        f"builds on {' '.join(event.prev_events) or 'nothing'}"
    )


def _legend() -> list[str]:
    x, found = _MARGIN, []
    for name in _LEGEND:
        classes = {"state": "accepted state", "end": "end"}.get(name, name)
        found.append(f'<circle class="{classes}" cx="{x}" cy="40" r="5"/>')
        shown = {"end": "end of the graph", _MISSING: "not here"}.get(name, name)
        found.append(f'<text class="quiet" x="{x + 10}" y="44">{shown}</text>')
        x += 26 + int(len(shown) * _LETTER)
    return found


def _printable(text: str) -> str:
    """Without what XML can't hold: senders are strangers."""
    return "".join(letter if letter.isprintable() or letter == "\n" else "\N{REPLACEMENT CHARACTER}" for letter in text)


_QUOTES: Final = {'"': "&quot;"}
