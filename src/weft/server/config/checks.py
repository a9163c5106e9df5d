"""What can be wrong with settings of the right shape: names, addresses, files, settings that need each other."""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Iterable, Iterator
from email.utils import parseaddr
from pathlib import Path
from urllib.parse import urlsplit

from weft.protocol.identifiers.server_names import is_valid_server_name
from weft.protocol.room_versions import ROOM_VERSIONS
from weft.server.config import registrations
from weft.settings import Listener, Settings

Problem = tuple[tuple[str | int, ...], str]

_LEAST_MEMORY = 16 << 20
#: Argon2 itself takes no less.
_LEAST_PASSWORD_MEMORY = 8 << 10
_PROVIDER = re.compile(r"[a-z0-9_-]{1,64}")
_LOCALPART = re.compile(r"[a-z0-9._=/+-]{1,100}")


def problems(settings: Settings) -> Iterator[Problem]:
    """Each thing wrong, with its place."""
    if settings.memory < _LEAST_MEMORY:
        yield ("memory",), "less than 16M is not enough to work with"
    yield from _server(settings)
    for number, listener in enumerate(settings.listeners):
        yield from _listener(("listeners", number), listener)
    yield from _twice_listened(settings)
    yield from _database(settings)
    yield from _accounts(settings)
    yield from _single_sign_on(settings)
    yield from _addresses(settings)
    yield from _federation(settings)
    yield from _media(settings)
    yield from registrations.problems(settings)
    if settings.rooms.default_version not in ROOM_VERSIONS:
        yield ("rooms", "default_version"), f"there is no room version {settings.rooms.default_version!r}"


def _server(settings: Settings) -> Iterator[Problem]:
    names = settings.server.names
    for name in names:
        if not is_valid_server_name(name):
            yield ("server", "names"), f'"{name}" is not a server name: a domain or IP address, with or without a port'
        elif name != name.lower():
            yield ("server", "names"), f'write "{name.lower()}": user ids would carry the capitals of "{name}"'
        if names.count(name) > 1:
            yield ("server", "names"), f'"{name}" is named twice'
    yield from _url(("server", "public_url"), settings.server.public_url)
    yield from _url(("well_known", "identity_server"), settings.well_known.identity_server)
    yield from _url(("well_known", "support_page"), settings.well_known.support_page)
    yield from _url(("voip", "livekit_service_url"), settings.voip.livekit_service_url)
    for number, uri in enumerate(settings.voip.turn_uris):
        if not uri.startswith(("turn:", "turns:")):
            yield ("voip", "turn_uris", number), f'"{uri}" is no address of a relay: it begins with turn: or turns:'
    if settings.voip.livekit_url and not settings.voip.livekit_url.startswith(("ws://", "wss://")):
        yield ("voip", "livekit_url"), "it begins with wss:// (or ws://)"
    server = settings.well_known.server
    if server is not None and not is_valid_server_name(server):
        yield ("well_known", "server"), f'"{server}" is not a host with or without a port'
    for number, contact in enumerate(settings.well_known.contacts):
        if contact.matrix_id is None and contact.email_address is None:
            yield ("well_known", "contacts", number), "needs matrix_id or email_address"


def _listener(place: tuple[str | int, ...], listener: Listener) -> Iterator[Problem]:
    try:
        ipaddress.ip_address(listener.address)
    except ValueError:
        yield (*place, "address"), f'"{listener.address}" is not an IP address'
    yield from _networks((*place, "trusted_proxies"), listener.trusted_proxies)
    if (listener.tls_certificate_file is None) != (listener.tls_key_file is None):
        yield place, "TLS needs both tls_certificate_file and tls_key_file"
    yield from _file((*place, "tls_certificate_file"), listener.tls_certificate_file)
    yield from _file((*place, "tls_key_file"), listener.tls_key_file)


def _twice_listened(settings: Settings) -> Iterator[Problem]:
    seen: set[tuple[str, int]] = set()
    for number, listener in enumerate(settings.listeners):
        where = listener.address, listener.port
        if listener.port and where in seen:
            yield ("listeners", number, "port"), f"{listener.address} port {listener.port} is listened on already"
        seen.add(where)


def _database(settings: Settings) -> Iterator[Problem]:
    url = settings.database.url
    if url.startswith("sqlite:"):
        if url in ("sqlite:", "sqlite::memory:") or url.startswith("sqlite://"):
            yield ("database", "url"), 'write "sqlite:" and a file, for example "sqlite:weft.db"'
        if settings.database.password_file is not None:
            yield ("database", "password_file"), "SQLite has no password"
    elif not url.startswith(("postgresql://", "postgres://")):
        yield ("database", "url"), 'expected "sqlite:FILE" or "postgresql://user@host/name"'
    yield from _file(("database", "password_file"), settings.database.password_file)


def _accounts(settings: Settings) -> Iterator[Problem]:
    registration = settings.registration
    yield from _file(("registration", "token_file"), registration.token_file)
    yield from _file(("registration", "shared_secret_file"), registration.shared_secret_file)
    for name in ("turn_secret_file", "turn_password_file", "livekit_secret_file"):
        yield from _file(("voip", name), getattr(settings.voip, name))
    for number, term in enumerate(registration.terms):
        yield from _url(("registration", "terms", number, "url"), term.url)
    if settings.passwords.memory_cost < _LEAST_PASSWORD_MEMORY:
        yield ("passwords", "memory_cost"), "argon2 needs at least 8K"
    if not _LOCALPART.fullmatch(settings.server_notices.localpart):
        yield ("server_notices", "localpart"), "expected small letters, digits and . _ = - / +"


def _single_sign_on(settings: Settings) -> Iterator[Problem]:
    providers = settings.single_sign_on.providers
    place = ("single_sign_on", "providers")
    if providers and settings.server.public_url is None:
        yield place, "single sign-on needs server.public_url: that is where providers send people back"
    ids = [each.id for each in providers]
    for number, each in enumerate(providers):
        if not _PROVIDER.fullmatch(each.id):
            yield (*place, number, "id"), "expected small letters, digits, _ and -"
        elif ids.count(each.id) > 1:
            yield (*place, number, "id"), f'"{each.id}" is there twice'
        yield from _url((*place, number, "issuer"), each.issuer)
        yield from _file((*place, number, "client_secret_file"), each.client_secret_file)


def _addresses(settings: Settings) -> Iterator[Problem]:
    email, sms = settings.email, settings.sms
    if email.host and settings.server.public_url is None:
        yield ("email", "host"), "e-mails need server.public_url: that is where their links lead"
    if email.host and "@" not in parseaddr(email.sender)[1]:
        yield ("email", "sender"), "name who the e-mails are from, for example Weft <noreply@example.org>"
    if bool(email.username) != (email.password_file is not None):
        yield ("email", "username"), "to log in needs both username and password_file"
    yield from _file(("email", "password_file"), email.password_file)
    yield from _file(("email", "ca_file"), email.ca_file)
    if sms.url is not None and settings.server.public_url is None:
        yield ("sms", "url"), "text messages need server.public_url: that is where clients send their codes"
    yield from _url(("sms", "url"), sms.url)
    yield from _file(("sms", "token_file"), sms.token_file)
    yield from _file(("sms", "template_file"), sms.template_file)
    for setting, medium, section in (("email", "email", "email.host"), ("phone", "msisdn", "sms.url")):
        if getattr(settings.registration, setting) == "required" and medium not in settings.messages:
            yield ("registration", setting), f'"required" needs {section}'
    for number, name in enumerate(settings.third_party_ids.identity_servers):
        place = ("third_party_ids", "identity_servers", number)
        if "://" in name:
            yield from _url(place, name)
        elif not is_valid_server_name(name):
            yield place, f'"{name}" is not a server name'


def _federation(settings: Settings) -> Iterator[Problem]:
    federation = settings.federation
    for name in federation.notaries:
        if not is_valid_server_name(name):
            yield ("federation", "notaries"), f'"{name}" is not a server name'
    yield from _networks(("federation", "allowed_addresses"), federation.allowed_addresses)
    yield from _networks(("federation", "denied_addresses"), federation.denied_addresses)
    for number, file in enumerate(federation.extra_ca_files):
        yield from _file(("federation", "extra_ca_files", number), file)


def _media(settings: Settings) -> Iterator[Problem]:
    storage = settings.media.object_storage
    place = ("media", "object_storage")
    if storage.bucket and (not storage.access_key_id or storage.secret_key_file is None):
        yield place, "a bucket needs access_key_id and secret_key_file"
    yield from _url((*place, "endpoint"), storage.endpoint)
    yield from _file((*place, "secret_key_file"), storage.secret_key_file)
    yield from _networks(("url_previews", "allowed_addresses"), settings.url_previews.allowed_addresses)
    yield from _networks(("url_previews", "denied_addresses"), settings.url_previews.denied_addresses)


def _networks(place: tuple[str | int, ...], networks: Iterable[str]) -> Iterator[Problem]:
    for network in networks:
        try:
            ipaddress.ip_network(network, strict=False)
        except ValueError:
            yield place, f'"{network}" is not an IP address or network'


def _url(place: tuple[str | int, ...], url: str | None) -> Iterator[Problem]:
    if url is None:
        return
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        good = False
    if not good:
        yield place, f'"{url}" is not an address that begins with https:// or http://'


def _file(place: tuple[str | int, ...], file: Path | None) -> Iterator[Problem]:
    if file is not None and not (file.is_file() and os.access(file, os.R_OK)):
        yield place, f"{file} does not exist or can't be read"
