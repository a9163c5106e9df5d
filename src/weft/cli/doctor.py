"""`weft doctor`: looks for what keeps a server from working well, and says what to do about it.

It changes nothing here or elsewhere. Each check gives findings; one that is `BAD` makes the command end with code 1.
"""

from __future__ import annotations

import asyncio
import ctypes
import importlib
import os
import resource
import shutil
import ssl
import stat
import time
from collections.abc import Callable, Iterator

import click

from weft.cli import ports, running
from weft.cli.findings import Finding, Verdict
from weft.cli.options import Source, settings_options
from weft.protocol.errors import WeftError
from weft.server import signing_keys
from weft.server.config import Settings, SettingsError, database_url
from weft.server.config.read import unknown_variables
from weft.server.modules import TABLES
from weft.storage.open import examine_database


@click.command()
@settings_options
@click.pass_context
def doctor(context: click.Context, source: Source) -> None:
    """Look for what keeps the server from working well."""
    findings = []
    try:
        settings = source.load()
    except SettingsError as error:
        findings = [Finding(Verdict.BAD, f"Settings: {problem}.") for problem in error.problems]
    else:
        findings = [Finding(Verdict.GOOD, f"Settings: {source.file} is good."), *examine(settings)]
    for finding in findings:
        click.echo(f"{finding.verdict.value:4}  {finding.text}")
    if any(finding.verdict is Verdict.BAD for finding in findings):
        context.exit(1)


def examine(settings: Settings) -> Iterator[Finding]:
    """Every finding about a server with good settings."""
    for check in _CHECKS:
        yield from check(settings)


def _environment(settings: Settings) -> Iterator[Finding]:
    for name in unknown_variables(os.environ):
        yield Finding(Verdict.ODD, f"Environment: {name} looks like a setting and is none.")


def _data_folder(settings: Settings) -> Iterator[Finding]:
    folder = settings.server.data_dir
    if not os.access(folder, os.W_OK | os.X_OK):
        yield Finding(Verdict.BAD, f"Data folder: {folder} can't be written.")
        return
    free = shutil.disk_usage(folder).free
    verdict = Verdict.GOOD if free >= 1 << 30 else Verdict.ODD
    yield Finding(verdict, f"Data folder: {folder} can be written; {free >> 20} MiB are free.")


def _keys(settings: Settings) -> Iterator[Finding]:
    for name in settings.server.names:
        try:
            key = signing_keys.read(settings.signing_key_file(name))
            former = signing_keys.read_old(settings.old_signing_keys_file(name))
        except SettingsError as error:
            yield Finding(Verdict.BAD, f"Signing key: {error}.")
        else:
            before = f", and before that as {', '.join(one.key.key_id for one in former)}" if former else ""
            yield Finding(Verdict.GOOD, f"Signing key: {name} signs as {key.key_id}{before}.")


def _secrets(settings: Settings) -> Iterator[Finding]:
    files = [settings.signing_key_file(name) for name in settings.server.names]
    named = (
        settings.registration.shared_secret_file,
        settings.registration.token_file,
        settings.database.password_file,
        settings.email.password_file,
        settings.sms.token_file,
    )
    files.extend(file for file in named if file)
    files.extend(listener.tls_key_file for listener in settings.listeners if listener.tls_key_file)
    for file in files:
        if file.exists() and file.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            yield Finding(Verdict.ODD, f"Secrets: {file} is open to other users of this machine: chmod 600 it.")


def _certificates(settings: Settings) -> Iterator[Finding]:
    for number, listener in enumerate(settings.listeners):
        if listener.tls_certificate_file is None or listener.tls_key_file is None:
            continue
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(
                listener.tls_certificate_file, listener.tls_key_file
            )
        except (ssl.SSLError, OSError) as error:
            yield Finding(Verdict.BAD, f"TLS: the certificate and key of listeners.{number} don't work: {error}.")
        else:
            yield Finding(Verdict.GOOD, f"TLS: the certificate and key of listeners.{number} belong together.")


def _exposure(settings: Settings) -> Iterator[Finding]:
    for number, listener in enumerate(settings.listeners):
        local = listener.address in ("127.0.0.1", "::1")
        if not local and listener.tls_certificate_file is None:
            text = f"listeners.{number} is open to the network without TLS: put a reverse proxy with TLS before it."
            yield Finding(Verdict.ODD, f"Exposure: {text}")
    if settings.registration.mode == "open":
        yield Finding(Verdict.ODD, "Exposure: anybody who reaches this server can make accounts on it.")
    if not settings.rate_limits.enabled:
        yield Finding(Verdict.ODD, "Exposure: rate limits are off.")


def _listeners(settings: Settings) -> Iterator[Finding]:
    if running.find(settings) is not None:
        yield Finding(Verdict.GOOD, "Listeners: something answers there already; taken to be this server, running.")
        return
    problems = list(ports.problems(settings.listeners))
    for problem in problems:
        yield Finding(Verdict.BAD, f"Listeners: {problem}.")
    if not problems:
        yield Finding(Verdict.GOOD, "Listeners: their ports are free.")


def _database(settings: Settings) -> Iterator[Finding]:
    if settings.is_sqlite and not settings.sqlite_file.exists():
        yield Finding(Verdict.GOOD, "Database: none yet; the first start makes it.")
        return
    if settings.is_sqlite and running.find(settings) is not None:
        yield Finding(Verdict.GOOD, "Database: the running server has it; stop it to have the database looked at.")
        return
    try:
        missing = asyncio.run(examine_database(database_url(settings), TABLES))
    except WeftError as error:
        yield Finding(Verdict.BAD, f"Database: {error}")
    else:
        news = f"; the next start brings it up to date ({missing} steps)" if missing else ""
        yield Finding(Verdict.GOOD, f"Database: it can be read and is sound{news}.")


def _federation(settings: Settings) -> Iterator[Finding]:
    """What other servers find under each domain."""
    if not settings.federation.enabled:
        yield Finding(Verdict.GOOD, "Federation: it is turned off.")
        return
    # Loaded when it is needed: it brings HTTP with it.
    yield from importlib.import_module("weft.cli.federation_check").examine(settings)


def _clock(settings: Settings) -> Iterator[Finding]:
    """Events carry this clock's time, and other servers refuse signatures by keys that seem expired."""
    if time.time() < _BUILT:
        yield Finding(Verdict.BAD, "Clock: it is set to a time before this version of Weft was made.")
    elif _is_synchronized() is False:
        yield Finding(Verdict.ODD, "Clock: the system says that nothing keeps it right: run an NTP client.")
    else:
        yield Finding(Verdict.GOOD, "Clock: nothing speaks against it.")


def _open_files(settings: Settings) -> Iterator[Finding]:
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit != resource.RLIM_INFINITY and limit < _ENOUGH_FILES:
        text = (
            f"this user may open {limit} files, each client needs one: raise the limit (ulimit -n) to {_ENOUGH_FILES}."
        )
        yield Finding(Verdict.ODD, f"Open files: {text}")


def _is_synchronized() -> bool | None:
    """What the kernel says of the clock; None where it says nothing."""
    adjust = getattr(ctypes.CDLL(None), "ntp_adjtime", None)
    if adjust is None:
        return None
    state = adjust(ctypes.create_string_buffer(_TIMEX_BYTES))  # all zero: ask, change nothing
    return None if state < 0 else state != _TIME_ERROR


#: When this version was made, in seconds since 1970.
_BUILT = 1_790_000_000
_ENOUGH_FILES = 4096
#: More than any system's `struct timex`.
_TIMEX_BYTES = 512
#: What `ntp_adjtime` returns when the clock is not synchronised.
_TIME_ERROR = 5

_CHECKS: tuple[Callable[[Settings], Iterator[Finding]], ...] = (
    _environment,
    _data_folder,
    _keys,
    _secrets,
    _certificates,
    _exposure,
    _listeners,
    _database,
    _federation,
    _clock,
    _open_files,
)
