"""E-mails on their way: with and without encryption and a login, and what goes wrong.

The mail server is a real one, on this machine.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from tests.http.certificates import make_certificate
from tests.modules.conftest import Start
from tests.modules.mailbox import PASSWORD, USER, Mailbox, body_of, mail_server, mail_settings
from weft.modules.third_party_ids import mail
from weft.server.config import SettingsError, from_values
from weft.testing import Answer, TestServer

ASK = "/_matrix/client/v3/account/3pid/email/requestToken"


async def ask(server: TestServer, address: str = "alice@example.org", attempt: int = 1) -> Answer:
    body = {"client_secret": "s", "email": address, "send_attempt": attempt}
    return await server.client().post(ASK, body)


def secret(folder: Path, text: str = PASSWORD) -> str:
    file = folder / "mail.password"
    file.write_text(f"{text}\n")
    return str(file)


@pytest.mark.parametrize("tls", ["starttls", "tls"])
async def test_mail_is_encrypted_and_the_server_known(start_server: Start, tmp_path: Path, tls: str) -> None:
    certificate = make_certificate(tmp_path / "tls", addresses=["127.0.0.1"])
    login = tls == "starttls"  # over TLS from the beginning aiosmtpd sees no TLS, and lets nobody log in
    async with mail_server(certificate, implicit=tls == "tls", login=login) as box:
        more: dict[str, Any] = {"username": USER, "password_file": secret(tmp_path)} if login else {}
        settings = mail_settings(box, tls=tls, ca_file=str(certificate[0]), **more)
        server = await start_server(settings)
        (await ask(server)).ok()
        assert box.take()["To"] == "alice@example.org"
        assert box.users == ([USER] if login else [])
        if tls == "starttls":
            assert box.encrypted == [True]


async def test_a_server_that_nobody_knows_gets_no_mail(start_server: Start, tmp_path: Path) -> None:
    async with mail_server(make_certificate(tmp_path / "tls", addresses=["127.0.0.1"])) as box:
        server = await start_server(mail_settings(box, tls="starttls"))
        (await ask(server)).refused(502, "M_UNKNOWN")
        assert not box.messages


async def test_no_mail_goes_unencrypted_that_should_not(start_server: Start) -> None:
    async with mail_server() as box:
        server = await start_server(mail_settings(box, tls="starttls"))
        (await ask(server)).refused(502, "M_UNKNOWN")
        assert not box.messages


async def test_a_wrong_password(start_server: Start, tmp_path: Path) -> None:
    certificate = make_certificate(tmp_path / "tls", addresses=["127.0.0.1"])
    async with mail_server(certificate, login=True) as box:
        more = {"username": USER, "password_file": secret(tmp_path, "wrong"), "ca_file": str(certificate[0])}
        server = await start_server(mail_settings(box, tls="starttls", **more))
        (await ask(server)).refused(502, "M_UNKNOWN")
        assert not box.messages


async def test_what_was_not_sent_may_be_asked_for_again(start_server: Start) -> None:
    """Also by the same attempt, as a client that tries again makes it."""
    async with mail_server() as box:
        server = await start_server(mail_settings(box))
        box.answer = "451 Not now"
        (await ask(server)).refused(502, "M_UNKNOWN")
        box.answer = "250 OK"
        (await ask(server)).ok()
        box.take()
        (await ask(server)).ok()
        assert not box.messages


async def test_an_address_that_there_is_not(start_server: Start) -> None:
    async with mail_server() as box:
        server = await start_server(mail_settings(box))
        box.rcpt_answer = "550 No such user"
        (await ask(server)).refused(400, "M_INVALID_PARAM")
        box.rcpt_answer = "450 Greylisted"
        (await ask(server)).refused(502, "M_UNKNOWN")


async def test_a_server_that_is_not_there(start_server: Start) -> None:
    server = await start_server(mail_settings(Mailbox(port=1)))
    (await ask(server)).refused(502, "M_UNKNOWN")


async def test_nobody_waits_for_ever(start_server: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mail, "TIMEOUT", 0.5)
    async with mail_server() as box:
        server = await start_server(mail_settings(box))
        box.delay = 2
        (await ask(server)).refused(502, "M_UNKNOWN")


async def test_what_goes_wrong_is_said(start_server: Start) -> None:
    server = await start_server(mail_settings(Mailbox(port=1)))
    with capture_logs() as logs:
        await ask(server)
    (said,) = [entry for entry in logs if entry["log_level"] == "error"]
    assert said["server"] == "127.0.0.1:1"
    assert "email.host" in said["what_to_do"]


async def test_letters_of_all_scripts(start_server: Start) -> None:
    async with mail_server() as box:
        settings = mail_settings(box, subject_prefix="Grüße:", sender="Weberei Ö <noreply@weft.test>")
        server = await start_server(settings)
        (await ask(server)).ok()
        message = box.take()
        assert message["Subject"] == "Grüße: Confirm your e-mail address"
        assert message["From"] == "Weberei Ö <noreply@weft.test>"
        assert "60 minutes" in body_of(message)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"email": {"host": "mail.test", "sender": "a@b.test"}}, "public_url"),
        ({"email": {"host": "mail.test"}, "server": {"public_url": "https://m.test"}}, "who the e-mails are from"),
        ({"email": {"username": "weft"}}, "both username and password_file"),
        ({"email": {"password_file": "nowhere"}}, "does not exist"),
        ({"registration": {"email": "required"}}, "needs email.host"),
        ({"registration": {"phone": "required"}}, "needs sms.url"),
        ({"sms": {"url": "sms.test"}}, "https://"),
        ({"sms": {"url": "https://sms.test"}}, "public_url"),
        ({"third_party_ids": {"identity_servers": ["a b"]}}, "not a server name"),
        ({"third_party_ids": {"identity_servers": ["ftp://a.test"]}}, "https://"),
    ],
)
def test_settings_that_can_not_be(tmp_path: Path, settings: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingsError) as refused:
        from_values(settings, base=tmp_path)
    assert any(said in problem for problem in refused.value.problems)
