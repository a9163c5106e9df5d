"""What is said to other servers, and believed of them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from weft.settings.values import Doc, Section


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
