"""Text messages, handed to the operator's gateway: one POST of JSON for each.

What goes wrong is told in the log with what to do about it, and to who asked in general terms.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import orjson
import structlog

from weft.http.client import HttpClient
from weft.protocol.errors import MatrixError, NotNow, PeerError, Unreachable
from weft.settings import Sms as SmsSettings

log = structlog.get_logger(__name__)

_TIMEOUT: Final = 15.0
_MAX_ANSWER: Final = 65_536
_PLAIN: Final = {"to": "{to}", "text": "{text}"}


class Texter:
    """`http` may reach private addresses: the operator has named the gateway."""

    def __init__(self, settings: SmsSettings, http: HttpClient, read_secret: Callable[[Path], str]) -> None:
        self._url = settings.url or ""
        self._http = http
        self._headers = {"Content-Type": "application/json"}
        if settings.token_file is not None:
            self._headers["Authorization"] = f"Bearer {read_secret(settings.token_file)}"
        self._template: object = _PLAIN
        if settings.template_file is not None:
            self._template = orjson.loads(read_secret(settings.template_file))

    async def send(self, number: str, text: str) -> None:
        """Sends a message to a number (digits, with the country's code).

        Raises `MatrixError` with status 502 where the gateway does not take it.
        """
        body = orjson.dumps(_filled(self._template, f"+{number}", text))
        try:
            reply = await self._http.request(
                "POST", self._url, headers=self._headers, body=body, timeout=_TIMEOUT, max_bytes=_MAX_ANSWER
            )
            reply.check()
        except (NotNow, PeerError, Unreachable) as error:
            advice = "check sms.url, sms.token_file and sms.template_file, and the gateway's own log"
            log.error("a text message could not be sent", reason=str(error), what_to_do=advice)
            raise MatrixError(
                "The text message could not be sent. Try again later, or ask the server's administrator.", status=502
            ) from None


def _filled(template: object, to: str, text: str) -> Any:
    """The template with the number and the message in each of its strings."""
    if isinstance(template, str):
        # The number first: it has no braces, but the message is free text.
        return template.replace("{to}", to).replace("{text}", text)
    if isinstance(template, list):
        return [_filled(item, to, text) for item in template]
    if isinstance(template, dict):
        return {key: _filled(value, to, text) for key, value in template.items()}
    return template
