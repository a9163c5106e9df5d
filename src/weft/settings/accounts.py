"""Who may have an account, and how they prove that it is theirs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from weft.settings.values import ByteSize, Count, Doc, Duration, Section


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
            "the tokens in token_file, or one that an administrator made on the running server (synadm regtok). "
            '"open": everybody, without any check.',
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
    email: Annotated[
        Literal["off", "optional", "required"],
        Doc(
            text="Whether people who register confirm an e-mail address. It needs a mail server (the section email); "
            "without one, nobody is asked.",
        ),
    ] = "optional"
    phone: Annotated[
        Literal["off", "optional", "required"],
        Doc(
            text="Whether people who register confirm a phone number. It needs a gateway for text messages (the "
            "section sms); without one, nobody is asked.",
        ),
    ] = "off"
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


class Oauth(Section, frozen=True, kw_only=True):
    """Logging in by the browser (the OAuth 2.0 API), on pages of this server. It needs `server.public_url`."""

    enabled: Annotated[
        bool,
        Doc(
            text="Whether clients are offered it. A reverse proxy has to pass /_weft/oauth, /_weft/account and "
            "/_weft/link on.",
        ),
    ] = True
    qr_codes: Annotated[
        Literal["everyone", "users", "nobody"],
        Doc(
            text="Who may begin to sign a device in by a QR code. A new device that shows the code is not signed in "
            'yet, so that "users" has the code shown by the one that is.',
        ),
    ] = "everyone"


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
