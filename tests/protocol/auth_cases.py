"""Cases for the authorisation rules, one on a line:

    rule  versions | state; state | attempt

`rule` is the name of the rule that must refuse the attempt, or `-` if it must be allowed. `versions` is a
range such as `7-12`. The states are set up first, whether allowed or not, and the attempt is an event after
them. Both are spelled as in `tests.protocol.rooms`, without name and predecessors; a state without a sender
is sent by alice, and `create {…}` says what is different about the create event. The room in which this
happens is `BASE`.
"""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from tests.protocol.rooms import Room, draw
from weft.protocol.auth_rules import rule_number
from weft.protocol.errors import AuthRuleViolation
from weft.protocol.event_auth import authorise
from weft.protocol.room_versions import ROOM_VERSIONS, RoomVersion

#: alice created the room; ada stands at 100, mod and peer at 50, bob and ben nowhere; guest is invited, eve banned.
BASE = """
    create            alice create
    alice  <- create  alice join
    power  <- alice   alice power {"ada": 100, "mod": 50, "peer": 50}
    public <- power   alice rule:public
    ada    <- public  ada join
    mod    <- ada     mod join
    peer   <- mod     peer join
    bob    <- peer    bob@b join
    ben    <- bob     ben@b join
    guest  <- ben     mod invite:guest@g
    eve    <- guest   mod ban:eve@e
    base   <- eve     mod x.nothing/ {}
"""


@dataclass(frozen=True)
class Case:
    rule: str | None
    first_version: int
    last_version: int
    states: tuple[str, ...]
    attempt: str

    def __str__(self) -> str:
        return f"{self.rule or 'allowed'}: {self.attempt}"


def each(text: str) -> pytest.MarkDecorator:
    """Runs a test with every case (as `case`) of a table in every version (as `version`) that the case is about."""
    cases = [_case(line.strip()) for line in text.splitlines() if line.strip()]
    pairs = [
        pytest.param(case, version, id=f"{case} in {version.identifier}")
        for case in cases
        for version in ROOM_VERSIONS.values()
        if case.first_version <= number_of(version) <= case.last_version
    ]
    return pytest.mark.parametrize(("case", "version"), pairs)


def number_of(version: RoomVersion) -> int:
    """`I.1` and its name for tests are version 10 here."""
    return int(version.identifier) if version.identifier.isdigit() else 10


def check(case: Case, version: RoomVersion) -> None:
    """Fails unless the case comes out as it says."""
    room, before = set_up(case.states, version)
    room.draw(f"new <- {before} {case.attempt}")
    state = room.state_after(before).get
    if case.rule is None:
        authorise(room["new"], state)
        return
    with pytest.raises(AuthRuleViolation) as raised:
        authorise(room["new"], state)
    assert raised.value.rule == rule_number(version, case.rule), raised.value.message


def set_up(states: tuple[str, ...], version: RoomVersion) -> tuple[Room, str]:
    """The room with the states of a case, and the name of the last of them."""
    creates = [state for state in states if state.startswith("create ")]
    base = BASE.replace("alice create", f"alice {creates[0]}", 1) if creates else BASE
    room, before = draw(version, base), "base"
    for number, line in enumerate(state for state in states if state not in creates):
        has_sender = " " in line.split("{")[0].strip()
        room.draw(f"s{number} <- {before} {line if has_sender else 'alice ' + line}")
        before = f"s{number}"
    return room, before


def _case(line: str) -> Case:
    head, states, attempt = (part.strip() for part in line.split("|"))
    rule, versions = head.split()
    first, _, last = versions.partition("-")
    lines = tuple(state.strip() for state in states.split(";") if state.strip())
    return Case(None if rule == "-" else rule, int(first), int(last or first), lines, attempt)
