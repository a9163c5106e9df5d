"""The stages of user-interactive authentication by which somebody shows that an address is theirs, and their pages.

https://spec.matrix.org/v1.19/client-server-api/#email-based-identity--homeserver
https://spec.matrix.org/v1.19/client-server-api/#phone-numbermsisdn-based-identity--homeserver
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from weft.http.pages import Html, Pages
from weft.modules.accounts import ProvenAddress
from weft.modules.third_party_ids.purposes import REGISTER, RESET
from weft.modules.third_party_ids.service import ThirdPartyIds
from weft.modules.third_party_ids.validation import Outcome, Validation
from weft.modules.ui_auth import UiAuthService
from weft.protocol import ui_auth
from weft.protocol.third_party_ids import EMAIL, MSISDN, canonical
from weft.protocol.ui_auth import Attempt, Session, StageFailed, ThirdPartyIdentifier
from weft.rooms.engine import Outside

_PAGES = Pages("weft.modules.third_party_ids")
#: For what each operation wants an address to be proven.
_PURPOSES: Final[Mapping[str, str]] = {"register": REGISTER, "password": RESET}


class AddressStage:
    """The stage of one medium: a `Checker` and a `StagePage` of `UiAuthService`."""

    def __init__(
        self,
        stage: str,
        medium: str,
        ids: ThirdPartyIds,
        validation: Validation,
        ui_auth_: UiAuthService,
        outside: Outside,
    ) -> None:
        self._stage = stage
        self._medium = medium
        self._ids = ids
        self._validation = validation
        self._outside = outside
        self.title = "Confirm your e-mail address" if medium == EMAIL else "Confirm your phone number"
        ui_auth_.checkers[stage] = self.check
        ui_auth_.pages[stage] = self

    async def check(self, attempt: Attempt) -> dict[str, Any]:
        """What is known of whoever passes: the address and, where a password is set anew, whose account has it."""
        given = ui_auth.read_threepid_credentials(attempt.auth)
        purpose = _purpose(attempt.session)
        row = await self._validation.validated(given.sid, given.client_secret)
        if row is None or row.purpose != purpose or row.medium != self._medium:
            raise StageFailed("The address has not been confirmed yet.", errcode="M_UNAUTHORIZED")
        owner = await self._ids.owner_of(ThirdPartyIdentifier(row.medium, row.address))
        if purpose == RESET and owner is None:
            raise StageFailed("No account has this address.", errcode="M_THREEPID_NOT_FOUND")
        if purpose == REGISTER and owner is not None:
            raise StageFailed("The address is in use already.", errcode="M_THREEPID_IN_USE")
        if not await self._validation.use(row.sid, attempt.session.session_id):
            raise StageFailed("The confirmation was used already.")
        proven = ProvenAddress(row.medium, row.address, row.validated_ms or 0)
        return {**proven._asdict(), "user_id": owner}

    # -- in a browser

    async def read(self, session: Session, form: dict[str, str]) -> dict[str, Any] | None:
        """What a client would send, once there is something to send; what the page has to remember goes into `form`.

        Raises `MatrixError` where no message could be sent.
        """
        if form.get("sid"):
            if self._medium == MSISDN:
                await self._submit(form)
            return {"threepid_creds": {name: form.get(name, "") for name in ("sid", "client_secret")}}
        if not form.get("address"):
            return None
        secret = self._outside.token()
        sid = await self._ids.request_token(
            _purpose(session), canonical(self._medium, form["address"]), client_secret=secret, send_attempt=1
        )
        form.update(sid=sid, client_secret=secret)
        return None

    async def _submit(self, form: Mapping[str, str]) -> None:
        outcome = await self._validation.submit(
            form["sid"], form.get("code", "").strip(), form.get("client_secret", "")
        )
        if outcome is Outcome.WRONG:
            raise StageFailed("That is not the code.")
        if outcome is Outcome.GONE:
            raise StageFailed("The code has expired. Go back and begin anew.")

    def show(self, session: Session, form: Mapping[str, str], problem: Html) -> Html:
        """The page: first it asks for the address, then for what was sent there."""
        name = "email" if self._medium == EMAIL else "msisdn"
        if not form.get("sid"):
            return _PAGES.part(f"{name}_ask", session=session.session_id, problem=problem)
        return _PAGES.part(
            f"{name}_sent",
            session=session.session_id,
            problem=problem,
            sid=form["sid"],
            client_secret=form.get("client_secret", ""),
        )


def _purpose(session: Session) -> str:
    """Raises `StageFailed` for an operation that proves nothing by an address."""
    purpose = _PURPOSES.get(session.operation.path.rpartition("/")[2])
    if purpose is None:
        raise StageFailed("This can't be confirmed by an address.")
    return purpose
