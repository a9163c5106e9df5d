"""The server itself: its names, where it listens, where it keeps its things, what it writes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import msgspec

from weft.settings.values import Doc, Port, Section

Resource = Literal["client", "federation", "metrics"]


class Server(Section, frozen=True, kw_only=True):
    """Who this server is, and where it keeps its things."""

    names: Annotated[
        tuple[str, ...],
        msgspec.Meta(min_length=1),
        Doc(
            text="The domains this server is home to: the part after the colon in @user:domain. The first is the one "
            "meant where none is named. Names are for good: accounts and rooms carry them, so a name can be added "
            "but never changed.",
        ),
    ] = ("localhost",)
    data_dir: Annotated[
        Path,
        Doc(
            text="The folder of everything that must be kept: the database, keys, media. Relative to the folder of "
            "this file, so that by default the folder can be copied and started elsewhere. Every other relative "
            "path is relative to this folder."
        ),
    ] = Path()
    keys_dir: Annotated[
        Path,
        Doc(
            text="The folder of the signing keys, one file per domain.",
            risk="Whoever can read a key can speak in the name of the domain. A domain that lost its key can't "
            "speak at all: keep a copy.",
        ),
    ] = Path("keys")
    public_url: Annotated[
        str | None,
        Doc(
            text="The address by which clients reach this server from outside. It is what "
            "/.well-known/matrix/client answers; without it that document is not served, and people have to type "
            "the server's address into their client.",
            example='"https://matrix.example.org"',
        ),
    ] = None


class Contact(Section, frozen=True, kw_only=True):
    """Someone to turn to, in `/.well-known/matrix/support`."""

    role: Annotated[
        str,
        Doc(text="m.role.admin, m.role.security, m.role.dpo, or a name of your own.", example='"m.role.admin"'),
    ]
    matrix_id: Annotated[str | None, Doc(text="Their user id.", example='"@admin:example.org"')] = None
    email_address: Annotated[str | None, Doc(text="Their address.", example='"admin@example.org"')] = None


class WellKnown(Section, frozen=True, kw_only=True):
    """What this server says of itself under `/.well-known/matrix/`, for each of its domains."""

    server: Annotated[
        str | None,
        Doc(
            text="Where other servers find this one (host and port), as /.well-known/matrix/server answers. "
            "Without it they go to the domain itself, port 8448.",
            example='"matrix.example.org:443"',
        ),
    ] = None
    identity_server: Annotated[
        str | None,
        Doc(text="The identity server that clients are pointed to.", example='"https://identity.example.org"'),
    ] = None
    support_page: Annotated[
        str | None,
        Doc(text="A page for people who need help with this server.", example='"https://example.org/help"'),
    ] = None
    contacts: Annotated[
        tuple[Contact, ...],
        Doc(
            text="Whom to ask.",
            example='[{ role = "m.role.admin", matrix_id = "@admin:example.org", email_address = "a@example.org" }]',
        ),
    ] = ()


class Listener(Section, frozen=True, kw_only=True):
    """An address that Weft listens on. There may be several; each serves what its `resources` name."""

    address: Annotated[
        str,
        Doc(
            text="The IP address to listen on: 127.0.0.1 for this machine only, 0.0.0.0 or :: for everybody.",
            risk="Without TLS, passwords and messages cross the network readable to all on the way. Listen beyond "
            "this machine only with TLS, or behind a reverse proxy that has it.",
        ),
    ] = "127.0.0.1"
    port: Annotated[Port, Doc(text="The TCP port; 0 lets the system choose one.")] = 8008
    resources: Annotated[
        tuple[Resource, ...],
        msgspec.Meta(min_length=1),
        Doc(
            text='What is served here: "client" (the Client-Server API), "federation" (the Server-Server API), '
            '"metrics" (/metrics, for Prometheus).',
            risk="Metrics tell about the server's users as numbers: keep them on an address that only the "
            "collector reaches.",
        ),
    ] = ("client", "federation")
    tls_certificate_file: Annotated[
        Path | None,
        Doc(text="The certificate chain (PEM). With it and the key, this listener speaks TLS.", example='"tls.crt"'),
    ] = None
    tls_key_file: Annotated[Path | None, Doc(text="The certificate's private key (PEM).", example='"tls.key"')] = None
    trusted_proxies: Annotated[
        tuple[str, ...],
        Doc(
            text="The addresses or networks of reverse proxies whose X-Forwarded-For is believed. Behind a proxy, "
            "set it: otherwise everybody shares the proxy's rate limit.",
            example='["127.0.0.1", "10.0.0.0/8"]',
            risk="Whoever connects from such an address can claim to be any other address.",
        ),
    ] = ()


class Database(Section, frozen=True, kw_only=True):
    """Where everything is stored."""

    url: Annotated[
        str,
        Doc(
            text='"sqlite:FILE" for the embedded database (one process), or "postgresql://user@host/name" for '
            "PostgreSQL (any number of processes on any number of machines).",
            risk="A password in this address can be read by whoever reads this file: use password_file.",
        ),
    ] = "sqlite:weft.db"
    password_file: Annotated[
        Path | None,
        Doc(text="The file that holds the PostgreSQL password.", example='"postgres.password"'),
    ] = None


class Logging(Section, frozen=True, kw_only=True):
    """What is written to standard error. Secrets and message contents never are."""

    level: Annotated[Literal["debug", "info", "warning", "error"], Doc(text="The least that is written.")] = "info"
    format: Annotated[
        Literal["text", "json"],
        Doc(text='"text" for people, "json" for collectors (one object a line).'),
    ] = "text"
