"""The endpoints of cross-signing.

https://spec.matrix.org/v1.19/client-server-api/#cross-signing
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from weft.http.call import Call, Route, route
from weft.modules.keys.asking import Asking
from weft.modules.keys.cross_signing import CrossSigning
from weft.modules.keys.signatures import Signatures
from weft.modules.keys.signing_store import MASTER, SELF_SIGNING, USER_SIGNING, SigningKey
from weft.modules.ui_auth import PASSWORD_ONLY, UiAuthService
from weft.protocol.api.client import keys as api
from weft.protocol.api.endpoint import Empty
from weft.rooms.engine import Engine

#: How long the keys of other servers' users are waited for, which somebody has signed.
_WAIT_MS = 10_000


class CrossSigningApi:
    def __init__(
        self,
        engine: Engine,
        cross_signing: CrossSigning,
        signatures: Signatures,
        asking: Asking,
        ui_auth: UiAuthService,
    ) -> None:
        self._is_local = engine.is_local
        self._cross_signing = cross_signing
        self._signatures = signatures
        self._asking = asking
        self._ui_auth = ui_auth

    def routes(self) -> list[Route[Any, Any]]:
        return [
            route(api.UPLOAD_CROSS_SIGNING_KEYS, self.upload_keys),
            route(api.UPLOAD_CROSS_SIGNING_SIGNATURES, self.upload_signatures),
        ]

    async def upload_keys(self, call: Call[api.UploadCrossSigningKeysRequest]) -> Empty:
        args = call.args
        keys = self._keys(call.user_id, _body(args))
        answers_for_itself = call.requester.appservice_id is not None
        if not answers_for_itself and (
            # A client that goes on with a session may leave out what it sent at first.
            (args.auth is not None and not keys) or await self._cross_signing.needs_consent(call.user_id, keys)
        ):
            keys = await self._consented(call)
            answers_for_itself = True
        if not await self._cross_signing.upload(call.user_id, keys, with_consent=answers_for_itself):
            # Others have been uploaded just now.
            await self._cross_signing.upload(call.user_id, await self._consented(call), with_consent=True)
        return Empty()

    async def _consented(self, call: Call[api.UploadCrossSigningKeysRequest]) -> list[SigningKey]:
        """The keys to which the user has consented."""
        done = await self._ui_auth.authorise(call, PASSWORD_ONLY, user_id=call.user_id, by_oauth=True)
        return self._keys(call.user_id, done.body)

    def _keys(self, user_id: str, body: dict[str, Any]) -> list[SigningKey]:
        given = {usage: body.get(f"{usage}_key") for usage in (MASTER, SELF_SIGNING, USER_SIGNING)}
        return self._cross_signing.read(user_id, given)

    async def upload_signatures(
        self, call: Call[api.UploadCrossSigningSignaturesRequest]
    ) -> api.UploadCrossSigningSignaturesResponse:
        signed = call.args.signed
        others: dict[str, Sequence[str]] = {user_id: () for user_id in signed if not self._is_local(user_id)}
        master_keys = (await self._asking.query(call.user_id, others, _WAIT_MS))[0].master_keys if others else {}
        failures = await self._signatures.upload(call.user_id, signed, master_keys)
        return api.UploadCrossSigningSignaturesResponse(failures=failures)


def _body(args: api.UploadCrossSigningKeysRequest) -> dict[str, Any]:
    return {name: getattr(args, name) for name in ("master_key", "self_signing_key", "user_signing_key")}
