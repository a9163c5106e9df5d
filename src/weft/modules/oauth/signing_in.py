"""Signing in to the server's own pages, and making an account there.

Any page may ask for it: it shows this one in its place, under its own address, whose query holds what was asked for.
The form comes back to that address, and from there the browser is sent to it once more, signed in. So nothing is kept
of where somebody wanted to go, and nobody can be led anywhere else.

https://spec.matrix.org/v1.19/client-server-api/#user-registration
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote, urlencode

from weft.http.call import Call
from weft.http.pages import Html, Pages, documents, joined
from weft.modules.accounts import AccountsService, Registration
from weft.modules.oauth.browsers import CSRF, Browsers, Visit
from weft.protocol.api.client.single_sign_on import BEGIN
from weft.protocol.api.endpoint import Raw
from weft.protocol.errors import Forbidden, MatrixError, MissingParam
from weft.protocol.oauth.requests import CREATE
from weft.protocol.ui_auth import ThirdPartyIdentifier, UserIdentifier

PAGES: Final = Pages("weft.modules.oauth")
#: The name of the field by which a form says what it is for.
STEP: Final = "step"
FORM_EXPIRED: Final = "This page was open for too long, or in another window. Please try once more."
_LONGEST_NAME: Final = 255
_LONGEST_PASSWORD: Final = 512


class SigningIn:
    """`limit` counts one use of a rate limit by an address, and raises `LimitExceeded`.

    `providers`: with whose accounts people can sign in, by id and name.
    """

    def __init__(
        self,
        browsers: Browsers,
        accounts: AccountsService,
        registration: Registration,
        limit: Callable[[str, str], None],
        providers: Sequence[tuple[str, str]],
    ) -> None:
        self._browsers = browsers
        self._accounts = accounts
        self._registration = registration
        self._limit = limit
        self._providers = providers

    def wants_account(self, call: Call[Any]) -> bool:
        """Whether the page is to make an account: the address says so, and people can register."""
        return self._registration.is_open and CREATE in call.query.get("prompt", [])

    def page(self, call: Call[Any], visit: Visit, why: str, *, name: str = "", error: MatrixError | None = None) -> Raw:
        """The page in place of one that `why` says the reason of. `error`: why the last try was none."""
        if self.wants_account(call):
            return self._shown(visit, "Create your account", self._registering(call, visit, name, error), error)
        title = "Sign in" if visit.user_id is None else "Confirm that it is you"
        content = PAGES.part(
            "sign_in",
            why=why,
            domain=self._accounts.default_domain,
            problem=PAGES.problem(error.message if error else ""),
            csrf=csrf_field(visit),
            user=name or visit.user_id or "",
            other=joined([*self._elsewhere(call), *self._to_registration(call)]),
        )
        return self._shown(visit, title, content, error)

    def _elsewhere(self, call: Call[Any]) -> list[Html]:
        """The ways to sign in with an account elsewhere, and come back to this page."""
        query = urlencode({"next": call.raw_path.decode("latin-1") + _address(call, create=False)})
        return [
            PAGES.part("elsewhere", url=f"{BEGIN}/{quote(id_, safe='')}?{query}", name=name)
            for id_, name in self._providers
        ]

    def _to_registration(self, call: Call[Any]) -> list[Html]:
        if not self._registration.is_open:
            return []
        return [PAGES.part("to_registration", url=_address(call, create=True))]

    def _shown(self, visit: Visit, title: str, content: Html, error: MatrixError | None) -> Raw:
        return self._browsers.answer(visit, PAGES.page(title, content, status=error.status if error else 200))

    def _registering(self, call: Call[Any], visit: Visit, name: str, error: MatrixError | None) -> Html:
        return PAGES.part(
            "register",
            problem=PAGES.problem(error.message if error else ""),
            csrf=csrf_field(visit),
            user=name,
            domain=self._accounts.default_domain,
            minimum=str(self._accounts.passwords.minimum),
            token=PAGES.part("token") if self._registration.needs_token else Html(""),
            documents=documents(dict(sorted(self._registration.policies.items()))),
            url=_address(call, create=False),
        )

    async def take(self, call: Call[Any], visit: Visit, form: Mapping[str, str], why: str) -> Raw | None:
        """What a form of this page leads to; None for a form that is not one of its."""
        step = form.get(STEP)
        if step == "sign_out":
            return again(call, self._browsers, await self._browsers.sign_out(visit))
        if step not in ("sign_in", "register"):
            return None
        name = form.get("user", "")
        try:
            if step == "sign_in":
                user_id = await self._sign_in(call, name, form.get("password", ""))
            else:
                user_id = await self._register(call, name, form)
        except MatrixError as error:
            return self.page(call, visit, why, name=name[:_LONGEST_NAME], error=error)
        return again(call, self._browsers, await self._browsers.sign_in(visit, user_id))

    async def _sign_in(self, call: Call[Any], name: str, password: str) -> str:
        self._limit("login", call.client_ip)
        if not 0 < len(name) <= _LONGEST_NAME or not 0 < len(password) <= _LONGEST_PASSWORD:
            raise Forbidden("The user name or the password is wrong.")
        account = await self._accounts.by_identifier(_identifier(name.strip()), password)
        await self._accounts.refresh_hash(account, password)
        return account.user_id

    async def _register(self, call: Call[Any], name: str, form: Mapping[str, str]) -> str:
        self._registration.check_open()
        self._limit("registration", call.client_ip)
        password = form.get("password", "")
        if not name.strip() or len(name) > _LONGEST_NAME:
            raise MissingParam("Please choose a user name.")
        if len(password) > _LONGEST_PASSWORD:
            raise Forbidden("That password is too long.")
        user_id = self._accounts.user_id_of(name.strip())
        self._accounts.passwords.judge(password)
        await self._accounts.check_free(user_id)
        if not self._registration.policies.keys() <= set(form.get("accepted", "").split("\n")):
            raise Forbidden("Please accept each of the documents.")
        if self._registration.needs_token:
            self._limit("registration_token", call.client_ip)
        await self._registration.by_form(user_id, password, form.get("token", "").strip())
        return user_id


def _identifier(name: str) -> UserIdentifier | ThirdPartyIdentifier:
    """What somebody has typed in as their name: a user id begins with the @ that an address has further on."""
    return ThirdPartyIdentifier("email", name) if "@" in name[1:] else UserIdentifier(name)


def csrf_field(visit: Visit) -> Html:
    """The field that each form has."""
    return PAGES.part("csrf", name=CSRF, value=visit.csrf)


def again(call: Call[Any], browsers: Browsers, visit: Visit) -> Raw:
    """Sends the browser to the address where it is."""
    return browsers.answer(visit, redirect(_address(call, create=False)))


def redirect(url: str) -> Raw:
    """Sends the browser somewhere, by GET."""
    headers = {"Location": url, "Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}
    return Raw(status=303, content_type="", headers=headers)


def _address(call: Call[Any], *, create: bool) -> str:
    """The page's own address, relative to itself, with or without the wish for a new account."""
    query = [(name, value) for name, values in call.query.items() for value in values if name != "prompt"]
    return f"?{urlencode([*query, ('prompt', CREATE)] if create else query)}"
