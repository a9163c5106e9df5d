"""`weft config`: about the settings themselves."""

from __future__ import annotations

import click

from weft.cli.options import Commands, Refused, Source, settings_options
from weft.server.config import SettingsError, reference


@click.group(cls=Commands)
def config() -> None:
    """Check settings, or print what there is to set."""


@config.command()
@settings_options
def check(source: Source) -> None:
    """Say everything that is wrong with the settings."""
    try:
        source.load()
    except SettingsError as error:
        for problem in error.problems[:-1]:
            click.echo(f"weft: {problem}", err=True)
        raise Refused(error.problems[-1]) from error
    click.echo(f"{source.file} is good.")


@config.command()
def sample() -> None:
    """Print a file of settings with every one explained."""
    click.echo(reference.sample(), nl=False)


@config.command("reference")
def print_reference() -> None:
    """Print the reference page (Markdown)."""
    click.echo(reference.page(), nl=False)
