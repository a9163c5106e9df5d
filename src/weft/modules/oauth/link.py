"""The page on which somebody types in the code that a device shows, and says whether it may have their account.

Codes are looked up only for who is signed in, and not often. The page shows the code once more: a link with somebody
else's code in it is how people are talked into letting a stranger in.

https://www.rfc-editor.org/rfc/rfc8628#section-5
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from weft.http.call import Call, Route, route
from weft.http.pages import read_form
from weft.modules.oauth.authorize import AuthorizePages, about
from weft.modules.oauth.browsers import Browsers, Visit
from weft.modules.oauth.device_grants import DeviceGrants
from weft.modules.oauth.signing_in import FORM_EXPIRED, PAGES, STEP, SigningIn, csrf_field
from weft.protocol.api.client import oauth as api
from weft.protocol.api.endpoint import Empty, Raw
from weft.protocol.errors import LimitExceeded, Unrecognized
from weft.protocol.oauth import user_codes

_WHY: Final = "To sign in on another device."
_UNKNOWN: Final = "This code is not known, or has expired. Look at your device once more."


class LinkPages:
    """`limit` counts one use of a rate limit, and raises `LimitExceeded`."""

    def __init__(
        self,
        grants: DeviceGrants,
        browsers: Browsers,
        signing_in: SigningIn,
        authorize: AuthorizePages,
        limit: Callable[[str, str], None],
        *,
        offered: bool,
    ) -> None:
        self._grants = grants
        self._browsers = browsers
        self._signing_in = signing_in
        self._authorize = authorize
        self._limit = limit
        self._offered = offered

    def routes(self) -> list[Route[Any, Any]]:
        return [route(api.SHOW_LINK, self.show), route(api.DECIDE_LINK, self.decide)]

    async def show(self, call: Call[Empty]) -> Raw:
        self._check_offered()
        return await self._page(call, await self._browsers.visit(call))

    async def decide(self, call: Call[api.FormRequest]) -> Raw:
        self._check_offered()
        visit = await self._browsers.visit(call)
        form = read_form(call.args.form)
        if not visit.sent(form):
            return await self._page(call, visit, FORM_EXPIRED)
        taken = await self._signing_in.take(call, visit, form, _WHY)
        if taken is not None:
            return taken
        code, step = user_codes.read(_given(call)), form.get(STEP)
        if visit.user_id is None or code is None or step not in ("allow", "deny"):
            return await self._page(call, visit)
        try:
            self._limit("user_code", visit.user_id)
        except LimitExceeded as error:
            return self._enter(visit, error.message, status=429)
        if not await self._grants.decide(code, visit.user_id, allowed=step == "allow"):
            return self._enter(visit, _UNKNOWN)
        content = PAGES.part("linked" if step == "allow" else "not_linked")
        return self._browsers.answer(visit, PAGES.page("Done", content))

    def _check_offered(self) -> None:
        if not self._offered:
            raise Unrecognized("This server does not offer the OAuth 2.0 API.")

    async def _page(self, call: Call[Any], visit: Visit, problem: str = "") -> Raw:
        if visit.user_id is None:
            return self._signing_in.page(call, visit, _WHY)
        given = _given(call)
        code = user_codes.read(given)
        if code is None:
            return self._enter(visit, _UNKNOWN if given else "")
        try:
            for who in (call.client_ip, visit.user_id):
                self._limit("user_code", who)
        except LimitExceeded as error:
            return self._enter(visit, error.message, status=429)
        waiting = await self._grants.waiting(code)
        if waiting is None:
            return self._enter(visit, _UNKNOWN)
        content = PAGES.part(
            "link",
            problem=PAGES.problem(problem),
            csrf=csrf_field(visit),
            client=about(waiting.client),
            code=user_codes.shown(code),
            user=visit.user_id,
            device=await self._authorize.device(visit.user_id, waiting.scope.device_id),
        )
        title = f"Sign in to {waiting.client.name}?"
        return self._browsers.answer(visit, PAGES.page(title, content, status=403 if problem else 200))

    def _enter(self, visit: Visit, problem: str, *, status: int = 0) -> Raw:
        content = PAGES.part("enter_code", problem=PAGES.problem(problem))
        page = PAGES.page("Sign in on another device", content, status=status or (404 if problem else 200))
        return self._browsers.answer(visit, page)


def _given(call: Call[Any]) -> str:
    return call.query.get("user_code", [""])[0]
