"""What talks to other servers, made from the settings."""

from __future__ import annotations

from weft import __version__
from weft.federation.discovery import Discovery
from weft.federation.federation import Federation
from weft.federation.https_transport import HttpsTransport
from weft.federation.own_keys import OwnKeys
from weft.federation.srv import Srv
from weft.federation.transport import Transport
from weft.federation.well_known import WellKnown
from weft.http.addresses import NOT_PUBLIC, AddressGuard
from weft.http.client import HttpClient
from weft.rooms.engine import Outside
from weft.settings import Federation as FederationSettings
from weft.settings import Push, Settings, UrlPreviews
from weft.storage.cache import Budget
from weft.storage.database import Database


def build_federation(
    settings: Settings,
    *,
    database: Database,
    own_keys: OwnKeys,
    outside: Outside,
    budget: Budget,
    transport: Transport | None = None,
) -> Federation:
    """`transport` stands in for HTTPS, in tests and for those who embed the server."""
    return Federation(
        database,
        transport or https_transport(settings.federation, outside=outside, budget=budget),
        own_keys,
        enabled=settings.federation.enabled,
        notaries=settings.federation.notaries,
        now_ms=outside.now_ms,
        random_bytes=outside.random_bytes,
        budget=budget,
    )


def https_transport(settings: FederationSettings, *, outside: Outside, budget: Budget) -> HttpsTransport:
    """HTTPS with the guard and the certificates that the settings name."""
    client = http_client(settings)
    well_known = WellKnown(
        client.request, budget.cache("well-known documents", 0.005, lambda _: 400), now_ms=outside.now_ms
    )
    srv = Srv(budget.cache("SRV records", 0.005, lambda kept: 200 + 200 * len(kept.records)), now_ms=outside.now_ms)

    def pick(below: int) -> int:
        return int.from_bytes(outside.random_bytes(8), "big") % below

    return HttpsTransport(Discovery(well_known, srv, pick=pick), client)


def http_client(settings: FederationSettings) -> HttpClient:
    """The pool of connections to other servers."""
    return HttpClient(
        guard=AddressGuard(
            allow=settings.allowed_addresses,
            deny=() if settings.private_addresses else NOT_PUBLIC,
            never=settings.denied_addresses,
        ),
        extra_cas=settings.extra_ca_files,
        verify_certificates=settings.verify_certificates,
        user_agent=f"Weft/{__version__}",
    )


def previews_client(settings: UrlPreviews) -> HttpClient:
    """The pool of connections to the pages that people link to. They say nothing of who asks."""
    return HttpClient(
        guard=AddressGuard(allow=settings.allowed_addresses, never=settings.denied_addresses),
        user_agent="Mozilla/5.0 (compatible; Weft; previews of links)",
        max_connections=64,
    )


def push_client(settings: Push) -> HttpClient:
    """The pool of connections to push gateways, whose addresses users choose."""
    return HttpClient(guard=AddressGuard(allow=settings.allowed_addresses), user_agent=f"Weft/{__version__}")
