"""Where the link in an e-mail leads: a page with a button.

Programs that look through mail follow its links, so that looking at the page confirms nothing; only its button does.

https://spec.matrix.org/v1.19/client-server-api/#adding-account-administrative-contact-information
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from weft.http.call import Call, Route, route
from weft.http.pages import Pages, read_form
from weft.modules.third_party_ids.purposes import ADD, REGISTER, RESET
from weft.modules.third_party_ids.session_store import SessionRow
from weft.modules.third_party_ids.validation import Outcome, Validation
from weft.protocol.api.client import third_party_ids as api
from weft.protocol.api.endpoint import Raw

_PAGES = Pages("weft.modules.third_party_ids")

#: By purpose: the page's title, what the button does, and what is on it.
_SAID: Final[Mapping[str, tuple[str, str, str]]] = {
    REGISTER: (
        "Confirm your e-mail address",
        "Somebody is making an account here with the e-mail address {address}. If it is you, confirm it.",
        "It is me",
    ),
    ADD: (
        "Confirm your e-mail address",
        "Somebody wants to add the e-mail address {address} to their account. If it is you, confirm it.",
        "It is me",
    ),
    RESET: (
        "A new password",
        "Somebody wants to set a new password for the account with the e-mail address {address}. Confirm it only if "
        "you have just asked for this yourself: whoever did can then set the password.",
        "I asked for a new password",
    ),
}


class ConfirmationPages:
    def __init__(self, validation: Validation) -> None:
        self._validation = validation

    def routes(self) -> list[Route[Any, Any]]:
        return [route(api.SHOW_EMAIL_CONFIRMATION, self.show), route(api.CONFIRM_EMAIL, self.confirm)]

    async def show(self, call: Call[api.ShowEmailConfirmationRequest]) -> Raw:
        row = await self._validation.look(call.args.sid, call.args.token)
        if row is None:
            return _gone()
        return _done() if row.validated_ms is not None else _ask(row, call.args.token)

    async def confirm(self, call: Call[api.ConfirmEmailRequest]) -> Raw:
        form = read_form(call.args.form)
        sid, token = form.get("sid", ""), form.get("token", "")
        row = await self._validation.look(sid, token)
        if row is None or await self._validation.submit(sid, token) is not Outcome.VALIDATED:
            return _gone()
        if row.next_link is not None:
            return Raw(status=303, headers={"Location": row.next_link, "Cache-Control": "no-store"})
        return _done()


def _ask(row: SessionRow, token: str) -> Raw:
    title, what, button = _SAID[row.purpose]
    content = _PAGES.part(
        "confirm",
        what=what.format(address=row.address),
        problem=_PAGES.problem(""),
        sid=row.sid,
        token=token,
        button=button,
    )
    return _PAGES.page(title, content, leads_to=_origin(row.next_link))


def _origin(link: str | None) -> str:
    """Where the browser goes from here, once the button is pressed."""
    parts = urlsplit(link or "")
    return f"{parts.scheme}://{parts.netloc}" if link else ""


def _done() -> Raw:
    return _PAGES.page("Thank you", _PAGES.part("confirmed"))


def _gone() -> Raw:
    message = "This link is no good any more. Please go back to your app and have another one sent."
    return _PAGES.page("Begin anew", _PAGES.problem(message), status=404)
