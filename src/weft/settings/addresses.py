"""E-mail addresses and phone numbers of accounts: how messages reach them, and who else is told."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from weft.settings.values import Doc, Duration, Port, Section


class Email(Section, frozen=True, kw_only=True):
    """The mail server through which this server writes to people: to confirm addresses, and to reset passwords."""

    host: Annotated[
        str,
        Doc(
            text="The mail server (SMTP) that takes this server's mail. Without it there are no e-mails, and nobody "
            "can add an address. The links in the e-mails lead to server.public_url.",
            example='"mail.example.org"',
        ),
    ] = ""
    port: Annotated[Port, Doc(text="Its port: 587 with starttls, 465 with tls, 25 on the own machine, as a rule.")] = (
        587
    )
    tls: Annotated[
        Literal["starttls", "tls", "none"],
        Doc(
            text='"starttls": the connection is turned into an encrypted one, or no mail is sent. "tls": it is '
            'encrypted from the beginning. "none": it is not.',
            risk='With "none" the password and every link that resets a password cross the network readable to all '
            "on the way. Use it for a mail server on this machine only.",
        ),
    ] = "starttls"
    ca_file: Annotated[
        Path | None,
        Doc(
            text="The certificate authority (PEM) of the mail server, if it is none that the system knows.",
            example='"mail-ca.pem"',
        ),
    ] = None
    username: Annotated[
        str, Doc(text="The name with which Weft logs in there; without it, it does not.", example='"weft"')
    ] = ""
    password_file: Annotated[Path | None, Doc(text="The file of the password.", example='"mail.password"')] = None
    sender: Annotated[
        str,
        Doc(
            text="From whom the e-mails are: an address, or a name and an address.",
            example='"Weft <noreply@example.org>"',
        ),
    ] = ""
    subject_prefix: Annotated[
        str | None,
        Doc(text="What every subject begins with; without it, the server's name in brackets.", example='"[Example]"'),
    ] = None
    link_lifetime: Annotated[
        Duration, Doc(text="For how long a link in an e-mail, or a code in a text message, is good.")
    ] = Duration.parse("1h")


class Sms(Section, frozen=True, kw_only=True):
    """The gateway that takes text messages to phones (SMS): a web service to which each message is POSTed as JSON."""

    url: Annotated[
        str | None,
        Doc(
            text="Where messages are posted. Without it there are none, and nobody can add a phone number. A message "
            "is taken if the answer is a success (2xx).",
            example='"https://sms.example.org/messages"',
            risk="Text messages cost money: the limits rate_limits.validation bound how many a stranger can have sent.",
        ),
    ] = None
    token_file: Annotated[
        Path | None,
        Doc(text="The file of the token that is shown there (Authorization: Bearer).", example='"sms.token"'),
    ] = None
    template_file: Annotated[
        Path | None,
        Doc(
            text="The file of the JSON that is posted, in whose strings {to} stands for the number (with its plus) "
            'and {text} for the message. Without it: {"to": "{to}", "text": "{text}"}.',
            example='"sms.json"',
        ),
    ] = None


class ThirdPartyIds(Section, frozen=True, kw_only=True):
    """Who may have which e-mail addresses and phone numbers, and the identity servers that tell of them."""

    changes: Annotated[
        bool, Doc(text="Whether people may add and remove addresses of their accounts by themselves.")
    ] = True
    reveal: Annotated[
        bool,
        Doc(
            text="Whether somebody who asks for a confirmation is told at once that the address is in use, or that no "
            "account has it. Otherwise the message to the address says so, and who asked learns nothing.",
            risk="With it anybody can find out who has an account here.",
        ),
    ] = False
    allowed_emails: Annotated[
        tuple[str, ...],
        Doc(
            text="Patterns of e-mail addresses (* stands for anything); where there are some, no others can be added "
            "or registered with.",
            example='["*@example.org", "*@*.example.org"]',
        ),
    ] = ()
    identity_servers: Annotated[
        tuple[str, ...],
        Doc(
            text="The identity servers with which people may have this server deal: to tell the world of their "
            "address, and to invite others by theirs. A name stands for https://NAME and may not be at a private "
            "address; one that is written as an address (https://… or http://…) may be.",
            example='["matrix.org", "https://identity.example.org"]',
            risk="An identity server learns whom this server's users look for.",
        ),
    ] = ("matrix.org", "vector.im")
