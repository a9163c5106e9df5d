"""What the commands share: where the settings are, and how a refusal looks."""

from __future__ import annotations

import functools
import os
import shlex
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from weft.protocol.errors import WeftError
from weft.server.config import Settings, load


class Refused(click.ClickException):
    """Ends the command with one line on standard error and exit code 1."""

    def show(self, file: Any = None) -> None:
        click.echo(f"weft: {self.format_message()}", file=file or sys.stderr)


class Commands(click.Group):
    """A group whose commands end with one line, not a trace, when Weft refuses something or a file can't be used."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except WeftError as error:
            raise Refused(str(error)) from error
        except OSError as error:
            where = f"{error.filename}: " if error.filename else ""
            raise Refused(f"{where}{error.strerror or error}") from error


@dataclass(frozen=True, slots=True)
class Source:
    """Where the settings come from, as the options say."""

    data: Path
    config_file: Path | None
    sets: tuple[str, ...]

    @property
    def file(self) -> Path:
        return self.config_file or self.data / "weft.toml"

    @property
    def spelled(self) -> str:
        """The options again, for a command that people are told to run."""
        place = ["--config", str(self.config_file)] if self.config_file else ["--data", str(self.data)]
        return shlex.join([*place, *(part for item in self.sets for part in ("--set", item))])

    def load(self) -> Settings:
        """Raises `SettingsError`."""
        return load(self.file, environ=os.environ, sets=self.sets)


data_option = click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    default="data",
    envvar="WEFT_DATA",
    show_envvar=True,
    show_default=True,
    help="The data folder.",
)
_config_option = click.option(
    "--config",
    "config_file",
    type=click.Path(path_type=Path, dir_okay=False),
    envvar="WEFT_CONFIG",
    show_envvar=True,
    help="The file of settings, if it is not weft.toml in the data folder.",
)
_set_option = click.option(
    "--set",
    "sets",
    multiple=True,
    metavar="NAME=VALUE",
    help="A setting that wins over the file, for example database.url=sqlite:other.db. May be repeated.",
)


def settings_options(command: Callable[..., None]) -> Callable[..., None]:
    """`--data`, `--config` and `--set`, which the command gets as one argument, `source`."""

    @functools.wraps(command)
    def with_source(*args: Any, data: Path, config_file: Path | None, sets: tuple[str, ...], **kwargs: Any) -> None:
        command(*args, source=Source(data, config_file, sets), **kwargs)

    return data_option(_config_option(_set_option(with_source)))
