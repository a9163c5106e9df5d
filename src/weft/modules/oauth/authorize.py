"""The authorisation endpoint: a person, sent here by a client, says whether it may have their account.

https://spec.matrix.org/v1.19/client-server-api/#authorisation-code-flow
"""

from __future__ import annotations

from typing import Any

from weft.http.call import Call, Route, route
from weft.http.pages import Html, read_form
from weft.modules.devices import DevicesService
from weft.modules.oauth.browsers import Browsers, Visit
from weft.modules.oauth.service import OAuthService
from weft.modules.oauth.signing_in import FORM_EXPIRED, PAGES, STEP, SigningIn, csrf_field, redirect
from weft.protocol.api.client import oauth as api
from weft.protocol.api.endpoint import Empty, Raw
from weft.protocol.errors import MatrixError, NotFound, Unrecognized
from weft.protocol.oauth import AuthorizationRequest, ClientMetadata, OAuthError, RefusedRequest, redirects, requests


class AuthorizePages:
    """`issuer` None: the OAuth 2.0 API is not offered."""

    def __init__(
        self,
        service: OAuthService,
        browsers: Browsers,
        signing_in: SigningIn,
        devices: DevicesService,
        issuer: str | None,
    ) -> None:
        self._service = service
        self._browsers = browsers
        self._signing_in = signing_in
        self._devices = devices
        self._issuer = issuer

    def routes(self) -> list[Route[Any, Any]]:
        return [route(api.SHOW_AUTHORIZATION, self.show), route(api.DECIDE_AUTHORIZATION, self.decide)]

    async def show(self, call: Call[Empty]) -> Raw:
        try:
            request, client = await self._asked(call)
        except RefusedRequest as refused:
            return redirect(refused.uri)
        except OAuthError as error:
            return _refused(error)
        visit = await self._browsers.visit(call)
        return await self._page(call, visit, request, client)

    async def _page(
        self, call: Call[Any], visit: Visit, request: AuthorizationRequest, client: ClientMetadata, problem: str = ""
    ) -> Raw:
        if visit.user_id is None or self._signing_in.wants_account(call):
            error = MatrixError(problem, status=403) if problem else None
            return self._signing_in.page(call, visit, _why(client), name=request.login_hint, error=error)
        return await self._consent(visit, visit.user_id, request, client, problem)

    async def decide(self, call: Call[api.FormRequest]) -> Raw:
        try:
            request, client = await self._asked(call)
        except RefusedRequest as refused:
            return redirect(refused.uri)
        except OAuthError as error:
            return _refused(error)
        visit = await self._browsers.visit(call)
        form = read_form(call.args.form)
        if not visit.sent(form):
            return await self._page(call, visit, request, client, FORM_EXPIRED)
        taken = await self._signing_in.take(call, visit, form, _why(client))
        if taken is not None:
            return taken
        if visit.user_id is not None and form.get(STEP) == "allow":
            return redirect(request.answering.uri(code=await self._service.give_code(request, visit.user_id)))
        if form.get(STEP) == "deny":
            return redirect(request.answering.error("access_denied", "The person did not agree."))
        return await self._page(call, visit, request, client)

    async def _asked(self, call: Call[Any]) -> tuple[AuthorizationRequest, ClientMetadata]:
        if self._issuer is None:
            raise Unrecognized("This server does not offer the OAuth 2.0 API.")
        client_id, client = await self._service.known_client(requests.client_id_of(call.query))
        return requests.read(call.query, client_id, client, self._issuer), client

    async def _consent(
        self, visit: Visit, user_id: str, request: AuthorizationRequest, client: ClientMetadata, problem: str
    ) -> Raw:
        destination = redirects.destination_of(request.answering.redirect_uri)
        content = PAGES.part(
            "consent",
            problem=PAGES.problem(problem),
            csrf=csrf_field(visit),
            client=about(client),
            user=user_id,
            device=await self.device(user_id, request.scope.device_id),
            next=PAGES.part("next_app", destination=destination.host or "the app on your device"),
        )
        page = PAGES.page(
            f"Sign in to {client.name}?", content, status=403 if problem else 200, leads_to=destination.source
        )
        return self._browsers.answer(visit, page)

    async def device(self, user_id: str, device_id: str) -> Html:
        """The device that a client asks for: a new one, or one that the user has."""
        try:
            known = await self._devices.one(user_id, device_id)
        except NotFound:
            return PAGES.part("new_device", device=device_id)
        return PAGES.part("known_device", device=device_id, name=known.display_name or device_id)


def about(client: ClientMetadata) -> Html:
    """Which client it is, in its own words, and where it is from, which was checked."""
    links = [
        PAGES.part("client_link", url=url, text=text)
        for url, text in ((client.tos_uri, "Its terms of service"), (client.policy_uri, "Its privacy policy"))
        if url is not None
    ]
    return PAGES.part(
        "client",
        name=client.name,
        url=client.client_uri,
        host=client.host,
        links=Html("".join(each.text for each in links)),
    )


def _why(client: ClientMetadata) -> str:
    return f"To go on to {client.name} ({client.host})."


def _refused(error: OAuthError) -> Raw:
    """The client can't be told: it is not known, or not where it wants to be answered."""
    content = PAGES.part("refused", message=error.message)
    return PAGES.page("This can't go on", content, status=400)
