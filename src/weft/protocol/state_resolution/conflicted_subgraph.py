"""The conflicted state subgraph (2.1): what lies on a path of `auth_events` between two conflicted events.

These are the events that are above one conflicted event and below another. Either side alone may be as large as the
room's history: all that stands above a member's join, or all that followed an old power level event. Seldom are both.
So both walks go on in turns, and the first to finish gives the answer, since each by itself holds all paths.

Rules: https://spec.matrix.org/v1.19/rooms/v12/#definitions
"""

from __future__ import annotations

from itertools import cycle
from typing import TYPE_CHECKING

from weft.protocol.state_resolution.auth_graph import Walk

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from weft.protocol.state_resolution.auth_graph import AuthGraph

_TURN = 64


def conflicted_subgraph(conflicted: Collection[str], graph: AuthGraph) -> set[str]:
    """The ids of the subgraph, the conflicted events themselves included."""

    def children(event_id: str) -> Iterator[str]:
        return (child for _, child in graph.children(event_id))

    down = Walk(conflicted, graph.load_children, children)
    up = Walk(conflicted, graph.load, graph.auth_events)
    return next(walk.reaching(conflicted) for walk in cycle((down, up)) if walk.finishes_within(_TURN))
