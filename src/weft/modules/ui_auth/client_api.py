"""The pages by which a stage, or a whole login, is completed in a browser.

All but the login page work without scripts; a script only tells the app that opened the page that it is done.

https://spec.matrix.org/v1.19/client-server-api/#fallback
https://spec.matrix.org/v1.19/client-server-api/#login-fallback
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from weft.http.call import Call, Route, route
from weft.http.pages import Pages, documents, read_form
from weft.modules.ui_auth.sealing import Kept
from weft.modules.ui_auth.service import UiAuthService
from weft.protocol import ui_auth
from weft.protocol.api.client import fallback as api
from weft.protocol.api.endpoint import Empty, Raw
from weft.protocol.errors import MatrixError
from weft.protocol.ui_auth import StageFailed

_PAGES = Pages("weft.modules.ui_auth")
_TITLES: Mapping[str, str] = {
    ui_auth.TERMS: "Terms of this server",
    ui_auth.DUMMY: "Please confirm",
    ui_auth.REGISTRATION_TOKEN: "Registration token",
    ui_auth.PASSWORD: "Confirm that it is you",
}


class FallbackApi:
    def __init__(self, service: UiAuthService) -> None:
        self._service = service

    def routes(self) -> list[Route[Any, Any]]:
        return [
            route(api.GET_AUTH_FALLBACK, self.show_stage),
            route(api.POST_AUTH_FALLBACK, self.complete_stage),
            route(api.GET_LOGIN_FALLBACK, self.show_login),
        ]

    async def show_stage(self, call: Call[api.GetAuthFallbackRequest]) -> Raw:
        stage, session_id = call.args.auth, call.args.session
        kept = await self._service.look(session_id)
        if kept is None:
            return _gone()
        elsewhere = kept.params.get(stage, {}).get("url")
        if elsewhere is not None:
            return Raw(status=303, content_type="", headers={"Location": elsewhere, "Cache-Control": "no-store"})
        return _done() if stage in kept.session.completed else self._stage(kept, stage, {})

    async def complete_stage(self, call: Call[api.PostAuthFallbackRequest]) -> Raw:
        form = read_form(call.args.form)
        stage, session_id = call.args.auth, call.args.session or form.get("session", "")
        kept = await self._service.look(session_id)
        if kept is None:
            return _gone()
        try:
            _check_terms(kept, stage, form)
            auth = await self._auth(kept, stage, form)
            if auth is None:
                return self._stage(kept, stage, form)
            await self._service.complete(session_id, stage, auth)
        except StageFailed as failure:
            return self._stage(kept, stage, form, failure.message, status=401)
        except MatrixError as error:
            return self._stage(kept, stage, form, error.message, status=error.status)
        return _done()

    async def _auth(self, kept: Kept, stage: str, form: dict[str, str]) -> dict[str, Any] | None:
        """What a client would have sent; None if there is more to be asked."""
        page = self._service.pages.get(stage)
        if page is None:
            return {"type": stage, **{key: form[key] for key in ("token", "user", "password") if key in form}}
        given = await page.read(kept.session, form) if _is_asked_for(kept, stage) else None
        return None if given is None else {"type": stage, **given}

    def _stage(self, kept: Kept, stage: str, form: Mapping[str, str], problem: str = "", *, status: int = 200) -> Raw:
        """The page of a stage; `problem` says why it is shown again."""
        page = self._service.pages.get(stage)
        if page is None or not _is_asked_for(kept, stage):
            return _stage(kept, stage, problem, status=status)
        return _PAGES.page(page.title, page.show(kept.session, form, _PAGES.problem(problem)), status=status)

    async def show_login(self, call: Call[Empty]) -> Raw:
        return _PAGES.page("Log in", _PAGES.part("login"), script="login")


def _stage(kept: Kept, stage: str, problem: str = "", *, status: int = 200) -> Raw:
    """The page of a stage that is known here."""
    message = _PAGES.problem(problem)
    session = kept.session.session_id
    if not _is_asked_for(kept, stage):
        return _problem("Not asked for", "What you are doing does not ask for this step.", status=404)
    match stage:
        case ui_auth.TERMS:
            content = _PAGES.part("terms", session=session, problem=message, documents=documents(_policies(kept)))
        case ui_auth.PASSWORD:
            content = _PAGES.part(
                "password", session=session, problem=message, user=kept.session.operation.user_id or ""
            )
        case ui_auth.REGISTRATION_TOKEN:
            content = _PAGES.part("registration_token", session=session, problem=message)
        case ui_auth.DUMMY:
            content = _PAGES.part("dummy", session=session, problem=message)
        case _:
            return _problem("Not possible here", "This step can't be completed in a browser.", status=404)
    return _PAGES.page(_TITLES[stage], content, status=status)


def _is_asked_for(kept: Kept, stage: str) -> bool:
    return any(stage in flow for flow in kept.flows)


def _policies(kept: Kept) -> Mapping[str, Any]:
    policies: Mapping[str, Any] = kept.params.get(ui_auth.TERMS, {}).get("policies", {})
    return policies


def _check_terms(kept: Kept, stage: str, form: Mapping[str, str]) -> None:
    if stage == ui_auth.TERMS and not set(_policies(kept)) <= set(form.get("accepted", "").split("\n")):
        raise StageFailed("Please accept each of the documents.")


def _done() -> Raw:
    return _PAGES.page("Thank you", _PAGES.part("done"), script="done")


def _gone() -> Raw:
    return _problem("Begin anew", "This page has expired. Please go back to your app and begin anew.", status=404)


def _problem(title: str, message: str, *, status: int) -> Raw:
    return _PAGES.page(title, _PAGES.problem(message), status=status)
