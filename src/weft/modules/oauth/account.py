"""The page on which people look after their account, one view for each action that an app may link to.

What can't be taken back asks for proof once more: who finds an open browser is shown things, and can do little.

https://spec.matrix.org/v1.19/client-server-api/#oauth-20-account-management
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import urlencode

from weft.http.call import Call, Route, route
from weft.http.pages import Html, joined, read_form
from weft.modules.accounts import AccountsService
from weft.modules.devices import DevicesService
from weft.modules.oauth.browsers import Browsers, Visit
from weft.modules.oauth.devices import shown_device, shown_devices
from weft.modules.oauth.signing_in import FORM_EXPIRED, PAGES, STEP, SigningIn, csrf_field, redirect
from weft.modules.ui_auth import UiAuthService
from weft.protocol import ui_auth as protocol_ui_auth
from weft.protocol.api.client import oauth as api
from weft.protocol.api.endpoint import Empty, Raw
from weft.protocol.errors import Forbidden, MatrixError, MissingParam, NotFound, Unrecognized

PROFILE: Final = "org.matrix.profile"
DEVICES: Final = "org.matrix.devices_list"
DEVICE: Final = "org.matrix.device_view"
DELETE: Final = "org.matrix.device_delete"
DEACTIVATE: Final = "org.matrix.account_deactivate"
RESET: Final = "org.matrix.cross_signing_reset"
ACTIONS: Final = (PROFILE, DEVICES, DEVICE, DELETE, DEACTIVATE, RESET)
_PASSWORD: Final = "password"
_OVERVIEW: Final = ""
#: What apps wrote while the actions were being agreed on.
_FORMERLY: Final = {
    "profile": PROFILE,
    "sessions_list": DEVICES,
    "org.matrix.sessions_list": DEVICES,
    "session_view": DEVICE,
    "org.matrix.session_view": DEVICE,
    "session_end": DELETE,
    "org.matrix.session_end": DELETE,
}
_TITLES: Final = {
    _OVERVIEW: "Your account",
    PROFILE: "Your profile",
    DEVICES: "Your devices",
    DEVICE: "Device",
    DELETE: "Sign out a device?",
    DEACTIVATE: "Deactivate your account?",
    RESET: "Reset your digital identity?",
    _PASSWORD: "Change your password",
}
#: These ask for proof, unless it was given just now.
_PROVEN: Final = (DELETE, DEACTIVATE, RESET, _PASSWORD)
_WHY: Final = "To look after your account."
_LONGEST: Final = 512


class Names(NamedTuple):
    """What people are called: how it is found out, and set."""

    of: Callable[[str], Awaitable[str]]
    set: Callable[[str, str], Awaitable[None]]


class AccountPages:
    """`offered`: whether there is an OAuth 2.0 API, which these pages are for."""

    def __init__(
        self,
        browsers: Browsers,
        signing_in: SigningIn,
        accounts: AccountsService,
        devices: DevicesService,
        ui_auth: UiAuthService,
        names: Names,
        *,
        offered: bool,
    ) -> None:
        self._browsers = browsers
        self._signing_in = signing_in
        self._accounts = accounts
        self._devices = devices
        self._ui_auth = ui_auth
        self._names = names
        self._offered = offered
        self._views = {
            _OVERVIEW: self._overview,
            PROFILE: self._profile,
            DEVICES: self._device_list,
            DEVICE: self._device,
            DELETE: self._deletion,
            DEACTIVATE: self._deactivation,
            RESET: self._reset,
            _PASSWORD: self._password,
        }
        self._deeds: Mapping[str, Callable[[Call[Any], Visit, str, Mapping[str, str]], Awaitable[Raw]]] = {
            PROFILE: self._set_name,
            DEVICE: self._rename,
            DELETE: self._delete,
            DEACTIVATE: self._deactivate,
            RESET: self._consent_to_reset,
            _PASSWORD: self._set_password,
        }

    def routes(self) -> list[Route[Any, Any]]:
        return [route(api.SHOW_ACCOUNT, self.show), route(api.CHANGE_ACCOUNT, self.change)]

    async def show(self, call: Call[Empty]) -> Raw:
        self._check_offered()
        visit = await self._browsers.visit(call)
        return await self._view(call, visit)

    async def change(self, call: Call[api.FormRequest]) -> Raw:
        self._check_offered()
        visit = await self._browsers.visit(call)
        form = read_form(call.args.form)
        if not visit.sent(form):
            return await self._view(call, visit, Forbidden(FORM_EXPIRED))
        taken = await self._signing_in.take(call, visit, form, _WHY)
        if taken is not None:
            return taken
        action = _action(call)
        deed = self._deeds.get(action)
        if visit.user_id is None or deed is None or form.get(STEP) != "do" or self._needs_proof(action, visit):
            return await self._view(call, visit)
        try:
            return await deed(call, visit, visit.user_id, form)
        except MatrixError as error:
            return await self._view(call, visit, error)

    def _check_offered(self) -> None:
        if not self._offered:
            raise Unrecognized("This server does not offer the OAuth 2.0 API.")

    def _needs_proof(self, action: str, visit: Visit) -> bool:
        return action in _PROVEN and not visit.is_fresh

    async def _view(self, call: Call[Any], visit: Visit, error: MatrixError | None = None) -> Raw:
        """The view that the address names; `error` says why something was not done."""
        action = _action(call)
        if visit.user_id is None or self._needs_proof(action, visit):
            why = _WHY if visit.user_id is None else f"{_TITLES[action]} This needs your password."
            return self._signing_in.page(call, visit, why, error=error)
        try:
            content = await self._views[action](call, visit, visit.user_id)
        except NotFound as missing:
            error, action = error or missing, DEVICES
            content = await self._views[action](call, visit, visit.user_id)
        shown = joined([PAGES.problem(error.message if error else ""), content])
        return self._page(visit, _TITLES[action], shown, status=error.status if error else 200)

    def _page(self, visit: Visit, title: str, content: Html, *, status: int = 200) -> Raw:
        return self._browsers.answer(visit, PAGES.page(title, content, status=status))

    def _form(self, visit: Visit, template: str, **values: str | Html) -> Html:
        return PAGES.part(template, csrf=csrf_field(visit), **values)

    # -- what is seen

    async def _overview(self, call: Call[Any], visit: Visit, user_id: str) -> Html:
        name = await self._names.of(user_id)
        return self._form(visit, "account", user=user_id, name=name or user_id)

    async def _profile(self, call: Call[Any], visit: Visit, user_id: str) -> Html:
        return self._form(visit, "profile", user=user_id, name=await self._names.of(user_id))

    async def _device_list(self, call: Call[Any], visit: Visit, user_id: str) -> Html:
        return shown_devices(await self._devices.of_user(user_id))

    async def _device(self, call: Call[Any], visit: Visit, user_id: str) -> Html:
        row = await self._devices.one(user_id, _device_id(call))
        return self._form(
            visit,
            "device",
            about=shown_device(row),
            name=row.display_name,
            url=address(DELETE, device_id=row.device_id),
        )

    async def _deletion(self, call: Call[Any], visit: Visit, user_id: str) -> Html:
        row = await self._devices.one(user_id, _device_id(call))
        return self._form(visit, "device_delete", about=shown_device(row))

    async def _deactivation(self, call: Call[Any], visit: Visit, user_id: str) -> Html:
        return self._form(visit, "deactivate", user=user_id)

    async def _password(self, call: Call[Any], visit: Visit, user_id: str) -> Html:
        return self._form(visit, "password", user=user_id, minimum=str(self._accounts.passwords.minimum))

    async def _reset(self, call: Call[Any], visit: Visit, user_id: str) -> Html:
        if await self._asks_for_reset(call, user_id) is None:
            return PAGES.part("reset_from_app")
        return self._form(visit, "reset", user=user_id)

    async def _asks_for_reset(self, call: Call[Any], user_id: str) -> str | None:
        """The authentication session of an app of this user's, which the address names, if it waits for consent."""
        session_id = _one(call, "session")
        kept = await self._ui_auth.look(session_id) if session_id else None
        if kept is None or kept.session.operation.user_id != user_id:
            return None
        is_waiting = protocol_ui_auth.OAUTH in kept.scheme.next_stages([*kept.session.completed])
        return session_id if is_waiting else None

    # -- what is done

    async def _set_name(self, call: Call[Any], visit: Visit, user_id: str, form: Mapping[str, str]) -> Raw:
        account = await self._accounts.active(user_id)
        if account.suspended:
            raise Forbidden("You can't do this while your account is suspended.")
        await self._names.set(user_id, form.get("name", "").strip())
        return self._done(visit, "Your profile has been changed.")

    async def _rename(self, call: Call[Any], visit: Visit, user_id: str, form: Mapping[str, str]) -> Raw:
        name = form.get("name", "").strip()
        if len(name) > _LONGEST:
            raise Forbidden("That name is too long.")
        await self._devices.rename(user_id, _device_id(call), name)
        return self._browsers.answer(visit, redirect(address(DEVICES)))

    async def _delete(self, call: Call[Any], visit: Visit, user_id: str, form: Mapping[str, str]) -> Raw:
        await self._devices.one(user_id, _device_id(call))
        await self._devices.delete(user_id, [_device_id(call)])
        return self._done(visit, "The device has been signed out.")

    async def _deactivate(self, call: Call[Any], visit: Visit, user_id: str, form: Mapping[str, str]) -> Raw:
        if form.get("sure") != "yes":
            raise MissingParam("Please tick the box if you are sure.")
        await self._accounts.deactivate(user_id, erase=form.get("erase") == "yes")
        content = PAGES.part("deactivated", user=user_id)
        return self._page(await self._browsers.sign_out(visit), "Your account is deactivated", content)

    async def _set_password(self, call: Call[Any], visit: Visit, user_id: str, form: Mapping[str, str]) -> Raw:
        password = form.get("password", "")
        if len(password) > _LONGEST:
            raise Forbidden("That password is too long.")
        await self._accounts.set_password(user_id, password, end_sessions=form.get("end") == "yes")
        # Every browser was signed out by that; this one has just proved who it is.
        return self._done(await self._browsers.sign_in(visit, user_id), "Your password has been changed.")

    async def _consent_to_reset(self, call: Call[Any], visit: Visit, user_id: str, form: Mapping[str, str]) -> Raw:
        session_id = await self._asks_for_reset(call, user_id)
        if session_id is None:
            raise MatrixError("No app of yours is waiting for this any more. Please begin anew there.", status=404)
        await self._ui_auth.consented(session_id)
        return self._done(visit, "Agreed. Go back to your app: it goes on from there.")

    def _done(self, visit: Visit, message: str) -> Raw:
        return self._page(visit, "Done", PAGES.part("done", message=message))


def address(action: str, **parameters: str) -> str:
    """Where a view is, relative to the page."""
    return "?" + urlencode({"action": action, **parameters})


def _action(call: Call[Any]) -> str:
    action = _one(call, "action")
    action = _FORMERLY.get(action, action)
    return action if action in _TITLES else _OVERVIEW


def _device_id(call: Call[Any]) -> str:
    return _one(call, "device_id")


def _one(call: Call[Any], name: str) -> str:
    return call.query.get(name, [""])[0][:_LONGEST]
