"""`weft serve`: runs the server until it is told to stop."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from weft.cli import ports
from weft.cli.assembled import assembly
from weft.cli.options import Refused, Source, settings_options
from weft.server import signing_keys
from weft.server.config import Settings


@click.command()
@settings_options
def serve(source: Source) -> None:
    """Run the server. Ctrl-C stops it."""
    settings = source.load()
    for name in settings.server.names:
        signing_keys.read(settings.signing_key_file(name))
    for problem in ports.problems(settings.listeners):
        raise Refused(problem)

    def ready(addresses: Sequence[str]) -> None:
        click.echo(welcome(settings, addresses, f"{_program()} user create {source.spelled} NAME"))

    assembly().run(settings, ready=ready)


def welcome(settings: Settings, addresses: Sequence[str], create_user: str) -> str:
    """What is said once the server answers. `addresses` are those of the client listeners."""
    return "\n".join(
        (
            f"Weft is running for {', '.join(settings.server.names)}.",
            f"  Address    {' '.join(addresses)} (the homeserver address to give to a Matrix client)",
            f"  Accounts   {create_user}",
            "             run that in another terminal; the first account becomes the server's administrator",
            f"  Data       {settings.server.data_dir.resolve()}",
            "  Stop       Ctrl-C; the next start goes on with the same data",
        )
    )


def _program() -> str:
    """How this program was called, so that the line can be copied."""
    program = Path(sys.argv[0])
    on_path = any((Path(folder) / program.name) == program for folder in os.get_exec_path())
    shown = program.name if on_path else os.path.relpath(program) if program.is_absolute() else str(program)
    return shlex.quote(shown)
