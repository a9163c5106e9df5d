"""`weft keys`: the signing keys of the server's domains, and the one-time keys of its users' devices."""

from __future__ import annotations

import asyncio
import time

import click

from weft.cli import running
from weft.cli.assembled import assembly
from weft.cli.options import Commands, Refused, Source, settings_options
from weft.server import signing_keys


@click.group(cls=Commands)
def keys() -> None:
    """Look after the signing keys of the server's domains, and the keys that devices have left here."""


@keys.command()
@click.option("--domain", metavar="DOMAIN", help="The domain. May be left out where there is only one.")
@settings_options
def rotate(source: Source, domain: str | None) -> None:
    """Give a domain a new signing key. Stop the server before.

    The former key signs nothing any more; its public half is kept and published, so that what it signed stays good.
    """
    settings = source.load()
    names = settings.server.names
    if domain is None and len(names) > 1:
        raise Refused(f"this server has several domains: name one of {', '.join(names)} with --domain")
    name = domain or names[0]
    if name not in names:
        raise Refused(f'"{name}" is not a domain of this server: it has {", ".join(names)}')
    if running.find(settings) is not None:
        raise Refused("the server is running and would go on signing with the former key: stop it first")
    file = settings.signing_key_file(name)
    former, fresh = signing_keys.rotate(file, settings.old_signing_keys_file(name), now_ms=time.time_ns() // 1_000_000)
    click.echo(f"{name} signs with {fresh.key_id} from now on; {former.key_id} has ended. Keep a copy of {file}.")


@keys.command("forget-one-time")
@settings_options
def forget_one_time(source: Source) -> None:
    """Give none of the one-time keys away that devices have left here, so that they leave new ones.

    For a server that was set back to an earlier time without being able to see it: a snapshot of the whole machine, or
    a dump whose rows were read into the tables that were there. Keys that were given away since would be given again.
    """
    settings = source.load()
    if settings.is_sqlite and running.find(settings) is not None:
        raise Refused("the server is running: stop it first")
    count = asyncio.run(assembly().forget_one_time_keys(settings))
    click.echo(f"{count} one-time keys are given to nobody any more. Devices upload new ones when they next sync.")
