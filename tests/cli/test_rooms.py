"""`weft graph` and `weft rooms compare`, on a stopped server and on one that runs."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.commands import free_port, refused, run
from weft.cli.rooms import describe
from weft.protocol.api.client.room_inspection import CompareRoomResponse, End, ServerComparison, StateDifference


@pytest.fixture
def room_id(data: Path) -> Iterator[str]:
    """A room on a server that runs as long as the test."""
    file = data / "weft.toml"
    port = free_port()
    file.write_text(re.sub(r"\nport = \d+", f"\nport = {port}", file.read_text()))
    assert run("user", "create", "alice", "--password-file", "-", "--data", data, typed="correct horse").exit_code == 0
    served = subprocess.Popen(
        [Path(sys.executable).with_name("weft"), "serve", "--data", data],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    try:
        yield _create_room(f"http://127.0.0.1:{port}")
    finally:
        served.terminate()
        served.communicate(timeout=30)


def _create_room(base: str) -> str:
    login = {
        "type": "m.login.password",
        "identifier": {"type": "m.id.user", "user": "alice"},
        "password": "correct horse",
    }
    for _ in range(200):
        try:
            token = _post(f"{base}/_matrix/client/v3/login", login)["access_token"]
            break
        except OSError:
            time.sleep(0.1)
    return str(_post(f"{base}/_matrix/client/v3/createRoom", {"room_version": "11"}, str(token))["room_id"])


def _post(url: str, body: object, token: str = "") -> dict[str, object]:
    request = urllib.request.Request(
        url, json.dumps(body).encode(), {"Authorization": f"Bearer {token}"} if token else {}
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        found: dict[str, object] = json.load(answer)
        return found


def test_a_running_server_draws_and_compares(data: Path, room_id: str, tmp_path: Path) -> None:
    picture = tmp_path / "room.svg"
    drawn = run("graph", room_id, "--data", data, "--output", picture)
    assert drawn.exit_code == 0, drawn.output
    assert str(picture) in drawn.stdout
    assert "m.room.create" in picture.read_text()
    compared = run("rooms", "compare", room_id, "--data", data)
    assert compared.exit_code == 0, compared.output
    assert "room version 11" in compared.stdout
    assert "No other server is in the room." in compared.stdout
    assert "not know that room" in refused("graph", "!other:localhost", "--data", data, "--output", picture)


def test_a_stopped_server_says_what_is_not_there(data: Path, tmp_path: Path) -> None:
    assert "not know that room" in refused("graph", "!room:localhost", "--data", data)
    assert "not know that room" in refused("rooms", "compare", "!room:localhost", "--data", data)


def test_a_comparison_in_words() -> None:
    found = CompareRoomResponse(
        room_id="!r:a",
        room_version="12",
        ends=["$end"],
        servers=[
            ServerComparison(server_name="same.test", same=True, compared_before=["$end"]),
            ServerComparison(server_name="away.test", error="it does not answer"),
            ServerComparison(
                server_name="other.test",
                same=False,
                ends=[End(event_id="$theirs", here="unknown")],
                compared_before=["$end"],
                differences=[
                    StateDifference(
                        type="m.room.topic", state_key="", ours="$a", theirs="$b", their_event_here="rejected"
                    ),
                    StateDifference(type="m.room.name", state_key="", ours="$c"),
                ],
                more=3,
            ),
        ],
    )
    text = "\n".join(describe(found))
    assert "same.test: the same state." in text
    assert "away.test: could not be compared: it does not answer." in text
    assert "other.test: DIFFERS in 5 places of the state." in text
    assert "m.room.topic '': ours $a, theirs $b (which is rejected here)" in text
    assert "m.room.name '': ours $c, theirs nothing" in text
    assert "its copy ends with $theirs, which is not here" in text
    assert "and 3 more" in text
