"""Signing in with an account that people have elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from weft.settings.values import Doc, Section


class IdentityProvider(Section, frozen=True, kw_only=True):
    """A provider that knows people, by OpenID Connect."""

    id: Annotated[
        str,
        Doc(
            text="Names the provider for clients and in the database: small letters, digits, _ and -. Never change it.",
            example='"company"',
        ),
    ]
    name: Annotated[str, Doc(text="What people read on the button.", example='"Example Company"')]
    issuer: Annotated[
        str,
        Doc(
            text="The provider's address, to the letter as it spells it itself; the rest is read from "
            "/.well-known/openid-configuration below it.",
            example='"https://login.example.org/realms/company"',
        ),
    ]
    client_id: Annotated[str, Doc(text="What the provider calls this server.", example='"weft"')]
    client_secret_file: Annotated[
        Path | None,
        Doc(text="The file of the secret that goes with it; without it Weft shows none.", example='"company.secret"'),
    ] = None
    scopes: Annotated[tuple[str, ...], Doc(text="What is asked for.")] = ("openid", "profile", "email")
    localpart_claim: Annotated[
        str,
        Doc(
            text="The claim of which a new account's name is made. Where there is none, or the name is taken, people "
            "are asked; with an empty text they always are."
        ),
    ] = "preferred_username"
    display_name_claim: Annotated[str, Doc(text="The claim that a new account's display name is.")] = "name"
    email_claim: Annotated[
        str,
        Doc(
            text="The claim of the e-mail address that a new account has. It counts only where the provider says "
            "email_verified."
        ),
    ] = "email"
    registration: Annotated[
        bool,
        Doc(
            text="Whether people whom the provider knows, and who have no account here, get one, whatever "
            "registration.mode says. They are never made administrators by it.",
            risk="With a provider where everybody can have an account, everybody can have one here.",
        ),
    ] = True
    existing_accounts: Annotated[
        bool,
        Doc(
            text="Whether somebody who comes for the first time is given the account that has the name already.",
            risk="Whoever can choose their name at the provider can take over any account here. Use it only where "
            "names are given by you.",
        ),
    ] = False
    brand: Annotated[
        str | None, Doc(text="How clients may draw the button: github, google, apple …", example='"github"')
    ] = None
    icon: Annotated[
        str | None, Doc(text="The picture on the button, as a mxc:// address.", example='"mxc://example.org/abc"')
    ] = None


class SingleSignOn(Section, frozen=True, kw_only=True):
    """Signing in with an account elsewhere (OpenID Connect). It needs `server.public_url`."""

    providers: Annotated[
        tuple[IdentityProvider, ...],
        Doc(
            text="Who knows the people. To the provider this server's address (redirect URI) is "
            "PUBLIC_URL/_weft/single_sign_on/callback/ID.",
            example='[{ id = "company", name = "Example Company", issuer = "https://login.example.org/realms/company", '
            'client_id = "weft", client_secret_file = "company.secret", scopes = ["openid", "profile", "email"], '
            'localpart_claim = "preferred_username", display_name_claim = "name", email_claim = "email", '
            'registration = true, existing_accounts = false, brand = "company", icon = "mxc://example.org/abc" }]',
        ),
    ] = ()
    trusted_clients: Annotated[
        tuple[str, ...],
        Doc(
            text="The addresses of apps that are given a login without that people are asked: those that begin so, "
            "on the same host.",
            example='["https://app.example.org/"]',
            risk="Whoever can put a page at such an address gets the accounts of those who follow a link.",
        ),
    ] = ()
