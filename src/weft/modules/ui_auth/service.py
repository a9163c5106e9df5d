"""User-interactive authentication for every operation that asks for it.

The rules are `weft.protocol.ui_auth`; here sessions are kept (in the database, so that any process may go on with one)
and stages are checked by those who know how: whoever knows passwords puts a checker under `m.login.password`.

    done = await ui_auth.authorise(call, PASSWORD_ONLY, user_id=call.user_id)   # or the 401 that says what is missing

https://spec.matrix.org/v1.19/client-server-api/#user-interactive-authentication-api
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, Protocol

from weft.http.call import Call
from weft.http.pages import Html
from weft.modules.module import Task
from weft.modules.ui_auth import store
from weft.modules.ui_auth.sealing import NONCE_SIZE, Kept, kept, name_of, seal, unseal
from weft.protocol import ui_auth
from weft.protocol.errors import Forbidden, MatrixError, NotNow, TooLarge
from weft.protocol.ui_auth import Attempt, Challenge, Checker, Done, Operation, Scheme, Session, StageFailed
from weft.rooms.engine import Engine

#: How long somebody has to complete the stages of an operation.
SESSION_MS: Final = 60 * 60 * 1000
#: What of a request is remembered at most.
MAX_SEALED: Final = 65_536
_TRIES: Final = 5

#: `m.oauth` while it was for one purpose only; MSC4312 has servers offer both.
OAUTH_UNSTABLE: Final = "org.matrix.cross_signing_reset"
PASSWORD_ONLY: Final = Scheme([[ui_auth.PASSWORD]])


class StagePage(Protocol):
    """The page of a stage that another module checks."""

    @property
    def title(self) -> str: ...

    async def read(self, session: Session, form: dict[str, str]) -> dict[str, Any] | None:
        """What a client would have sent, from what was posted; None if the page has to be shown again.

        Adds to `form` what the page has to remember. Raises `StageFailed` and `MatrixError`.
        """

    def show(self, session: Session, form: Mapping[str, str], problem: Html) -> Html:
        """What is on the page, after `form` was posted; `problem` says why it is shown again."""


class UiAuthService:
    """`checkers`, by stage: what finds out whether an attempt is good; see `weft.protocol.ui_auth.authenticate`.

    `pages`, by stage: those that other modules bring.
    """

    def __init__(self, engine: Engine) -> None:
        self._database = engine.database
        self._outside = engine.outside
        self.checkers: dict[str, Checker] = {}
        self.pages: dict[str, StagePage] = {}
        #: The page on which the user of an OAuth session consents, by the id of the authentication session.
        self.consent_page: Callable[[str], str] | None = None
        #: What else is as good as a password for a user, or in its place.
        self.adapt: Callable[[Scheme, str], Awaitable[Scheme]] | None = None
        self.tasks = [Task(name="expired authentication sessions", every_seconds=600, run=self.prune)]

    async def authorise(self, call: Call[Any], scheme: Scheme, *, user_id: str | None, by_oauth: bool = False) -> Done:
        """Returns once for each consent; what it returns is used up. `user_id`: whose consent it has to be, if known.

        `by_oauth`: in an OAuth session consent is given on a page of this server, whatever `scheme` says; without it
        such sessions are refused, because their clients must not see by what a user proves who they are.

        Raises `Challenge` (the 401 that says what is missing) and what `weft.protocol.ui_auth.advance` raises.
        """
        is_oauth = call.maybe_requester is not None and call.maybe_requester.is_oauth
        if is_oauth and not (by_oauth and self.consent_page):
            raise Forbidden("An app that was logged in by the browser can't do this: it is done on the account's page.")
        if self.adapt is not None and user_id is not None and not is_oauth:
            scheme = await self.adapt(scheme, user_id)
        operation = Operation(call.endpoint.method, call.raw_path.decode("latin-1"), user_id)
        for _ in range(_TRIES):
            new_session_id = self._outside.token(32)
            if is_oauth:
                scheme = self._oauth_scheme(ui_auth.session_id_of(call.raw_json) or new_session_id)
            outcome = await self._round(scheme, operation, call.raw_json, new_session_id)
            if isinstance(outcome, Done):
                return outcome
            if outcome is not None:
                raise outcome
        raise NotNow("others are changing the same session", retry_after_ms=1000)

    def _oauth_scheme(self, session_id: str) -> Scheme:
        """https://spec.matrix.org/v1.19/client-server-api/#oauth-authentication"""
        url = self.consent_page(session_id) if self.consent_page is not None else ""
        return Scheme([[ui_auth.OAUTH], [OAUTH_UNSTABLE]], {ui_auth.OAUTH: {"url": url}, OAUTH_UNSTABLE: {"url": url}})

    async def _round(
        self, scheme: Scheme, operation: Operation, body: dict[str, Any], new_session_id: str
    ) -> Done | Challenge | None:
        """One look at the session; None if somebody else changed it meanwhile."""
        session_id = ui_auth.session_id_of(body)
        found = await self._find(session_id) if session_id is not None else None
        session = found[0].session if found else None
        outcome = await ui_auth.authenticate(scheme, operation, body, session, new_session_id, self._check)
        if isinstance(outcome, Done):
            if found is None:
                return outcome
            if await self._database.write(store.delete, name_of(outcome.session.session_id)):
                return outcome
            raise MatrixError("This authentication session has been used.")
        if outcome.session == session:
            return outcome
        saved = await self._save(kept(outcome.session, scheme), found[1] if found else None)
        return outcome if saved else None

    async def _check(self, attempt: Attempt) -> object:
        checker = self.checkers.get(attempt.stage)
        if checker is None:
            raise StageFailed("This stage can only be completed elsewhere.")
        return await checker(attempt)

    # -- for pages in a browser

    async def look(self, session_id: str) -> Kept | None:
        """A session as it stands; None if there is none of this id any more."""
        found = await self._find(session_id)
        return found[0] if found else None

    async def consented(self, session_id: str) -> None:
        """The user of an OAuth session has consented on the page for that. Raises `MatrixError` as `complete`."""
        await self._complete(session_id, ui_auth.OAUTH, None)

    async def shown_elsewhere(self, session_id: str, stage: str) -> None:
        """A stage that no client can complete was completed on a page. Raises `MatrixError` as `complete`."""
        await self._complete(session_id, stage, None)

    async def complete(self, session_id: str, stage: str, auth: dict[str, Any]) -> None:
        """Completes a stage outside of the request; once done it stays done.

        Raises `StageFailed` if the attempt was no good, `MatrixError` if there is no such session or it is not the
        stage's turn.
        """
        await self._complete(session_id, stage, auth)

    async def _complete(self, session_id: str, stage: str, auth: dict[str, Any] | None) -> None:
        """`auth` is what is to be checked first, if anything is."""
        for _ in range(_TRIES):
            found = await self._find(session_id)
            if found is None:
                raise MatrixError("Unknown authentication session; begin anew.")
            value, revision = found
            result = None
            is_next = stage in value.scheme.next_stages([*value.session.completed])
            if auth is not None and is_next and stage not in ui_auth.UNCHECKED_STAGES:
                result = await self._check(Attempt(value.session, stage, auth))
            after = ui_auth.complete_elsewhere(value.scheme, value.session, stage, result)
            if after == value.session or await self._save(kept(after, value.scheme), revision):
                return
        raise NotNow("others are changing the same session", retry_after_ms=1000)

    async def prune(self) -> None:
        """Removes what has expired."""
        await self._database.write(store.prune, self._outside.now_ms())

    # -- keeping

    async def _find(self, session_id: str) -> tuple[Kept, int] | None:
        row = await self._database.get(store.find, name_of(session_id), self._outside.now_ms())
        value = unseal(row.sealed, session_id) if row else None
        return (value, row.revision) if row and value else None

    async def _save(self, value: Kept, revision: int | None) -> bool:
        sealed = seal(value, self._outside.random_bytes(NONCE_SIZE))
        if len(sealed) > MAX_SEALED:
            raise TooLarge("The request is too large.")
        name = name_of(value.session.session_id)
        if revision is not None:
            return await self._database.write(store.update, name, revision, sealed)
        await self._database.write(store.insert, name, sealed, self._outside.now_ms() + SESSION_MS)
        return True
