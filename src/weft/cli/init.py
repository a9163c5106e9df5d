"""`weft init`: makes a data folder with settings, signing keys and a registration secret."""

from __future__ import annotations

import secrets
from pathlib import Path

import click

from weft.cli.options import Refused, data_option
from weft.protocol.identifiers import is_valid_server_name
from weft.server import signing_keys
from weft.server.config import Settings, load, reference

_SECRET = "registration.secret"


@click.command()
@data_option
@click.option(
    "--server-name",
    "names",
    multiple=True,
    metavar="DOMAIN",
    help="The domain of the server's users (@name:domain), for good. May be repeated. Default: localhost.",
)
@click.option("--if-missing", is_flag=True, help="Make only what is not there yet, and say nothing if all is.")
def init(data: Path, names: tuple[str, ...], if_missing: bool) -> None:
    """Make a data folder: settings, keys, secrets."""
    file = data / "weft.toml"
    if file.exists() and not if_missing:
        raise Refused(f"{file} exists already: nothing was changed")
    made = [] if file.exists() else _make_settings(file, names or ("localhost",))
    made.extend(make_missing_keys(load(file)))
    if made:
        click.echo(f"Made in {data}: {', '.join(made)}.")


def make_missing_keys(settings: Settings) -> list[str]:
    """Makes a signing key for each domain that has none; the names of the new files."""
    missing = [file for name in settings.server.names if not (file := settings.signing_key_file(name)).exists()]
    for file in missing:
        signing_keys.make(file)
    return [file.name for file in missing]


def _make_settings(file: Path, names: tuple[str, ...]) -> list[str]:
    for name in names:
        if not is_valid_server_name(name) or name != name.lower():
            raise Refused(f'"{name}" is not a server name: a domain in small letters, with or without a port')
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    secret = file.with_name(_SECRET)
    made = [file.name]
    if not secret.exists():
        signing_keys.write_private(secret, f"{secrets.token_urlsafe(32)}\n")
        made.append(_SECRET)
    chosen = {"server.names": list(dict.fromkeys(names)), "registration.shared_secret_file": _SECRET}
    file.write_text(reference.sample(chosen), encoding="utf-8")
    return made
