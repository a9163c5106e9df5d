"""What browsers reach on their way to a provider and back.

https://spec.matrix.org/v1.19/client-server-api/#sso-client-loginauthentication
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from http.cookies import CookieError, SimpleCookie
from typing import Any, Final
from urllib.parse import quote, urlencode

import structlog

from weft.http.call import Call, Route, route
from weft.http.pages import Html, Pages, documents, joined, read_form
from weft.modules.accounts import AccountsService
from weft.modules.oauth import Browsers
from weft.modules.single_sign_on.provider import Provider
from weft.modules.single_sign_on.service import Known, Purpose, SingleSignOn
from weft.protocol.api.client import single_sign_on as api
from weft.protocol.api.endpoint import Raw
from weft.protocol.errors import Forbidden, InvalidParam, MatrixError, NotFound, NotNow, PeerError, Unreachable
from weft.protocol.single_sign_on import (
    NotValid,
    check_redirect,
    is_own_page,
    is_trusted,
    shown_to_people,
    source_of,
    with_login_token,
)

log = structlog.get_logger(__name__)

PAGES: Final = Pages("weft.modules.single_sign_on")
_SECRET: Final = re.compile(r"[A-Za-z0-9]{40}", re.A)
_COOKIE_SECONDS: Final = 3600
#: What an operation does, by the end of its path.
_OPERATIONS: Final = (
    (re.compile(r"/account/deactivate$"), "end your account"),
    (re.compile(r"/account/password$"), "change your password"),
    (re.compile(r"/account/3pid/"), "change the addresses of your account"),
    (re.compile(r"/keys/device_signing/"), "replace the keys by which others know you"),
    (re.compile(r"/(devices/[^/]*|delete_devices)$"), "sign devices out of your account"),
    (re.compile(r"/login/get_token$"), "log another device in to your account"),
)


class SingleSignOnApi:
    """`public_url`: this server's address without a slash at its end. `browsers`: who is signed in to its pages.

    `policies`: what has to be accepted by those who get an account, as `m.login.terms` has it.
    """

    def __init__(
        self,
        service: SingleSignOn,
        accounts: AccountsService,
        browsers: Browsers,
        *,
        trusted: Sequence[str],
        policies: Mapping[str, Any],
        public_url: str,
    ) -> None:
        self._service = service
        self._accounts = accounts
        self._browsers = browsers
        self._trusted = trusted
        self._policies = policies
        self._secure = public_url.startswith("https:")
        self._cookie = "__Host-weft-sso" if self._secure else "weft-sso"

    def routes(self) -> list[Route[Any, Any]]:
        return [
            route(api.REDIRECT_TO_SSO, self.redirect),
            route(api.REDIRECT_TO_ID_P, self.redirect_to),
            route(api.BEGIN_SINGLE_SIGN_ON, self.begin),
            route(api.FINISH_SINGLE_SIGN_ON, self.finish),
            route(api.CONTINUE_SINGLE_SIGN_ON, self.go_on),
        ]

    # -- there

    async def redirect(self, call: Call[api.RedirectToSsoRequest]) -> Raw:
        async def work() -> Raw:
            purpose = _login(call, call.args.redirect_url, call.args.action)
            if len(self._service.providers) == 1:
                return await self._sent(call, next(iter(self._service.providers.values())), purpose)
            if not self._service.providers:
                raise NotFound("This server has no single sign-on.")
            query = call.query_string.decode("ascii", "ignore")
            links = [(f"/_matrix/client/v3/login/sso/redirect/{id_}?{query}", p) for id_, p in self._named()]
            content = PAGES.part("choose", why="With which account?", links=_links(links))
            return PAGES.page("Sign in", content)

        return await self._shown(work)

    async def redirect_to(self, call: Call[api.RedirectToIdPRequest]) -> Raw:
        async def work() -> Raw:
            purpose = _login(call, call.args.redirect_url, call.args.action)
            return await self._sent(call, self._provider(call.args.idp_id), purpose)

        return await self._shown(work)

    async def begin(self, call: Call[api.BeginSingleSignOnRequest]) -> Raw:
        async def work() -> Raw:
            args = call.args
            if args.session is not None:
                purpose = Purpose("consent", args.session[:255])
            elif args.next is not None and is_own_page(args.next):
                purpose = Purpose("page", args.next)
            else:
                raise InvalidParam("This link does not say what it is for.")
            return await self._sent(call, self._provider(args.provider), purpose)

        return await self._shown(work)

    def _named(self) -> list[tuple[str, str]]:
        return [(quote(id_, safe=""), each.settings.name) for id_, each in self._service.providers.items()]

    def _provider(self, id_: str) -> Provider:
        provider = self._service.providers.get(id_)
        if provider is None:
            raise NotFound("This server knows no such provider.")
        return provider

    async def _sent(self, call: Call[Any], provider: Provider, purpose: Purpose) -> Raw:
        browser = self._browser(call) or self._service.new_browser()
        url = await self._service.begin(provider, purpose, browser)
        secure = "; Secure" if self._secure else ""
        cookie = f"{self._cookie}={browser}; Path=/; HttpOnly; SameSite=Lax{secure}; Max-Age={_COOKIE_SECONDS}"
        return _redirect(url, 302, {"Set-Cookie": cookie})

    def _browser(self, call: Call[Any]) -> str | None:
        try:
            morsel = SimpleCookie(call.headers.get("cookie", "")).get(self._cookie)
        except CookieError:
            return None
        return morsel.value if morsel is not None and _SECRET.fullmatch(morsel.value) else None

    # -- and back

    async def finish(self, call: Call[api.FinishSingleSignOnRequest]) -> Raw:
        async def work() -> Raw:
            args = call.args
            provider, begun = await self._service.returned(args.provider, args.state or "", self._browser(call) or "")
            if args.error is not None or args.code is None:
                raise Forbidden(f"{provider.settings.name} did not say who you are.")
            known = await self._service.identify(provider, begun, args.code, args.iss)
            if known.user_id is not None:
                return await self._arrived(call, known)
            if begun.purpose.kind == "consent":
                raise Forbidden("That is another account than the one that the app asks for.")
            if not provider.settings.registration:
                raise Forbidden("You have no account on this server, and it makes none for people who come this way.")
            return await self._new(call, known)

        return await self._shown(work)

    async def _new(self, call: Call[Any], known: Known) -> Raw:
        """Somebody who has no account gets one at once, if there is nothing to ask."""
        name = self._service.proposed(known)
        if not name or self._policies:
            return await self._ask_name(known, name)
        try:
            made = await self._service.make(known, name)
        except MatrixError as error:
            return await self._ask_name(known, name, error)
        return await self._arrived(call, made)

    async def _ask_name(self, known: Known, name: str, error: MatrixError | None = None) -> Raw:
        content = PAGES.part(
            "name",
            problem=PAGES.problem(error.message if error else ""),
            provider=self._service.providers[known.provider].settings.name,
            action=api.CONTINUE,
            ticket=await self._service.keep(known),
            user=name[:255],
            domain=self._accounts.default_domain,
            documents=documents(self._policies),
        )
        return PAGES.page("Create your account", content, status=error.status if error else 200)

    async def _arrived(self, call: Call[Any], known: Known) -> Raw:
        """Somebody is known who has an account."""
        user_id = known.user_id or ""
        await self._service.check_active(user_id)
        target = known.purpose.target
        match known.purpose.kind:
            case "page":
                visit = await self._browsers.sign_in(await self._browsers.visit(call), user_id)
                return self._browsers.answer(visit, _redirect(target, 303))
            case "consent":
                kept = await self._service.check_consent(known)
                content = PAGES.part(
                    "consent",
                    operation=_what(kept.session.operation.path),
                    user=user_id,
                    action=api.CONTINUE,
                    ticket=await self._service.keep(known),
                )
                return PAGES.page("Confirm that it is you", content)
            case "login" if is_trusted(target, self._trusted):
                return await self._logged_in(known, user_id)
        content = PAGES.part(
            "login",
            user=user_id,
            destination=shown_to_people(target),
            action=api.CONTINUE,
            ticket=await self._service.keep(known),
        )
        return PAGES.page("Log in?", content, leads_to=source_of(target))

    async def _logged_in(self, known: Known, user_id: str) -> Raw:
        token = await self._accounts.sessions.login_token(user_id)
        return _redirect(with_login_token(known.purpose.target, token), 303)

    async def go_on(self, call: Call[api.ContinueSingleSignOnRequest]) -> Raw:
        async def work() -> Raw:
            form = read_form(call.args.form)
            known = await self._service.resume(form.get("ticket", ""), self._browser(call) or "")
            if known.user_id is None:
                return await self._named_by_form(call, known, form)
            await self._service.check_active(known.user_id)
            if known.purpose.kind == "login":
                return await self._logged_in(known, known.user_id)
            await self._service.consent(known)
            return PAGES.page("Thank you", PAGES.part("done"), script="done")

        return await self._shown(work)

    async def _named_by_form(self, call: Call[Any], known: Known, form: dict[str, str]) -> Raw:
        name = form.get("user", "").strip()
        try:
            if not self._policies.keys() <= set(form.get("accepted", "").split("\n")):
                raise Forbidden("Please accept each of the documents.")
            made = await self._service.make(
                known, name, [(id_, each["version"]) for id_, each in self._policies.items()]
            )
        except MatrixError as error:
            return await self._ask_name(known, name, error)
        return await self._arrived(call, made)

    async def _shown(self, work: Callable[[], Awaitable[Raw]]) -> Raw:
        """What goes wrong is told on a page, because people see it."""
        try:
            return await work()
        except NotValid as error:
            log.warning("a provider's answer is not valid", reason=str(error))
            message, status = "What the provider says is not valid. Nobody was signed in.", 403
        except (PeerError, Unreachable, NotNow) as error:
            log.warning("a provider did not answer as it should", reason=str(error))
            message, status = "The provider can't be asked at the moment. Please try again later.", 502
        except MatrixError as error:
            message, status = error.message, error.status
        return PAGES.page("This can't go on", PAGES.problem(message), status=status)


def stage_links(providers: Sequence[tuple[str, str]], session_id: str) -> Html:
    """Where the user of a session of user-interactive authentication confirms who they are; by id and name."""
    query = urlencode({"session": session_id})
    return _links([(f"{api.BEGIN}/{quote(id_, safe='')}?{query}", name) for id_, name in providers])


def _login(call: Call[Any], redirect_url: str, action: str | None) -> Purpose:
    creates = "register" in (action, *call.query.get("org.matrix.msc3824.action", [])[:1])
    return Purpose("login", check_redirect(redirect_url), creates)


def _redirect(url: str, status: int, headers: dict[str, str] | None = None) -> Raw:
    safe = {"Location": url, "Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}
    return Raw(status=status, content_type="", headers={**safe, **(headers or {})})


def _links(links: Sequence[tuple[str, str]]) -> Html:
    return joined([PAGES.part("choice", url=url, name=name) for url, name in links])


def _what(path: str) -> str:
    return next((text for pattern, text in _OPERATIONS if pattern.search(path)), "change your account")
