"""`weft user`: accounts, from the command line.

`create` asks the running server where it answers and has a registration secret; otherwise, and for everything else,
the command opens the database itself, which with SQLite means that the server must not be running.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import click

from weft.cli import running
from weft.cli.assembled import assembly
from weft.cli.options import Commands, Refused, Source, settings_options
from weft.protocol.identifiers import domain_of, localpart_of
from weft.server.config import Settings
from weft.storage.database import DatabaseInUse


@click.group(cls=Commands)
def user() -> None:
    """Make accounts, set passwords."""


def _password_option(command: click.decorators.FC) -> click.decorators.FC:
    return click.option(
        "--password-file",
        type=click.Path(path_type=Path, dir_okay=False, exists=True, allow_dash=True),
        help="The file of the password, or - for standard input. Without it the password is asked for.",
    )(command)


@user.command()
@click.argument("name")
@click.option("--admin/--no-admin", default=None, help="Default: only the first account is an administrator.")
@_password_option
@settings_options
def create(name: str, admin: bool | None, password_file: Path | None, source: Source) -> None:
    """Make an account. NAME is alice or @alice:domain."""
    settings = source.load()
    user_id = user_id_of(name, settings)
    made = create_user(settings, user_id, _password(password_file, settings), admin)
    click.echo(f"Made {made}.")


@user.command("reset-password")
@click.argument("name")
@_password_option
@settings_options
def reset_password(name: str, password_file: Path | None, source: Source) -> None:
    """Set the password of an account and end all its sessions. NAME is alice or @alice:domain."""
    settings = source.load()
    user_id = user_id_of(name, settings)
    set_password(settings, user_id, _password(password_file, settings))
    click.echo(f"The password of {user_id} is set; all its sessions are ended.")


def create_user(settings: Settings, user_id: str, password: str, admin: bool | None) -> str:
    """Makes the account and returns its id."""
    on_first_domain = domain_of(user_id) == settings.server.names[0]
    has_secret = settings.registration.shared_secret_file is not None
    server = running.find(settings) if on_first_domain and has_secret else None
    if server is not None:
        return running.create_user(settings, server, localpart_of(user_id), password, admin=bool(admin))

    async def work() -> str:
        async with assembly().accounts(settings) as accounts:
            return await accounts.create(user_id, password, admin=admin)

    try:
        return asyncio.run(work())
    except DatabaseInUse as error:
        if not (on_first_domain and has_secret):
            raise
        ports = " and ".join(str(one.port) for one in settings.listeners if "client" in one.resources)
        hint = (
            f"If it is this server, it listens elsewhere than on port {ports}; say where: --set listeners.0.port=PORT."
        )
        raise Refused(f"{error} {hint}") from None


def set_password(settings: Settings, user_id: str, password: str) -> None:
    """Sets a password and ends the account's sessions."""

    async def work() -> None:
        async with assembly().accounts(settings) as accounts:
            await accounts.set_password(user_id, password)

    asyncio.run(work())


def user_id_of(name: str, settings: Settings) -> str:
    """The whole id of a user of this server."""
    if not name.startswith("@"):
        return f"@{name}:{settings.server.names[0]}"
    localpart, colon, domain = name[1:].partition(":")
    if not colon or not localpart or domain not in settings.server.names:
        raise Refused(f"{name} is not of this server: it is home to {', '.join(settings.server.names)}")
    return name


def _password(file: Path | None, settings: Settings) -> str:
    if file is None:
        password = str(click.prompt("Password", hide_input=True, confirmation_prompt="The same again"))
    else:
        text = sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8")
        password = text.removesuffix("\n")
    if len(password) < settings.passwords.minimum_length:
        raise Refused(f"the password is too short: it needs {settings.passwords.minimum_length} characters")
    return password
