"""matrix-js-sdk, unmodified, on Node: each file in js/js_sdk is a scenario."""

from __future__ import annotations

import pytest

from tests.clients.conftest import Starter
from tests.clients.playing import play, scenarios
from tests.clients.running import RunningWeft

#: These want a server of their own, with such settings.
_APART = {"js_sdk/restart": {}, "js_sdk/sliding_sync": {}, "js_sdk/guest": {"registration.guests": "true"}}

pytestmark = pytest.mark.usefixtures("node")


@pytest.mark.parametrize("scenario", [name for name in scenarios("js_sdk") if name not in _APART])
def test_scenario(scenario: str, weft: RunningWeft) -> None:
    play(scenario, weft)


@pytest.mark.parametrize("scenario", sorted(_APART))
def test_scenario_on_a_server_of_its_own(scenario: str, start_weft: Starter) -> None:
    play(scenario, start_weft(_APART[scenario]))
