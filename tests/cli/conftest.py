"""What tests of the command line start from."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.commands import free_port, run


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder as `weft init` leaves it, its listener on a port that was free a moment ago."""
    folder = tmp_path / "data"
    assert run("init", "--data", folder).exit_code == 0
    file = folder / "weft.toml"
    file.write_text(file.read_text().replace("# port = 8008", f"port = {free_port()}"))
    return folder
