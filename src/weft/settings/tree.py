"""The whole tree of settings."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from weft.protocol.api.client.voip import LIVEKIT_SERVICE
from weft.settings.accounts import Oauth, Passwords, Registration, Sessions, UserDirectory
from weft.settings.addresses import Email, Sms, ThirdPartyIds
from weft.settings.application_services import ApplicationServices
from weft.settings.federation import Federation, PolicyServer
from weft.settings.limits import RateLimits
from weft.settings.media import Media, Push, UrlPreviews
from weft.settings.rooms import PolicyLists, Presence, Retention, Rooms, Search, ServerNotices, ThreadSubscriptions
from weft.settings.server import Database, Listener, Logging, Server, WellKnown
from weft.settings.single_sign_on import SingleSignOn
from weft.settings.values import ByteSize, Doc, Section
from weft.settings.voip import Voip


class Settings(Section, frozen=True, kw_only=True):
    """The whole tree."""

    memory: Annotated[
        ByteSize,
        Doc(
            text="What all caches together may take. More makes a busy server faster; the process itself comes "
            "on top of it.",
        ),
    ] = ByteSize.parse("256M")
    server: Server = Server()
    well_known: WellKnown = WellKnown()
    listeners: tuple[Listener, ...] = (Listener(),)
    database: Database = Database()
    registration: Registration = Registration()
    sessions: Sessions = Sessions()
    oauth: Oauth = Oauth()
    single_sign_on: SingleSignOn = SingleSignOn()
    passwords: Passwords = Passwords()
    third_party_ids: ThirdPartyIds = ThirdPartyIds()
    email: Email = Email()
    sms: Sms = Sms()
    rate_limits: RateLimits = RateLimits()
    rooms: Rooms = Rooms()
    retention: Retention = Retention()
    policy_lists: PolicyLists = PolicyLists()
    presence: Presence = Presence()
    thread_subscriptions: ThreadSubscriptions = ThreadSubscriptions()
    federation: Federation = Federation()
    policy_server: PolicyServer = PolicyServer()
    application_services: ApplicationServices = ApplicationServices()
    user_directory: UserDirectory = UserDirectory()
    server_notices: ServerNotices = ServerNotices()
    search: Search = Search()
    media: Media = Media()
    voip: Voip = Voip()
    url_previews: UrlPreviews = UrlPreviews()
    push: Push = Push()
    logging: Logging = Logging()

    @property
    def oauth_base(self) -> str | None:
        """The address below which the OAuth 2.0 API lies, without a slash at its end; None where it is not offered."""
        if not self.oauth.enabled or self.server.public_url is None:
            return None
        return self.server.public_url.rstrip("/")

    @property
    def livekit_service(self) -> str | None:
        """Where clients get tokens for calls that a LiveKit server carries: from this server, if no other is named."""
        if self.voip.livekit_service_url is not None:
            return self.voip.livekit_service_url
        if not self.voip.livekit_url or self.server.public_url is None:
            return None
        return self.server.public_url.rstrip("/") + LIVEKIT_SERVICE

    @property
    def messages(self) -> frozenset[str]:
        """The media by which this server can write to people: `email`, `msisdn`."""
        configured = {"email": bool(self.email.host), "msisdn": self.sms.url is not None}
        return frozenset(medium for medium, is_there in configured.items() if is_there)

    @property
    def is_sqlite(self) -> bool:
        return self.database.url.startswith("sqlite:")

    @property
    def sqlite_file(self) -> Path:
        """The embedded database's file; only meaningful where `is_sqlite`."""
        return self.server.data_dir / self.database.url.removeprefix("sqlite:")

    def signing_key_file(self, server_name: str) -> Path:
        """Where the signing key of one of `server.names` is kept."""
        return self.server.keys_dir / f"{server_name}.key"

    def old_signing_keys_file(self, server_name: str) -> Path:
        """Where the public halves of a domain's former signing keys are listed."""
        return self.server.keys_dir / f"{server_name}.old-keys"

    @property
    def policy_server_key_file(self) -> Path:
        """Where the key is kept by which rooms know this server as their policy server."""
        return self.server.keys_dir / "policy-server.key"
