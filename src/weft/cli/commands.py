"""The commands by name."""

from __future__ import annotations

import click

from weft import __version__
from weft.cli.config import config
from weft.cli.doctor import doctor
from weft.cli.init import init
from weft.cli.keys import keys
from weft.cli.options import Commands
from weft.cli.rooms import graph, rooms
from weft.cli.serve import serve
from weft.cli.users import user


@click.group(cls=Commands)
def weft() -> None:
    """Weft, a Matrix homeserver.

    A server's data is in one folder, by default ./data; --data or the variable WEFT_DATA names another. The first two
    steps are `weft init` and `weft serve`.
    """


@weft.command()
def version() -> None:
    """Say which version this is."""
    click.echo(f"weft {__version__}")


for command in (init, serve, user, keys, graph, rooms, doctor, config):
    weft.add_command(command)
