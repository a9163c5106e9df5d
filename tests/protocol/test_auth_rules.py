"""The numbers of the authorisation rules, written down from the specification's list of each room version."""

from __future__ import annotations

import pytest

from weft.protocol.auth_rules import rule_number, violation
from weft.protocol.room_versions import ROOM_VERSIONS

#: Versions whose lists are numbered alike; I.1 and the version that it is tested by are version 10.
FAMILIES = {
    "1": ["1", "2"],
    "3": ["3", "4", "5"],
    "6": ["6"],
    "7": ["7"],
    "8": ["8", "9"],
    "10": ["10", "I.1", "org.matrix.msc1767.10"],
    "11": ["11"],
    "12": ["12"],
}

TABLE = """
rule                                  1        3        6        7        8        10       11       12
create.prev_events                    1.1      1.1      1.1      1.1      1.1      1.1      1.1      1.1
create.room_id                        1.2      1.2      1.2      1.2      1.2      1.2      1.2      1.2
create.room_version                   1.3      1.3      1.3      1.3      1.3      1.3      1.3      1.3
create.creator                        1.4      1.4      1.4      1.4      1.4      1.4      -        -
create.additional_creators            -        -        -        -        -        -        -        1.4
room                                  -        -        -        -        -        -        -        2
auth_events.duplicate                 2.1      2.1      2.1      2.1      2.1      2.1      2.1      3.1
auth_events.not_selected              2.2      2.2      2.2      2.2      2.2      2.2      2.2      3.2
auth_events.rejected                  2.3      2.3      2.3      2.3      2.3      2.3      2.3      3.3
auth_events.create                    2.4      2.4      2.4      2.4      2.4      2.4      2.4      -
auth_events.other_room                2.5      2.5      2.5      2.5      2.5      2.5      2.5      3.4
federate                              3        3        3        3        3        3        3        4
aliases.state_key                     4.1      4.1      -        -        -        -        -        -
aliases.domain                        4.2      4.2      -        -        -        -        -        -
member.shape                          5.1      5.1      4.1      4.1      4.1      4.1      4.1      5.1
member.authorised_via.signature       -        -        -        -        4.2.1    4.2.1    4.2.1    5.2.1
member.join.first                     5.2.1    5.2.1    4.2.1    4.2.1    4.3.1    4.3.1    4.3.1    5.3.1
member.join.sender                    5.2.2    5.2.2    4.2.2    4.2.2    4.3.2    4.3.2    4.3.2    5.3.2
member.join.banned                    5.2.3    5.2.3    4.2.3    4.2.3    4.3.3    4.3.3    4.3.3    5.3.3
member.join.invited                   5.2.4    5.2.4    4.2.4    4.2.4    4.3.4    4.3.4    4.3.4    5.3.4
member.join.restricted.invited        -        -        -        -        4.3.5.1  4.3.5.1  4.3.5.1  5.3.5.1
member.join.restricted.authoriser     -        -        -        -        4.3.5.2  4.3.5.2  4.3.5.2  5.3.5.2
member.join.public                    5.2.5    5.2.5    4.2.5    4.2.5    4.3.6    4.3.6    4.3.6    5.3.6
member.join.otherwise                 5.2.6    5.2.6    4.2.6    4.2.6    4.3.7    4.3.7    4.3.7    5.3.7
member.invite.third_party.banned      5.3.1.1  5.3.1.1  4.3.1.1  4.3.1.1  4.4.1.1  4.4.1.1  4.4.1.1  5.4.1.1
member.invite.third_party.signed      5.3.1.2  5.3.1.2  4.3.1.2  4.3.1.2  4.4.1.2  4.4.1.2  4.4.1.2  5.4.1.2
member.invite.third_party.fields      5.3.1.3  5.3.1.3  4.3.1.3  4.3.1.3  4.4.1.3  4.4.1.3  4.4.1.3  5.4.1.3
member.invite.third_party.mxid        5.3.1.4  5.3.1.4  4.3.1.4  4.3.1.4  4.4.1.4  4.4.1.4  4.4.1.4  5.4.1.4
member.invite.third_party.token       5.3.1.5  5.3.1.5  4.3.1.5  4.3.1.5  4.4.1.5  4.4.1.5  4.4.1.5  5.4.1.5
member.invite.third_party.sender      5.3.1.6  5.3.1.6  4.3.1.6  4.3.1.6  4.4.1.6  4.4.1.6  4.4.1.6  5.4.1.6
member.invite.third_party.signature   5.3.1.7  5.3.1.7  4.3.1.7  4.3.1.7  4.4.1.7  4.4.1.7  4.4.1.7  5.4.1.7
member.invite.third_party.otherwise   5.3.1.8  5.3.1.8  4.3.1.8  4.3.1.8  4.4.1.8  4.4.1.8  4.4.1.8  5.4.1.8
member.invite.sender                  5.3.2    5.3.2    4.3.2    4.3.2    4.4.2    4.4.2    4.4.2    5.4.2
member.invite.target                  5.3.3    5.3.3    4.3.3    4.3.3    4.4.3    4.4.3    4.4.3    5.4.3
member.invite.level                   5.3.4    5.3.4    4.3.4    4.3.4    4.4.4    4.4.4    4.4.4    5.4.4
member.invite.otherwise               5.3.5    5.3.5    4.3.5    4.3.5    4.4.5    4.4.5    4.4.5    5.4.5
member.leave.own                      5.4.1    5.4.1    4.4.1    4.4.1    4.5.1    4.5.1    4.5.1    5.5.1
member.leave.sender                   5.4.2    5.4.2    4.4.2    4.4.2    4.5.2    4.5.2    4.5.2    5.5.2
member.leave.unban                    5.4.3    5.4.3    4.4.3    4.4.3    4.5.3    4.5.3    4.5.3    5.5.3
member.leave.kick                     5.4.4    5.4.4    4.4.4    4.4.4    4.5.4    4.5.4    4.5.4    5.5.4
member.leave.otherwise                5.4.5    5.4.5    4.4.5    4.4.5    4.5.5    4.5.5    4.5.5    5.5.5
member.ban.sender                     5.5.1    5.5.1    4.5.1    4.5.1    4.6.1    4.6.1    4.6.1    5.6.1
member.ban.level                      5.5.2    5.5.2    4.5.2    4.5.2    4.6.2    4.6.2    4.6.2    5.6.2
member.ban.otherwise                  5.5.3    5.5.3    4.5.3    4.5.3    4.6.3    4.6.3    4.6.3    5.6.3
member.knock.join_rule                -        -        -        4.6.1    4.7.1    4.7.1    4.7.1    5.7.1
member.knock.sender                   -        -        -        4.6.2    4.7.2    4.7.2    4.7.2    5.7.2
member.knock.membership               -        -        -        4.6.3    4.7.3    4.7.3    4.7.3    5.7.3
member.knock.otherwise                -        -        -        4.6.4    4.7.4    4.7.4    4.7.4    5.7.4
member.unknown                        5.6      5.6      4.6      4.7      4.8      4.8      4.8      5.8
sender                                6        6        5        5        5        5        5        6
third_party_invite.level              7.1      7.1      6.1      6.1      6.1      6.1      6.1      7.1
level                                 8        8        7        7        7        7        7        8
state_key                             9        9        8        8        8        8        8        9
power_levels.integers                 -        -        -        -        -        9.1      9.1      10.1
power_levels.integer_maps             -        -        -        -        -        9.2      9.2      10.2
power_levels.users                    10.1     10.1     9.1      9.1      9.1      9.3      9.3      10.3
power_levels.creators                 -        -        -        -        -        -        -        10.4
power_levels.first                    10.2     10.2     9.2      9.2      9.2      9.4      9.4      10.5
power_levels.single.current           10.3.1   10.3.1   9.3.1    9.3.1    9.3.1    9.5.1    9.5.1    10.6.1
power_levels.single.new               10.3.2   10.3.2   9.3.2    9.3.2    9.3.2    9.5.2    9.5.2    10.6.2
power_levels.events_removed.current   10.4.1   10.4.1   9.4.1    9.4.1    9.4.1    9.6.1    9.6.1    10.7.1
power_levels.events_added.new         10.5.1   10.5.1   9.5.1    9.5.1    9.5.1    9.7.1    9.7.1    10.8.1
power_levels.users_removed.current    10.6.1   10.6.1   9.6.1    9.6.1    9.6.1    9.8.1    9.8.1    10.9.1
power_levels.users_added.new          10.7.1   10.7.1   9.7.1    9.7.1    9.7.1    9.9.1    9.9.1    10.10.1
redaction.level                       11.1     -        -        -        -        -        -        -
redaction.domain                      11.2     -        -        -        -        -        -        -
redaction.otherwise                   11.3     -        -        -        -        -        -        -
"""

HEAD, *ROWS = [line.split() for line in TABLE.strip().splitlines()]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_number(row: list[str]) -> None:
    name, *numbers = row
    for family, number in zip(HEAD[1:], numbers, strict=True):
        for identifier in FAMILIES[family]:
            if number == "-":
                with pytest.raises(KeyError):
                    rule_number(ROOM_VERSIONS[identifier], name)
            else:
                assert rule_number(ROOM_VERSIONS[identifier], name) == number


def test_every_version_is_in_the_table() -> None:
    assert sorted(identifier for family in FAMILIES.values() for identifier in family) == sorted(ROOM_VERSIONS)


def test_a_violation_says_its_number_and_why() -> None:
    error = violation(ROOM_VERSIONS["12"], "member.join.banned", "@eve:e is banned from the room.")
    assert error.rule == "5.3.3"
    assert (error.status, error.errcode) == (403, "M_FORBIDDEN")
    assert error.message == "@eve:e is banned from the room. (authorisation rule 5.3.3)"
