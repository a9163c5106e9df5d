"""What other servers meet when they look for a domain of ours: the document, the records, the certificate, the key.

It goes the way that they go (`weft.federation.discovery`), from this machine: a firewall that keeps only others out is
not seen from here.

https://spec.matrix.org/v1.19/server-server-api/#resolving-server-names
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

from weft.cli import running
from weft.cli.findings import Finding, Verdict
from weft.federation.discovery import DEFAULT_PORT, MAX_TARGETS, SERVICES, Target, explicit_target, in_order
from weft.federation.srv import Srv, SrvRecord
from weft.federation.well_known import fetch_document, read_document
from weft.http.addresses import AddressGuard
from weft.http.client import HttpClient, Reply
from weft.protocol import server_keys
from weft.protocol.errors import PeerError, Unreachable, WeftError
from weft.protocol.identifiers import parse_server_name
from weft.protocol.identifiers.server_names import is_ip_literal
from weft.protocol.signatures import VerifyKey
from weft.server import signing_keys
from weft.server.config import Settings, SettingsError
from weft.storage.cache import Budget

_SECONDS: Final = 10.0
_MAX_BYTES: Final = 1 << 20
_PUBLIC: Final = AddressGuard()


@dataclass(frozen=True, slots=True)
class Outside:
    """How the check looks at the world; tests have one of their own."""

    client: HttpClient
    #: The SRV records of a name.
    records: Callable[[str], Awaitable[Sequence[SrvRecord]]]
    #: The addresses of a host; none where it has none.
    addresses: Callable[[str], Awaitable[Sequence[str]]]
    now_ms: Callable[[], int]


def examine(settings: Settings) -> list[Finding]:
    """Every finding about the way to each of the server's domains."""
    return asyncio.run(_examine(settings))


async def _examine(settings: Settings) -> list[Finding]:
    def now_ms() -> int:
        return time.time_ns() // 1_000_000

    client = HttpClient(
        guard=AddressGuard(deny=()),
        extra_cas=settings.federation.extra_ca_files,
        verify_certificates=settings.federation.verify_certificates,
    )
    srv = Srv(Budget(1 << 20).cache("SRV records", 0.5, lambda _: 1_000), now_ms=now_ms)
    outside = Outside(client, srv.records, _addresses, now_ms)
    is_running = running.find(settings) is not None
    try:
        found: list[Finding] = []
        for name in settings.server.names:
            try:
                key = signing_keys.read(settings.signing_key_file(name)).verify_key
            except SettingsError:
                continue  # said of the keys already
            found += [one async for one in examine_domain(name, key, outside, is_running=is_running)]
        return found
    finally:
        await client.close()


async def examine_domain(name: str, key: VerifyKey, outside: Outside, *, is_running: bool) -> AsyncIterator[Finding]:
    """What other servers meet on the way to a domain whose server signs with `key`."""
    host, _ = parse_server_name(name)
    if "." not in host and not is_ip_literal(host):
        text = f"{name} is a name that only this machine knows. People of other servers need a domain of yours."
        yield _odd(text)
        return
    targets, findings = await _find(name, outside)
    for finding in findings:
        yield finding
    for target in targets:
        async for finding in _try(name, target, key, outside, is_running=is_running):
            yield finding


# -- where the name leads


async def _find(name: str, outside: Outside) -> tuple[list[Target], list[Finding]]:
    target = explicit_target(name)
    if target is not None:
        return [target], [_good(f"other servers go to {name} without looking any further.")]
    delegated, findings = await _delegated(name, outside)
    if delegated is not None and (target := explicit_target(delegated)) is not None:
        return [target], findings
    host = delegated or name
    for service in SERVICES:
        records = await outside.records(f"{service}.{host}")
        if records:
            ordered = in_order(records, lambda below: 0)[:MAX_TARGETS]
            places = ", ".join(f"{one.target}:{one.port}" for one in ordered)
            findings.append(_good(f"the record {service}.{host} leads to {places}."))
            if service != SERVICES[0]:
                findings.append(_odd(f"{service} is the old name of that record; add one of {SERVICES[0]}.{host}."))
            return [Target(one.target, one.port, host, host) for one in ordered], findings
    findings.append(_good(f"without a port or SRV records, other servers go to {host}:{DEFAULT_PORT}."))
    return [Target(host, DEFAULT_PORT, host, host)], findings


async def _delegated(name: str, outside: Outside) -> tuple[str | None, list[Finding]]:
    """Who stands in for a domain, by its document."""
    url = f"https://{name}/.well-known/matrix/server"
    try:
        reply = await fetch_document(outside.client.request, name)
    except (Unreachable, PeerError) as error:
        text = f"{url} can't be read ({_reason(error)}); other servers go on as if there were none."
        return None, [_odd(text)]
    if reply.status == 404:
        return None, [_good(f"there is no {url}; other servers look for records instead.")]
    try:
        server = read_document(name, reply)
    except PeerError as error:
        remedy = 'It has to be {"m.server": "host:port"} with status 200: set well_known.server, or mend the file.'
        return None, [_bad(f"{url} is not understood ({error}). {remedy}")]
    findings = [_good(f"{url} names {server}.")]
    if explicit_target(server) is None:
        findings.append(_odd(f"the document names no port: write {server}:443 if that is where the server is."))
    return server, findings


# -- whether the server is there


async def _try(
    name: str, target: Target, key: VerifyKey, outside: Outside, *, is_running: bool
) -> AsyncIterator[Finding]:
    place = f"{target.host}:{target.port}"
    addresses = await outside.addresses(target.host)
    if not addresses:
        yield _bad(f"{target.host} has no address: make an A or AAAA record for it.")
        return
    hidden = [address for address in addresses if not _PUBLIC.permits(address)]
    if hidden:
        yield _odd(f"{target.host} leads to {', '.join(hidden)}, where servers on the internet can't and don't go.")
    try:
        reply = await _get(target, "/_matrix/key/v2/server", outside)
    except (Unreachable, PeerError) as error:
        yield _unreached(place, target, error, is_running=is_running)
        return
    yield _good(f"{place} answers, with a certificate that is good for {target.certificate_name}.")
    yield _key_finding(name, place, reply, key, outside.now_ms())
    yield await _version_finding(place, target, outside)


async def _get(target: Target, path: str, outside: Outside) -> Reply:
    return await outside.client.request(
        "GET",
        f"{target.url}{path}",
        headers={"Host": target.host_header},
        timeout=_SECONDS,
        max_bytes=_MAX_BYTES,
        server_hostname=target.certificate_name,
    )


def _unreached(place: str, target: Target, error: WeftError, *, is_running: bool) -> Finding:
    if _is_about_certificates(error):
        remedy = f"Get one for {target.certificate_name} from an authority that everybody trusts."
        return _bad(f"the certificate at {place} is not accepted ({_reason(error)}). {remedy}")
    if not is_running:
        return _odd(f"{place} can't be reached ({_reason(error)}). The server does not run: start it and look again.")
    remedy = "Open that port in the firewall and have the proxy, or a listener with TLS, answer there."
    return _bad(f"{place} can't be reached ({_reason(error)}). {remedy}")


def _key_finding(name: str, place: str, reply: Reply, key: VerifyKey, now_ms: int) -> Finding:
    path = f"{place}/_matrix/key/v2/server"
    if not reply.ok:
        remedy = "Have the proxy pass everything below /_matrix on, with the Host header as it came."
        return _bad(f"{path} answers {reply.status}. {remedy}")
    try:
        document = server_keys.parse(reply.body, server_name=name)
    except PeerError as error:
        return _bad(f"{path} is not {name}'s document of keys ({error}). Does the proxy pass the Host header on?")
    shown = document.keys.get(key.key_id)
    if shown is None or shown.to_base64() != key.to_base64():
        ids = ", ".join(document.keys)
        return _bad(f"{path} shows the key {ids} and not ours, {key.key_id}: another server answers there.")
    if document.valid_until_ms <= now_ms:
        return _bad(f"{path} says that its key has expired: a clock is wrong, or a proxy keeps old answers.")
    return _good(f"{path} shows {name}'s key, {key.key_id}.")


async def _version_finding(place: str, target: Target, outside: Outside) -> Finding:
    path = "/_matrix/federation/v1/version"
    try:
        reply = await _get(target, path, outside)
        server = reply.check().json_object().get("server")
    except WeftError as error:
        remedy = "Have the proxy pass everything below /_matrix on."
        return _bad(f"{place}{path} does not answer ({_reason(error)}). {remedy}")
    version = f"{server.get('name')} {server.get('version')}" if isinstance(server, dict) else "a server without a name"
    return _good(f"{place} is {version}.")


# -- words


def _is_about_certificates(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, ssl.SSLError | ssl.CertificateError):
            return True
        if isinstance(getattr(error, "certificate_error", None), Exception):
            return True
        error = error.__cause__ or error.__context__
    return False


def _reason(error: WeftError) -> str:
    return str(error).rstrip(".")


def _good(text: str) -> Finding:
    return Finding(Verdict.GOOD, f"Federation: {text}")


def _odd(text: str) -> Finding:
    return Finding(Verdict.ODD, f"Federation: {text}")


def _bad(text: str) -> Finding:
    return Finding(Verdict.BAD, f"Federation: {text}")


async def _addresses(host: str) -> Sequence[str]:
    if is_ip_literal(host) or is_ip_literal(f"[{host}]"):
        return [host]
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except OSError:
        return []
    return list(dict.fromkeys(str(address[0]) for *_, address in found))
