"""Versions, well-known documents, capabilities. All of it is known when the server starts.

https://spec.matrix.org/v1.19/client-server-api/#api-versions
https://spec.matrix.org/v1.19/client-server-api/#well-known-uris
https://spec.matrix.org/v1.19/client-server-api/#capabilities-negotiation
"""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

from weft.http.call import Call, Requester, Route, route
from weft.protocol.api import client
from weft.protocol.api.client import capabilities as capabilities_api
from weft.protocol.api.client import versions as versions_api
from weft.protocol.api.client import well_known as well_known_api
from weft.protocol.api.client.capabilities import BooleanCapability, Capabilities
from weft.protocol.api.client.voip import RtcTransport
from weft.protocol.api.endpoint import Empty, Raw
from weft.protocol.errors import NotFound
from weft.protocol.room_versions import ROOM_VERSIONS
from weft.settings import Settings

#: Old clients know only the first; the rest differ by what was added.
SPECIFICATION_VERSIONS: Final = ("r0.6.1", *(f"v1.{minor}" for minor in range(1, 20)))

#: What clients look for under a name from before it was part of the specification.
_FORMERLY_UNSTABLE: Final = (
    "m.lazy_load_members",
    "org.matrix.msc2285.stable",  # private receipts
    "org.matrix.msc3440.stable",  # threads
    "org.matrix.msc3771",  # receipts for threads
    "org.matrix.msc3773",  # notifications for threads
    "org.matrix.msc3827.stable",  # room types in the directory
    "org.matrix.msc3030.stable",  # from a time to an event
    "uk.tcpip.msc4133.stable",  # profile fields
)
#: What is a parameter of other endpoints, so that no path has its name.
_BY_PARAMETER: Final = ("org.matrix.msc4354",)  # sticky events
#: What is kept in account data, so that no path says that it counts.
_BY_ACCOUNT_DATA: Final = ("org.matrix.msc4155",)  # whose invites one wants
_OAUTH: Final = "org.matrix.msc2965"
_QR_CODES: Final = ("io.element.msc4388", "org.matrix.msc4108")
#: By the names in the paths, and by the one that clients look for.
_THREAD_SUBSCRIPTIONS: Final = ("io.element.msc4306", "io.element.msc4308", "org.matrix.msc4306")
_UNSTABLE_PATH: Final = re.compile(r"/_matrix/client/unstable/([^/]+\.[^/]+)/")


class DiscoveryApi:
    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._versions = _json(
            versions_api.GetVersionsResponse(
                versions=[*SPECIFICATION_VERSIONS], unstable_features=unstable_features(settings)
            )
        )
        self._client = _client(settings)
        self._server = settings.well_known.server
        self._support = _support(settings)
        self._capabilities = {
            who: _json(capabilities_api.GetCapabilitiesResponse(capabilities=_capabilities(settings, admin=who)))
            for who in (False, True)
        }

    def routes(self) -> list[Route[Any, Any]]:
        return [
            route(versions_api.GET_VERSIONS, self.versions),
            route(well_known_api.GET_WELLKNOWN, self.well_known_client),
            route(well_known_api.GET_WELLKNOWN_SERVER, self.well_known_server),
            route(well_known_api.GET_WELLKNOWN_SUPPORT, self.well_known_support),
            route(capabilities_api.GET_CAPABILITIES, self.capabilities),
        ]

    async def versions(self, call: Call[Empty]) -> Raw:
        return self._versions

    async def well_known_client(self, call: Call[Empty]) -> Raw:
        if self._client is None:
            raise NotFound("This server has not been told its public address.")
        return self._client

    async def well_known_server(self, call: Call[Empty]) -> well_known_api.GetWellknownServerResponse:
        if self._server is None:
            raise NotFound("Other servers reach this one at its own name.")
        return well_known_api.GetWellknownServerResponse(server=self._server)

    async def well_known_support(self, call: Call[Empty]) -> Raw:
        if self._support is None:
            raise NotFound("This server names nobody to turn to.")
        return self._support

    async def capabilities(self, call: Call[Empty]) -> Raw:
        return self._capabilities[_moderates(call.requester)]


def unstable_features(settings: Settings) -> dict[str, bool]:
    """Features by the names they had: those of the unstable paths that are answered, and the ones that have no path."""
    missing = set() if settings.oauth_base is not None else {_OAUTH, *_QR_CODES}
    if settings.oauth.qr_codes == "nobody":
        missing.update(_QR_CODES)
    if not settings.thread_subscriptions.enabled:
        missing.update(_THREAD_SUBSCRIPTIONS)
    paths = (path for endpoint in client.ENDPOINTS for path in endpoint.paths)
    by_path = {match[1] for path in paths if (match := _UNSTABLE_PATH.match(path))}
    found = by_path.union(_FORMERLY_UNSTABLE, _BY_ACCOUNT_DATA, _BY_PARAMETER, _THREAD_SUBSCRIPTIONS) - missing
    return dict.fromkeys(sorted(found), True)


def _moderates(requester: Requester) -> bool:
    return requester.is_admin and not requester.suspended


def _client(settings: Settings) -> Raw | None:
    if settings.server.public_url is None:
        return None
    identity = settings.well_known.identity_server
    livekit = settings.livekit_service
    return _json(
        well_known_api.WellKnown(
            homeserver=well_known_api.Homeserver(base_url=settings.server.public_url),
            identity_server=well_known_api.IdentityServer(base_url=identity) if identity else None,
            rtc_foci=[RtcTransport(type="livekit", livekit_service_url=livekit)] if livekit else None,
        )
    )


def _support(settings: Settings) -> Raw | None:
    own = settings.well_known
    if not own.contacts and own.support_page is None:
        return None
    contacts = [
        well_known_api.SupportContact(role=each.role, matrix_id=each.matrix_id, email_address=each.email_address)
        for each in own.contacts
    ]
    return _json(well_known_api.GetWellknownSupportResponse(contacts=contacts, support_page=own.support_page))


def _capabilities(settings: Settings, *, admin: bool) -> Capabilities:
    yes, no = BooleanCapability(enabled=True), BooleanCapability(enabled=False)
    return Capabilities(
        change_password=yes,
        room_versions=capabilities_api.RoomVersionsCapability(
            default=settings.rooms.default_version,
            available={name: "stable" if version.stable else "unstable" for name, version in ROOM_VERSIONS.items()},
        ),
        set_displayname=yes,
        set_avatar_url=yes,
        threepid_changes=yes if settings.third_party_ids.changes and settings.messages else no,
        get_login_token=yes if settings.sessions.login_tokens else no,
        forget_forced_upon_leave=no,
        profile_fields=capabilities_api.ProfileFieldsCapability(enabled=True),
        account_moderation=capabilities_api.AccountModerationCapability(suspend=True, lock=True) if admin else None,
    )


def _json(value: msgspec.Struct) -> Raw:
    return Raw(body=msgspec.json.encode(value))
