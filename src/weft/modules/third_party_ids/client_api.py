"""The endpoints of addresses.

https://spec.matrix.org/v1.19/client-server-api/#adding-account-administrative-contact-information
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from weft.http.call import Call, Route, route
from weft.modules.third_party_ids.binding import Binding
from weft.modules.third_party_ids.phone_numbers import dialled
from weft.modules.third_party_ids.purposes import ADD, REGISTER, RESET
from weft.modules.third_party_ids.service import ThirdPartyIds
from weft.modules.third_party_ids.validation import Outcome, Validation
from weft.modules.ui_auth import PASSWORD_ONLY, UiAuthService
from weft.protocol.api.client import third_party_ids as api
from weft.protocol.api.endpoint import Empty
from weft.protocol.errors import MatrixError
from weft.protocol.third_party_ids import EMAIL, MSISDN, canonical


class ThirdPartyIdsApi:
    """`may_register` raises for media of which registration takes no addresses."""

    def __init__(
        self,
        ids: ThirdPartyIds,
        validation: Validation,
        binding: Binding,
        ui_auth: UiAuthService,
        *,
        may_register: Callable[[str], None],
        public_url: str,
    ) -> None:
        self._ids = ids
        self._validation = validation
        self._binding = binding
        self._ui_auth = ui_auth
        self._may_register = may_register
        self._submit_url = public_url.rstrip("/") + api.SUBMIT_MSISDN_TOKEN.path

    def routes(self) -> list[Route[Any, Any]]:
        return [
            route(api.GET_ACCOUNT3PIDS, self.list),
            route(api.POST3PIDS, self.post),
            route(api.ADD3PID, self.add),
            route(api.BIND3PID, self.bind),
            route(api.DELETE3PID_FROM_ACCOUNT, self.delete),
            route(api.UNBIND3PID_FROM_ACCOUNT, self.unbind),
            route(api.REQUEST_TOKEN_TO3PIDEMAIL, self.email_to_add),
            route(api.REQUEST_TOKEN_TO3PIDMSISDN, self.msisdn_to_add),
            route(api.REQUEST_TOKEN_TO_REGISTER_EMAIL, self.email_to_register),
            route(api.REQUEST_TOKEN_TO_REGISTER_MSISDN, self.msisdn_to_register),
            route(api.REQUEST_TOKEN_TO_RESET_PASSWORD_EMAIL, self.email_to_reset),
            route(api.REQUEST_TOKEN_TO_RESET_PASSWORD_MSISDN, self.msisdn_to_reset),
            route(api.SUBMIT_MSISDN_TOKEN, self.submit_msisdn_token),
        ]

    # -- the addresses of an account

    async def list(self, call: Call[Empty]) -> api.GetAccount3PIDsResponse:
        owned = await self._ids.of(call.user_id)
        return api.GetAccount3PIDsResponse(
            threepids=[
                api.ThirdPartyIdentifier(
                    medium=EMAIL if each.medium == EMAIL else MSISDN,
                    address=each.address,
                    validated_at=each.validated_ms,
                    added_at=each.added_ms,
                )
                for each in owned
            ]
        )

    async def post(self, call: Call[api.Post3PIDsRequest]) -> api.Post3PIDsResponse:
        given = call.args.three_pid_creds
        self._ids.check_changes()
        await self._ids.add(call.user_id, await self._ids.proven_for(ADD, given.sid, given.client_secret))
        return api.Post3PIDsResponse()

    async def add(self, call: Call[api.Add3PIDRequest]) -> Empty:
        args = call.args
        self._ids.check_changes()
        proven = await self._ids.proven_for(ADD, args.sid, args.client_secret)
        await self._ui_auth.authorise(call, PASSWORD_ONLY, user_id=call.user_id)
        await self._ids.add(call.user_id, proven)
        return Empty()

    async def bind(self, call: Call[api.Bind3PIDRequest]) -> Empty:
        args = call.args
        self._ids.check_changes()
        await self._binding.bind(
            call.user_id, args.id_server, args.id_access_token, sid=args.sid, client_secret=args.client_secret
        )
        return Empty()

    async def delete(self, call: Call[api.Delete3PIDRequest]) -> api.Delete3PIDResponse:
        args = call.args
        self._ids.check_changes()
        third_party_id = canonical(args.medium, args.address)
        try:
            is_unbound = await self._binding.unbind(call.user_id, third_party_id, args.id_server)
        except MatrixError:
            # It is not the account's any more, whatever an identity server goes on telling.
            is_unbound = False
        await self._ids.remove(call.user_id, third_party_id)
        return api.Delete3PIDResponse(id_server_unbind_result="success" if is_unbound else "no-support")

    async def unbind(self, call: Call[api.Delete3PIDRequest]) -> api.Delete3PIDResponse:
        args = call.args
        self._ids.check_changes()
        is_unbound = await self._binding.unbind(call.user_id, canonical(args.medium, args.address), args.id_server)
        return api.Delete3PIDResponse(id_server_unbind_result="success" if is_unbound else "no-support")

    # -- proving

    async def email_to_add(self, call: Call[api.RequestTokenToEmailRequest]) -> api.RequestTokenResponse:
        self._ids.check_changes()
        return await self._to_email(ADD, call.args)

    async def msisdn_to_add(self, call: Call[api.RequestTokenToMSISDNRequest]) -> api.RequestTokenResponse:
        self._ids.check_changes()
        return await self._to_msisdn(ADD, call.args)

    async def email_to_register(self, call: Call[api.RequestTokenToEmailRequest]) -> api.RequestTokenResponse:
        self._may_register(EMAIL)
        return await self._to_email(REGISTER, call.args)

    async def msisdn_to_register(self, call: Call[api.RequestTokenToMSISDNRequest]) -> api.RequestTokenResponse:
        self._may_register(MSISDN)
        return await self._to_msisdn(REGISTER, call.args)

    async def email_to_reset(self, call: Call[api.RequestTokenToEmailRequest]) -> api.RequestTokenResponse:
        return await self._to_email(RESET, call.args)

    async def msisdn_to_reset(self, call: Call[api.RequestTokenToMSISDNRequest]) -> api.RequestTokenResponse:
        return await self._to_msisdn(RESET, call.args)

    async def _to_email(self, purpose: str, args: api.RequestTokenToEmailRequest) -> api.RequestTokenResponse:
        sid = await self._ids.request_token(
            purpose,
            canonical(EMAIL, args.email),
            client_secret=args.client_secret,
            send_attempt=args.send_attempt,
            next_link=args.next_link,
        )
        return api.RequestTokenResponse(sid=sid)

    async def _to_msisdn(self, purpose: str, args: api.RequestTokenToMSISDNRequest) -> api.RequestTokenResponse:
        sid = await self._ids.request_token(
            purpose,
            dialled(args.country, args.phone_number),
            client_secret=args.client_secret,
            send_attempt=args.send_attempt,
            next_link=args.next_link,
        )
        return api.RequestTokenResponse(sid=sid, submit_url=self._submit_url)

    async def submit_msisdn_token(self, call: Call[api.SubmitMsisdnTokenRequest]) -> api.SubmitMsisdnTokenResponse:
        args = call.args
        outcome = await self._validation.submit(args.sid, args.token.strip(), args.client_secret)
        match outcome:
            case Outcome.WRONG:
                raise MatrixError("That is not the code.", errcode="M_TOKEN_INCORRECT")
            case Outcome.GONE:
                raise MatrixError("There is no such session, or not any more.", errcode="M_SESSION_EXPIRED")
        return api.SubmitMsisdnTokenResponse(success=True)
