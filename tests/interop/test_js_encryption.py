"""Encrypted conversations of matrix-js-sdk with its Rust crypto, between two Wefts and between Weft and Synapse.

The scenarios are those that `tests/clients` plays on one server; here the second of the two people lives elsewhere.
"""

from __future__ import annotations

import pytest

from tests.clients.conftest import node
from tests.clients.playing import play
from tests.interop.conftest import Pair
from tests.interop.homeservers import Homeserver, Weft
from weft.http.serve import Tls

__all__ = ["node"]

scenarios = pytest.mark.parametrize("scenario", ["js_sdk/encryption", "js_sdk/verification"])
pytestmark = pytest.mark.usefixtures("node")


def play_between(scenario: str, here: Homeserver, there: Homeserver, tls: Tls, witness: Weft) -> None:
    """`witness` keeps what the client has to say."""
    where = {"WEFT_URL": here.url, "WEFT_OTHER_URL": there.url, "NODE_EXTRA_CA_CERTS": str(tls.certificate)}
    play(scenario, witness, where)


@scenarios
def test_with_synapse(scenario: str, pair: Pair, weft: Weft, tls: Tls) -> None:
    play_between(scenario, pair.host, pair.guest, tls, weft)


@scenarios
def test_between_two_wefts(scenario: str, weft: Weft, second_weft: Weft, tls: Tls) -> None:
    play_between(scenario, weft, second_weft, tls, weft)
