"""A mail server and a gateway for text messages, which keep what they are given."""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from aiohttp import web
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

SENDER = "Weft <noreply@weft.test>"
PUBLIC = "https://matrix.weft.test"
#: A user of the mail server.
USER, PASSWORD = "weft", "mail password"


@dataclass
class Mailbox:
    """What came, and what the server says to it."""

    port: int = 0
    messages: list[EmailMessage] = field(default_factory=list)
    #: Whether each came over TLS, and who had logged in.
    encrypted: list[bool] = field(default_factory=list)
    users: list[str] = field(default_factory=list)
    answer: str = "250 OK"
    rcpt_answer: str = "250 OK"
    #: Seconds until it answers.
    delay: float = 0

    async def handle_RCPT(  # the name that aiosmtpd looks for
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self.rcpt_answer.startswith("250"):
            envelope.rcpt_tos.append(address)
        return self.rcpt_answer

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        await asyncio.sleep(self.delay)
        if self.answer.startswith("250"):
            message = message_from_bytes(bytes(envelope.content or b""), policy=policy.default)
            assert isinstance(message, EmailMessage)
            self.messages.append(message)
            self.encrypted.append(session.ssl is not None)
        return self.answer

    def authenticate(self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:
        good = isinstance(data, LoginPassword) and (data.login, data.password) == (USER.encode(), PASSWORD.encode())
        if good:
            self.users.append(USER)
        return AuthResult(success=good, handled=good)

    def take(self) -> EmailMessage:
        """The one message that came."""
        (message,) = self.messages
        self.messages.clear()
        return message


@asynccontextmanager
async def mail_server(
    certificate: tuple[Path, Path] | None = None, *, implicit: bool = False, login: bool = False
) -> AsyncIterator[Mailbox]:
    """`certificate`: it has STARTTLS, and takes nothing without; `implicit`: it speaks TLS from the beginning."""
    box = Mailbox()
    tls = None
    if certificate is not None:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(*certificate)
    starts = tls is not None and not implicit

    def serve() -> SMTP:
        return SMTP(
            box,
            hostname="mail.weft.test",
            tls_context=tls if starts else None,
            require_starttls=starts,
            auth_required=login,
            auth_require_tls=starts,
            authenticator=box.authenticate if login else None,
        )

    server = await asyncio.get_running_loop().create_server(serve, "127.0.0.1", 0, ssl=tls if implicit else None)
    box.port = server.sockets[0].getsockname()[1]
    try:
        yield box
    finally:
        server.close()


def mail_settings(box: Mailbox, **more: Any) -> dict[str, Any]:
    """Settings of a server that sends its mail there."""
    email = {"host": "127.0.0.1", "port": box.port, "tls": "none", "sender": SENDER, **more}
    return {"email": email, "server": {"names": ["weft.test"], "public_url": PUBLIC}}


def body_of(message: EmailMessage, kind: str = "plain") -> str:
    part = message.get_body((kind,))
    assert part is not None
    return str(part.get_content())


def link_of(message: EmailMessage) -> dict[str, str]:
    """The query of the link in an e-mail, which is the same in both forms of it."""
    (plain,) = re.findall(r"https://\S+", body_of(message))
    assert plain.startswith(f"{PUBLIC}/_matrix/client/unstable/email/submit_token?")
    assert plain.replace("&", "&amp;") in body_of(message, "html")
    return {name: values[0] for name, values in parse_qs(urlsplit(plain).query).items()}


@dataclass
class Gateway:
    """Text messages: what was posted, and with which authorisation."""

    url: str = ""
    posted: list[Any] = field(default_factory=list)
    tokens: list[str | None] = field(default_factory=list)
    status: int = 200

    async def post(self, request: web.Request) -> web.Response:
        if self.status == 200:
            self.posted.append(await request.json())
            self.tokens.append(request.headers.get("Authorization"))
        return web.json_response({}, status=self.status)

    def code(self) -> str:
        """The code in the last message."""
        (code,) = re.findall(r"\b[0-9]{6}\b", self.posted[-1]["text"])
        return str(code)


@asynccontextmanager
async def sms_gateway() -> AsyncIterator[Gateway]:
    gateway = Gateway()
    async with serving(("POST", "/messages", gateway.post)) as url:
        gateway.url = f"{url}/messages"
        yield gateway


@asynccontextmanager
async def serving(*routes: tuple[str, str, Any]) -> AsyncIterator[str]:
    """A web server on this machine; its address."""
    app = web.Application()
    for method, path, handler in routes:
        app.router.add_route(method, path, handler)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    try:
        yield f"http://{host}:{port}"
    finally:
        await runner.cleanup()
