"""A person with a browser: each file in js/browser is a walk through the server's own pages, in Chromium.

Screenshots of every page are kept in pytest's temporary folder; WEFT_SCREENSHOTS names another.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.clients.conftest import Starter
from tests.clients.playing import play, scenarios
from tests.clients.running import RunningWeft

_TERMS = """[
  { id = "privacy", version = "1.0", language = "en", name = "Privacy policy", url = "http://127.0.0.1/privacy" },
  { id = "privacy", version = "1.0", language = "de", name = "Datenschutz", url = "http://127.0.0.1/datenschutz" },
  { id = "conduct", version = "2.1", language = "en", name = "Manners", url = "http://127.0.0.1/conduct" },
]""".replace("\n", "")
#: These want a server of their own, with such settings.
_APART = {
    "browser/registration": {
        "registration.mode": "token",
        "registration.terms": _TERMS,
    },
}
#: These want a server that knows its own address.
_PUBLIC = ("browser/account", "browser/oauth", "browser/qr_code")
_TOKEN = "invited-by-alice"


@pytest.fixture
def environment(browser: str, tmp_path: Path) -> dict[str, str]:
    folder = Path(os.environ.get("WEFT_SCREENSHOTS", tmp_path / "screenshots"))
    folder.mkdir(exist_ok=True)
    return {"WEFT_BROWSER": browser, "WEFT_SCREENSHOTS": str(folder), "WEFT_REGISTRATION_TOKEN": _TOKEN}


@pytest.mark.parametrize("walk", [name for name in scenarios("browser") if name not in (*_APART, *_PUBLIC)])
def test_walk(walk: str, weft: RunningWeft, environment: dict[str, str]) -> None:
    play(walk, weft, environment)


@pytest.mark.parametrize("walk", _PUBLIC)
def test_walk_on_a_server_that_knows_its_address(walk: str, start_weft: Starter, environment: dict[str, str]) -> None:
    play(walk, start_weft(public=True), environment)


@pytest.mark.parametrize("walk", sorted(_APART))
def test_walk_on_a_server_of_its_own(
    walk: str, start_weft: Starter, environment: dict[str, str], tmp_path: Path
) -> None:
    tokens = tmp_path / "registration.tokens"
    tokens.write_text(f"{_TOKEN}\n")
    play(walk, start_weft({**_APART[walk], "registration.token_file": str(tokens)}), environment)
