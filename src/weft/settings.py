"""Every setting of Weft, declared once: its type, its default, what it is for and what it risks.

The sample file, the reference page, the checks and the command line are made from these declarations
(`weft.server.config`). A setting is a field whose annotation carries a `Doc`; a section is a `Section`.
Every layer above the protocol may read this file. It opens nothing and checks only shapes; what needs more than one
setting to be judged is in `weft.server.config.checks`.

A setting needs a reason to exist. What has one right answer is a constant in the code that uses it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from weft.protocol.api.client.voip import LIVEKIT_SERVICE
from weft.protocol.api.rate_limits import RATE_LIMITS

_SIZE = re.compile(r"([0-9]{1,15})\s*([KMGT]?)(?:i?B)?", re.IGNORECASE)
_SIZE_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
_DURATION = re.compile(r"([0-9]{1,12})\s*(ms|s|m|h|d)", re.IGNORECASE)
_DURATION_UNITS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


@dataclass(frozen=True, slots=True, kw_only=True)
class Doc:
    """What a person must know of a setting.

    `example` is the TOML shown where there is no default; `risk` says what goes wrong when the setting is used
    carelessly, and is shown wherever the setting is.
    """

    text: str
    example: str | None = None
    risk: str | None = None


class ByteSize(int):
    """A number of bytes, written as `"512M"`: K, M, G or T for powers of 1024, or no unit."""

    @classmethod
    def parse(cls, text: str) -> ByteSize:
        """Raises `ValueError` for what is no size."""
        match = _SIZE.fullmatch(text.strip())
        if match is None:
            raise ValueError(f'expected a size such as "512M" or "2G", got "{text}"')
        return cls(int(match[1]) * _SIZE_UNITS[match[2].upper()])

    def __str__(self) -> str:
        return _in_largest_unit(self, _SIZE_UNITS)


class Duration(int):
    """A number of milliseconds, written as `"90s"`, `"5m"`, `"12h"`, `"7d"` or `"250ms"`."""

    @classmethod
    def parse(cls, text: str) -> Duration:
        """Raises `ValueError` for what is no duration."""
        match = _DURATION.fullmatch(text.strip())
        if match is None:
            raise ValueError(f'expected a duration such as "90s", "5m" or "7d", got "{text}"')
        return cls(int(match[1]) * _DURATION_UNITS[match[2].lower()])

    def __str__(self) -> str:
        return _in_largest_unit(self, _DURATION_UNITS)


def _in_largest_unit(amount: int, units: dict[str, int]) -> str:
    unit = max((u for u, factor in units.items() if amount % factor == 0), key=units.__getitem__) if amount else ""
    return f"{amount // units[unit]}{unit}" if unit else f"{int(amount)}"


class Section(msgspec.Struct, frozen=True, kw_only=True):
    """The base of every section. Its docstring is what the reference page says of it."""


Port = Annotated[int, msgspec.Meta(ge=0, le=65535)]
Count = Annotated[int, msgspec.Meta(ge=1)]
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


class Term(Section, frozen=True, kw_only=True):
    """A document that people accept when they register, in one language."""

    id: Annotated[str, Doc(text="Names the document, the same for each of its languages.", example='"privacy"')]
    version: Annotated[str, Doc(text="Its version. A new one must be accepted anew.", example='"1.0"')]
    language: Annotated[str, Doc(text="The language of this text.", example='"en"')]
    name: Annotated[str, Doc(text="Its title in that language.", example='"Privacy policy"')]
    url: Annotated[str, Doc(text="Where it can be read.", example='"https://example.org/privacy"')]


class Registration(Section, frozen=True, kw_only=True):
    """Who may make an account. The first account of a server becomes its administrator."""

    mode: Annotated[
        Literal["closed", "token", "open"],
        Doc(
            text='"closed": only the administrator makes accounts (weft user create). "token": whoever has one of '
            'the tokens in token_file. "open": everybody, without any check.',
            risk="An open server is found within days by people who send spam from it, and is then blocked by "
            'others. Use "open" only where strangers can\'t reach the server.',
        ),
    ] = "closed"
    token_file: Annotated[
        Path | None,
        Doc(text="The file of registration tokens, one on each line.", example='"registration.tokens"'),
    ] = None
    shared_secret_file: Annotated[
        Path | None,
        Doc(
            text="The file of the secret with which tools, weft user create among them, make accounts on the "
            "running server (/_synapse/admin/v1/register). Without it that door is shut.",
            example='"registration.secret"',
            risk="Whoever knows the secret can make administrators.",
        ),
    ] = None
    guests: Annotated[
        bool,
        Doc(
            text="People may look around as guests, without an account, in rooms that allow it.",
            risk="Guests can be made in any number; they cost storage, and can write where rooms let them.",
        ),
    ] = False
    terms: Annotated[
        tuple[Term, ...],
        Doc(
            text="The documents that people accept when they register.",
            example='[{ id = "privacy", version = "1.0", language = "en", name = "Privacy policy", '
            'url = "https://example.org/privacy" }]',
        ),
    ] = ()


class Sessions(Section, frozen=True, kw_only=True):
    """How long a login lasts."""

    access_token_lifetime: Annotated[
        Duration,
        Doc(
            text="How long an access token is good for where the client can refresh it. Other clients' tokens last "
            "until they log out.",
        ),
    ] = Duration.parse("1h")
    login_tokens: Annotated[
        bool, Doc(text="Somebody who is logged in may log in another device with a short-lived token (a QR code, say).")
    ] = False


class Passwords(Section, frozen=True, kw_only=True):
    """How passwords are judged and stored (argon2id)."""

    minimum_length: Annotated[Count, Doc(text="The fewest characters a new password may have.")] = 8
    memory_cost: Annotated[
        ByteSize,
        Doc(
            text="The memory that one check of a password takes.",
            risk="Less makes stolen hashes cheaper to guess; under 19M is for tests only. More makes each login "
            "dearer for you too.",
        ),
    ] = ByteSize.parse("19M")
    time_cost: Annotated[
        Count,
        Doc(text="How often that memory is gone through.", risk="As for memory_cost; under 2 is for tests only."),
    ] = 2
    concurrency: Annotated[
        Count,
        Doc(text="How many passwords are checked at the same time; more wait. Bounds the memory that logins take."),
    ] = 2


class Limit(Section, frozen=True, kw_only=True):
    """`per_second` on average, and up to `burst` at once."""

    per_second: Annotated[float, msgspec.Meta(gt=0), Doc(text="How many a second, on average.")]
    burst: Annotated[Count, Doc(text="How many at once, when there were none for a while.")]


def _why(name: str) -> Doc:
    row = RATE_LIMITS[name]
    return Doc(text=f"{row.why} One for each: {row.key.value}.")


def _default(name: str) -> Limit:
    row = RATE_LIMITS[name]
    return Limit(per_second=row.per_second, burst=row.burst)


class RateLimits(Section, frozen=True, kw_only=True):
    """How often something may be done before the answer is 429. What each limit protects is said where the limits are
    declared, `weft.protocol.api.rate_limits`."""

    enabled: Annotated[
        bool,
        Doc(
            text="Whether there are limits at all.",
            risk="Without limits one client can take the whole server, and passwords can be tried without end. "
            "Off is for tests and measurements.",
        ),
    ] = True
    login: Annotated[Limit, _why("login")] = _default("login")
    registration: Annotated[Limit, _why("registration")] = _default("registration")
    registration_token: Annotated[Limit, _why("registration_token")] = _default("registration_token")
    refresh: Annotated[Limit, _why("refresh")] = _default("refresh")
    account: Annotated[Limit, _why("account")] = _default("account")
    message: Annotated[Limit, _why("message")] = _default("message")
    room_creation: Annotated[Limit, _why("room_creation")] = _default("room_creation")
    join: Annotated[Limit, _why("join")] = _default("join")
    invite: Annotated[Limit, _why("invite")] = _default("invite")
    moderation: Annotated[Limit, _why("moderation")] = _default("moderation")
    directory: Annotated[Limit, _why("directory")] = _default("directory")
    search: Annotated[Limit, _why("search")] = _default("search")
    user_directory: Annotated[Limit, _why("user_directory")] = _default("user_directory")
    history: Annotated[Limit, _why("history")] = _default("history")
    lookup: Annotated[Limit, _why("lookup")] = _default("lookup")
    profile: Annotated[Limit, _why("profile")] = _default("profile")
    presence: Annotated[Limit, _why("presence")] = _default("presence")
    typing: Annotated[Limit, _why("typing")] = _default("typing")
    receipt: Annotated[Limit, _why("receipt")] = _default("receipt")
    to_device: Annotated[Limit, _why("to_device")] = _default("to_device")
    settings: Annotated[Limit, _why("settings")] = _default("settings")
    report: Annotated[Limit, _why("report")] = _default("report")
    upload: Annotated[Limit, _why("upload")] = _default("upload")
    download: Annotated[Limit, _why("download")] = _default("download")
    preview: Annotated[Limit, _why("preview")] = _default("preview")
    federation: Annotated[Limit, _why("federation")] = _default("federation")
    server_keys: Annotated[Limit, _why("server_keys")] = _default("server_keys")

    def table(self) -> dict[str, Limit]:
        """Every limit by its name."""
        return {name: getattr(self, name) for name in RATE_LIMITS}


class Rooms(Section, frozen=True, kw_only=True):
    """What holds for rooms made here."""

    default_version: Annotated[str, Doc(text="The version of rooms whose maker asked for none.")] = "12"
    publishing: Annotated[
        Literal["everyone", "administrators", "nobody"],
        Doc(text="Who may put a room into this server's public directory."),
    ] = "everyone"
    aliases: Annotated[
        Literal["everyone", "administrators"],
        Doc(text="Who may give a room an address (#name:domain) here."),
    ] = "everyone"


class Presence(Section, frozen=True, kw_only=True):
    """Who is online."""

    enabled: Annotated[bool, Doc(text="Whether people see when others are online.")] = True


class Federation(Section, frozen=True, kw_only=True):
    """How Weft talks to other servers."""

    enabled: Annotated[
        bool,
        Doc(
            text="Whether Weft talks to other servers at all. Off, it is an island: its users reach each other only.",
        ),
    ] = True
    public_rooms: Annotated[
        bool,
        Doc(
            text="Whether other servers may look through this server's directory of published rooms. People publish a "
            "room so that it is found, also by those whose account is elsewhere.",
        ),
    ] = True
    profiles: Annotated[
        bool,
        Doc(
            text="Whether other servers may ask what this server's users are called. Without it people elsewhere see "
            "names and pictures only in rooms that they share.",
        ),
    ] = True
    device_names: Annotated[
        bool,
        Doc(
            text="Whether other servers are told what this server's users have named their devices.",
            risk='Such names may say more than people are aware of, as "Alice\'s work phone" does.',
        ),
    ] = False
    notaries: Annotated[
        tuple[str, ...],
        Doc(
            text="Servers that are asked for the signing keys of a server that does not tell them itself, because it "
            "is gone or can't be reached just now. They are asked in order.",
            example='["matrix.org"]',
            risk="A notary learns which servers this one has to do with. It can't make keys up: what it tells must be "
            "signed by the server that it is about.",
        ),
    ] = ()
    verify_certificates: Annotated[
        bool,
        Doc(
            text="Whether another server must prove by its certificate that it is who it says.",
            risk="Without it anybody on the way can read and change what servers say to each other. Off is for tests.",
        ),
    ] = True
    extra_ca_files: Annotated[
        tuple[Path, ...],
        Doc(
            text="Certificate authorities (PEM) that are trusted besides the system's.",
            example='["my-ca.pem"]',
            risk="Whoever holds such an authority can pretend to be any server.",
        ),
    ] = ()
    private_addresses: Annotated[
        bool,
        Doc(
            text="Whether servers may be at private addresses (this machine, the local network).",
            risk="People elsewhere choose the names that Weft looks up: with this on they can make it send requests "
            "into your network. On is for tests and closed networks.",
        ),
    ] = False
    allowed_addresses: Annotated[
        tuple[str, ...],
        Doc(
            text="Networks that may be reached although they are private.",
            example='["10.8.0.0/16"]',
            risk="As for private_addresses, for these networks.",
        ),
    ] = ()
    denied_addresses: Annotated[
        tuple[str, ...],
        Doc(text="Networks that are never reached, besides the private ones.", example='["203.0.113.0/24"]'),
    ] = ()


class UserDirectory(Section, frozen=True, kw_only=True):
    """Finding people by name."""

    search_all_users: Annotated[
        bool,
        Doc(
            text="Whether a search finds every account of this server. Otherwise it finds those one shares a room "
            "with, and those in public rooms.",
            risk="Anybody with an account can then list all the others.",
        ),
    ] = False


class PolicyServer(Section, frozen=True, kw_only=True):
    """This server as a policy server: rooms may name it, so that every event of theirs needs its signature."""

    hook: Annotated[
        str,
        Doc(
            text="The Python function that judges events, as `package.module:function`. It is given the asking "
            "server's name and the event, and returns why the event is not wanted, or None (see "
            "docs/how-to/judge-events.md). Without it this server is no policy server. The key by which rooms know it "
            "is made at the first start, and told in the log.",
            example='"my_policy:judge"',
        ),
    ] = ""


class ServerNotices(Section, frozen=True, kw_only=True):
    """Messages from the server itself to its users."""

    localpart: Annotated[str, Doc(text="The account that they come from, without its domain.")] = "notices"
    display_name: Annotated[str, Doc(text="That account's name.")] = "Server notices"
    room_name: Annotated[str, Doc(text="The name of the room they arrive in.")] = "Server notices"


class Search(Section, frozen=True, kw_only=True):
    """Full-text search in messages."""

    enabled: Annotated[
        bool,
        Doc(text="Whether messages are indexed. The index takes disk, and each message a little more time."),
    ] = True


class ObjectStorage(Section, frozen=True, kw_only=True):
    """Where media is kept instead of the folder: a bucket of S3, or of something that speaks like it."""

    bucket: Annotated[
        str,
        Doc(
            text="The bucket's name; without one, media is in the folder. It must be there already, and be nobody "
            "else's: files in it that Weft does not know are taken for leftovers and removed.",
            example='"weft-media"',
            risk="A bucket that the public can read shows all media to everybody.",
        ),
    ] = ""
    endpoint: Annotated[
        str | None,
        Doc(text="The address of the service, where it is not Amazon's.", example='"https://s3.example.org"'),
    ] = None
    region: Annotated[str, Doc(text="The region of the bucket.")] = "us-east-1"
    access_key_id: Annotated[str, Doc(text="The name of the access key.", example='"AKIAIOSFODNN7EXAMPLE"')] = ""
    secret_key_file: Annotated[
        Path | None,
        Doc(text="The file that holds the secret of the access key.", example='"s3.secret"'),
    ] = None
    prefix: Annotated[str, Doc(text="What the names of all objects begin with.", example='"media/"')] = ""


class Media(Section, frozen=True, kw_only=True):
    """Files that people upload, and those of other servers that they look at."""

    folder: Annotated[
        Path,
        Doc(
            text="The folder of the files. Of several processes all must see the same folder, or use object storage.",
        ),
    ] = Path("media")
    max_upload_size: Annotated[
        ByteSize,
        Doc(
            text="The most bytes that one file may have. Clients are told. A reverse proxy in front of Weft has a "
            "limit of its own (nginx: client_max_body_size).",
        ),
    ] = ByteSize.parse("100M")
    user_limit: Annotated[
        ByteSize | None,
        Doc(
            text="The most bytes that all files of one account may have together. Who is at the limit can upload again "
            "once an administrator has deleted files of theirs. Without it there is none.",
            example='"5G"',
            risk="Without a limit one account can fill the disk.",
        ),
    ] = None
    max_pending_uploads: Annotated[
        Count, Doc(text="How many files an account may have announced without having uploaded them yet.")
    ] = 20
    pending_upload_lifetime: Annotated[Duration, Doc(text="How long an announced file is waited for.")] = (
        Duration.parse("24h")
    )
    max_remote_size: Annotated[
        ByteSize,
        Doc(text="The most bytes that a file of another server may have; larger ones are not fetched."),
    ] = ByteSize.parse("100M")
    remote_cache: Annotated[
        ByteSize,
        Doc(
            text="The most bytes that the files of other servers, and thumbnails of them, may take on disk. Those "
            "that were not looked at for longest go first; they are fetched again when somebody asks.",
        ),
    ] = ByteSize.parse("10G")
    authenticated: Annotated[
        bool,
        Doc(
            text="Whether files that come in from now on are shown to those with an access token only (since v1.11 of "
            "the specification). Files from before stay open to everybody who knows their address.",
            risk="Without it strangers can use this server to spread files: whoever has the address, which is in "
            "every message that carries a file, can fetch it without an account. Very old clients and bridges show "
            "no pictures with it.",
        ),
    ] = True
    max_image_pixels: Annotated[
        Count,
        Doc(
            text="The most pixels (over all frames that are looked at) that a picture may have of which thumbnails are "
            "made.",
            risk="A picture of a few kilobytes can claim any size; each pixel takes some 8 bytes of memory while its "
            "thumbnail is made.",
        ),
    ] = 60_000_000
    thumbnail_processes: Annotated[
        Count,
        Doc(text="How many thumbnails are made at the same time. Each takes a process, which ends when it is idle."),
    ] = 2
    object_storage: ObjectStorage = ObjectStorage()


class Voip(Section, frozen=True, kw_only=True):
    """Calls: relays for those between two, and a LiveKit server for those of many."""

    turn_uris: Annotated[
        tuple[str, ...],
        Doc(
            text="The relays (TURN servers) that clients are told of; without any, calls work only where the two "
            "reach each other directly.",
            example='["turn:turn.example.org:3478?transport=udp", "turns:turn.example.org:5349"]',
        ),
    ] = ()
    turn_secret_file: Annotated[
        Path | None,
        Doc(
            text="The file of the secret that the relay shares (coturn's static-auth-secret): each user then gets "
            "a password of their own that is good for turn_lifetime.",
            example='"turn.secret"',
        ),
    ] = None
    turn_username: Annotated[str, Doc(text="The name at a relay that has one password for everybody.")] = ""
    turn_password_file: Annotated[
        Path | None,
        Doc(
            text="The file of that password.",
            example='"turn.password"',
            risk="Every user learns it, and can use the relay for anything until you change it.",
        ),
    ] = None
    turn_lifetime: Annotated[Duration, Doc(text="For how long a password of one's own is good.")] = Duration.parse("1d")
    turn_guests: Annotated[bool, Doc(text="Guests may use the relays too.")] = False
    livekit_url: Annotated[
        str,
        Doc(
            text="The LiveKit server that carries calls of many (Element Call). Its auto_create should be off: rooms "
            "are made for users of this server, and others join.",
            example='"wss://livekit.example.org"',
        ),
    ] = ""
    livekit_key: Annotated[str, Doc(text="The name of the key of the LiveKit server.", example='"weft"')] = ""
    livekit_secret_file: Annotated[
        Path | None, Doc(text="The file of that key's secret.", example='"livekit.secret"')
    ] = None
    livekit_service_url: Annotated[
        str | None,
        Doc(
            text="Where clients get tokens for the LiveKit server, if not from this server: the address of a "
            "separate lk-jwt-service.",
            example='"https://rtc.example.org/livekit/jwt"',
        ),
    ] = None


class UrlPreviews(Section, frozen=True, kw_only=True):
    """What links in messages lead to: a title, some words and a picture, for clients that ask."""

    enabled: Annotated[
        bool,
        Doc(
            text="Whether this server looks at pages for its users.",
            risk="The server asks addresses that its users choose. Private ones are never reached, but the pages' "
            "owners learn this server's address, and when somebody here wrote or read their link. Previews cost "
            "bandwidth and disk.",
        ),
    ] = False
    allowed_domains: Annotated[
        tuple[str, ...],
        Doc(
            text="Patterns of host names; where there are some, no other pages are looked at.",
            example='["*.example.org", "example.org"]',
        ),
    ] = ()
    denied_domains: Annotated[
        tuple[str, ...],
        Doc(text="Patterns of host names whose pages are never looked at.", example='["*.internal.example.org"]'),
    ] = ()
    allowed_addresses: Annotated[
        tuple[str, ...],
        Doc(
            text="Networks that may be reached although they are private.",
            example='["10.8.0.0/16"]',
            risk="Everybody with an account can then look at the pages there.",
        ),
    ] = ()
    denied_addresses: Annotated[
        tuple[str, ...],
        Doc(text="Networks that are never reached, besides the private ones.", example='["203.0.113.0/24"]'),
    ] = ()
    languages: Annotated[
        str, Doc(text="The languages that pages are asked for, as browsers say it (Accept-Language).")
    ] = "en"
    lifetime: Annotated[Duration, Doc(text="How long a preview is kept before the page is looked at again.")] = (
        Duration.parse("12h")
    )


class Logging(Section, frozen=True, kw_only=True):
    """What is written to standard error. Secrets and message contents never are."""

    level: Annotated[Literal["debug", "info", "warning", "error"], Doc(text="The least that is written.")] = "info"
    format: Annotated[
        Literal["text", "json"],
        Doc(text='"text" for people, "json" for collectors (one object a line).'),
    ] = "text"


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
    passwords: Passwords = Passwords()
    rate_limits: RateLimits = RateLimits()
    rooms: Rooms = Rooms()
    presence: Presence = Presence()
    federation: Federation = Federation()
    policy_server: PolicyServer = PolicyServer()
    user_directory: UserDirectory = UserDirectory()
    server_notices: ServerNotices = ServerNotices()
    search: Search = Search()
    media: Media = Media()
    voip: Voip = Voip()
    url_previews: UrlPreviews = UrlPreviews()
    logging: Logging = Logging()

    @property
    def livekit_service(self) -> str | None:
        """Where clients get tokens for calls that a LiveKit server carries: from this server, if no other is named."""
        if self.voip.livekit_service_url is not None:
            return self.voip.livekit_service_url
        if not self.voip.livekit_url or self.server.public_url is None:
            return None
        return self.server.public_url.rstrip("/") + LIVEKIT_SERVICE

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
