"""What is written to addresses: an e-mail with a link, or a text message with a code.

https://spec.matrix.org/v1.19/client-server-api/#adding-account-administrative-contact-information
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final
from urllib.parse import urlencode

from weft.modules.third_party_ids.mail import Mailer
from weft.modules.third_party_ids.purposes import ADD, IN_USE, NOT_FOUND, REGISTER, RESET
from weft.modules.third_party_ids.sms import Texter
from weft.protocol.api.client.third_party_ids import SHOW_EMAIL_CONFIRMATION
from weft.protocol.errors import MatrixError
from weft.protocol.third_party_ids import EMAIL, MSISDN, ThirdPartyId

_SUBJECTS: Final[Mapping[str, str]] = {
    REGISTER: "Confirm your e-mail address",
    ADD: "Confirm your e-mail address",
    RESET: "A new password for your account",
    IN_USE: "Your e-mail address is in use already",
    NOT_FOUND: "No account with your e-mail address",
}
_CODES: Final[Mapping[str, str]] = {
    REGISTER: "{code} is your code to make an account on {server}.",
    ADD: "{code} is your code to add this number to an account on {server}.",
    RESET: "{code} is your code to set a new password on {server}. Give it to nobody.",
    IN_USE: "Somebody wanted to use this number on {server}, where an account has it already.",
    NOT_FOUND: "Somebody wanted to set a new password on {server}, where no account has this number.",
}


class Messages:
    """`public_url` is where this server is reached; `lifetime_ms` how long a token is good."""

    def __init__(
        self, mailer: Mailer | None, texter: Texter | None, *, public_url: str, server_name: str, lifetime_ms: int
    ) -> None:
        self._mailer = mailer
        self._texter = texter
        self._public_url = public_url.rstrip("/")
        self._server_name = server_name
        self._minutes = max(1, lifetime_ms // 60_000)

    def check(self, medium: str) -> None:
        """Raises `M_THREEPID_MEDIUM_NOT_SUPPORTED` where there is no way to addresses of the medium."""
        if (medium == EMAIL and self._mailer is not None) or (medium == MSISDN and self._texter is not None):
            return
        what = "e-mails" if medium == EMAIL else "text messages"
        raise MatrixError(f"This server sends no {what}.", errcode="M_THREEPID_MEDIUM_NOT_SUPPORTED")

    async def send(self, third_party_id: ThirdPartyId, kind: str, *, sid: str = "", token: str = "") -> None:
        """Sends what `kind` (a purpose, or why there is nothing to confirm) says.

        Raises `MatrixError` if it could not be sent.
        """
        self.check(third_party_id.medium)
        if third_party_id.medium == MSISDN and self._texter is not None:
            text = _CODES[kind].format(code=token, server=self._server_name)
            await self._texter.send(third_party_id.address, text)
        elif self._mailer is not None:
            values = {"server": self._server_name, "link": self._link(sid, token), "minutes": str(self._minutes)}
            await self._mailer.send(third_party_id.address, kind, _SUBJECTS[kind], values)

    def _link(self, sid: str, token: str) -> str:
        return f"{self._public_url}{SHOW_EMAIL_CONFIRMATION.path}?{urlencode({'sid': sid, 'token': token})}"
