"""Pictures of event graphs: every event is there once, under those that build on it, and says what became of it."""

from __future__ import annotations

from xml.etree import ElementTree

from tests.protocol.rooms import Room, draw
from weft.graph.drawing import Drawn
from weft.graph.drawing import draw as draw_graph
from weft.graph.outcome import Outcome

SVG = "{http://www.w3.org/2000/svg}"
FORK = """
    create               alice create
    alice  <- create     alice join
    public <- alice      alice rule:public
    bob    <- public     bob@b join
    left   <- bob        alice message
    right  <- bob        bob@b message
    ban    <- left,right alice ban:bob@b
    late   <- right      bob@b message
"""


def circles(svg: str) -> dict[str, tuple[str, int, int]]:
    """By event id: the class, x and y of its circle."""
    found = {}
    for group in ElementTree.fromstring(svg).iter(f"{SVG}g"):
        circle = group.find(f"{SVG}circle")
        assert circle is not None
        found[group.attrib["id"]] = circle.attrib["class"], int(circle.attrib["cx"]), int(circle.attrib["cy"])
    return found


def drawn(room: Room, **outcomes: Outcome) -> list[Drawn]:
    return [Drawn(event, outcomes.get(name, Outcome.ACCEPTED)) for name, event in room.events.items()]


def test_what_is_built_on_is_below_and_branches_stand_side_by_side() -> None:
    room = draw("10", FORK)
    found = circles(draw_graph("a room", drawn(room), ends=[room["ban"].event_id, room["late"].event_id]))
    assert found.keys() == {event.event_id for event in room.events.values()}
    for event in room.events.values():
        for parent in event.prev_events:
            assert found[parent][2] > found[event.event_id][2]
    left, right = found[room["left"].event_id], found[room["right"].event_id]
    assert left[1] != right[1]
    assert len({(x, y) for _, x, y in found.values()}) == len(found)
    assert found[room["ban"].event_id][0] == "end state"
    assert found[room["late"].event_id][0] == "end"
    assert found[room["bob"].event_id][0] == "accepted state"
    assert left[0] == "accepted"


def test_a_line_for_each_edge() -> None:
    room = draw("10", FORK)
    svg = draw_graph("a room", drawn(room))
    edges = sum(len(event.prev_events) for event in room.events.values())
    assert len(list(ElementTree.fromstring(svg).iter(f"{SVG}path"))) == edges


def test_what_is_not_accepted_says_so() -> None:
    room = draw("10", FORK)
    svg = draw_graph("a room", drawn(room, late=Outcome.SOFT_FAILED, right=Outcome.REJECTED_BY_STATE))
    found = circles(svg)
    assert found[room["late"].event_id][0] == "soft-failed"
    assert found[room["right"].event_id][0] == "rejected"
    assert "m.room.message · @bob:b (soft-failed)" in svg
    assert "rejected event" in svg


def test_what_is_not_here_is_drawn_once_below() -> None:
    room = draw("10", FORK)
    part = [one for one in drawn(room) if one.event in (room["left"], room["right"], room["ban"])]
    found = circles(draw_graph("the newest", part))
    assert found[room["bob"].event_id][0] == "missing"
    assert found[room["bob"].event_id][2] == max(y for _, _, y in found.values())
    assert len(found) == 4


def test_texts_of_strangers_are_texts() -> None:
    room = draw("10", FORK)
    room.add("evil", "alice", "</text><script>alert(1)</script>\x00\n", {}, key='"><a onclick="x">')
    svg = draw_graph("<!-- & -->", drawn(room))
    assert "script>" not in svg.replace("&lt;/text&gt;&lt;script&gt;", "").replace("&lt;/script&gt;", "")
    assert ElementTree.fromstring(svg).find(f".//{SVG}script") is None
    assert not list(ElementTree.fromstring(svg).iter(f"{SVG}a"))


def test_nothing_to_draw() -> None:
    assert circles(draw_graph("nothing", [])) == {}
