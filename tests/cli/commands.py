"""Runs commands of the command line."""

from __future__ import annotations

import socket

from click.testing import CliRunner, Result

from weft.cli.commands import weft


def run(*arguments: object, typed: str | None = None, **environ: str) -> Result:
    return CliRunner(env={"WEFT_DATA": None, "WEFT_CONFIG": None, **environ}).invoke(
        weft, [str(argument) for argument in arguments], input=typed
    )


def refused(*arguments: object, typed: str | None = None) -> str:
    """The one line of a command that must be refused."""
    result = run(*arguments, typed=typed)
    assert result.exit_code == 1
    line = result.stderr.strip()
    assert line.startswith("weft: ")
    assert "\n" not in line
    return line.removeprefix("weft: ")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
