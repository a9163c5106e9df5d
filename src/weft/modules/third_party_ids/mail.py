"""E-mails, handed to the operator's mail server in an SMTP dialogue.

Texts are in `templates/`, each as plain text and as HTML; values in HTML are escaped. What goes wrong is told in the
log with what to do about it, and to who asked in general terms.

https://www.rfc-editor.org/rfc/rfc5321
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTPUTF8
from email.utils import format_datetime, parseaddr
from functools import cache
from html import escape
from importlib import resources
from pathlib import Path
from string import Template
from typing import Final

import aiosmtplib
import structlog

from weft.http.trust import trust
from weft.protocol.errors import InvalidParam, LimitExceeded, MatrixError
from weft.rooms.engine import Outside
from weft.settings import Email as EmailSettings

log = structlog.get_logger(__name__)

#: Seconds for one e-mail, from the connection to the server's word that it has it.
TIMEOUT: Final = 20.0
#: How many are sent at a time, and how many may wait for that.
_AT_ONCE: Final = 4
_MOST_WAITING: Final = 100
#: The mail server says for good that it does not take mail for this address (RFC 5321, 4.2.3).
_NO_SUCH_ADDRESS: Final = frozenset({550, 551, 553})


class Mailer:
    """`settings.host` is set. `server_name` names the server in the subject where there is no prefix of its own."""

    def __init__(
        self, settings: EmailSettings, outside: Outside, *, server_name: str, read_secret: Callable[[Path], str]
    ) -> None:
        self._settings = settings
        self._outside = outside
        self._server_name = server_name
        self._password = read_secret(settings.password_file) if settings.password_file else None
        self._sender = _address(settings.sender)
        self._tls = trust([settings.ca_file] if settings.ca_file is not None else ())
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self._here = 0

    async def send(self, to: str, template: str, subject: str, values: Mapping[str, str]) -> None:
        """Sends an e-mail made from a template.

        Raises `InvalidParam` where the mail server does not take mail for the address, `LimitExceeded` where too much
        is being sent already, and `MatrixError` with status 502 for whatever else goes wrong.
        """
        if self._here >= _MOST_WAITING:
            raise LimitExceeded(5_000, "Too many e-mails are being sent just now.")
        message = self._message(to, template, subject, values)
        self._here += 1
        try:
            async with self._slots:
                await self._hand_over(message)
        finally:
            self._here -= 1

    def _message(self, to: str, template: str, subject: str, values: Mapping[str, str]) -> EmailMessage:
        prefix = self._settings.subject_prefix
        message = EmailMessage(policy=SMTPUTF8)
        message["From"] = self._sender
        message["To"] = _address(to)
        message["Subject"] = f"{f'[{self._server_name}]' if prefix is None else prefix} {subject}".strip()
        sent_at = datetime.fromtimestamp(self._outside.now_ms() / 1000, tz=UTC)
        message["Date"] = format_datetime(sent_at)
        message["Message-ID"] = f"<{self._outside.token()}@{self._sender.domain}>"
        # So that no holiday notice answers it (RFC 3834).
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(Template(_file(f"{template}.txt")).substitute(values))
        escaped = {name: escape(value) for name, value in values.items()}
        content = Template(_file(f"{template}.html")).substitute(escaped)
        page = Template(_file("layout.html")).substitute(title=escape(subject), content=content)
        message.add_alternative(page, subtype="html")
        return message

    async def _hand_over(self, message: EmailMessage) -> None:
        settings = self._settings
        try:
            async with asyncio.timeout(TIMEOUT):
                await aiosmtplib.send(
                    message,
                    hostname=settings.host,
                    port=settings.port,
                    username=settings.username or None,
                    password=self._password,
                    use_tls=settings.tls == "tls",
                    start_tls=settings.tls == "starttls",
                    tls_context=self._tls if settings.tls != "none" else None,
                    local_hostname=self._sender.domain,
                    timeout=TIMEOUT,
                )
        except aiosmtplib.SMTPRecipientsRefused as error:
            refusal = error.recipients[0]
            log.warning("the mail server does not take mail for an address", code=refusal.code, said=refusal.message)
            if refusal.code in _NO_SUCH_ADDRESS:
                raise InvalidParam("The mail server does not take mail for this address.") from None
            raise _unsent() from None
        except (aiosmtplib.SMTPException, OSError, ValueError) as error:
            log.error(
                "an e-mail could not be sent",
                server=f"{settings.host}:{settings.port}",
                reason=str(error) or type(error).__name__,
                what_to_do=_advice(error),
            )
            raise _unsent() from None


def _unsent() -> MatrixError:
    return MatrixError("The e-mail could not be sent. Try again later, or ask the server's administrator.", status=502)


def _advice(error: Exception) -> str:
    """What an operator can do about it."""
    match error:
        case aiosmtplib.SMTPAuthenticationError():
            return "check email.username and email.password_file"
        case aiosmtplib.SMTPConnectTimeoutError() | TimeoutError():
            return "check email.host, email.port and the firewall; port 465 needs email.tls = tls"
        case aiosmtplib.SMTPSenderRefused():
            return "the mail server does not let this server write as email.sender"
        case ssl.SSLError():
            return "check the mail server's certificate, or name its authority in email.ca_file"
        case aiosmtplib.SMTPConnectError():
            return "check email.host, email.port, email.tls and, for an authority of your own, email.ca_file"
        case aiosmtplib.SMTPException() if "STARTTLS" in str(error).upper():
            return "the mail server has no STARTTLS on this port: see email.tls"
    return "look into the mail server's own log"


def _address(text: str) -> Address:
    """A name and an address, or an address, that a header can carry."""
    name, address = parseaddr(text)
    local, _, domain = address.rpartition("@")
    return Address(name, local, domain)


@cache
def _file(name: str) -> str:
    folder = resources.files("weft.modules.third_party_ids").joinpath("templates")
    return folder.joinpath(name).read_text(encoding="utf-8")
