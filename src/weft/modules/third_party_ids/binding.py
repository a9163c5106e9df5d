"""Telling identity servers whose an address is, and taking it back.

https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3account3pidbind
https://spec.matrix.org/v1.19/identity-service-api/#establishing-associations
"""

from __future__ import annotations

from typing import Final

import structlog

from weft.modules.accounts import AccountsService
from weft.modules.third_party_ids import store
from weft.modules.third_party_ids.identity import IdentityServers
from weft.modules.third_party_ids.validation import check_client_secret
from weft.protocol.api.identity.associations import BIND_V2, UNBIND_V2, BindRequest, ThreePid, UnbindRequest
from weft.protocol.errors import MatrixError
from weft.protocol.third_party_ids import ThirdPartyId, canonical
from weft.rooms.engine import Engine

#: The codes of errors that say nothing about the request: the identity server is none that unbinds.
_CANT: Final = frozenset({"M_UNKNOWN", "M_UNRECOGNIZED", "M_NOT_FOUND", "M_SERVER_NOT_TRUSTED"})

log = structlog.get_logger(__name__)


class Binding:
    """What was bound through this server is written down, so that it can be unbound when the account ends."""

    def __init__(self, engine: Engine, accounts: AccountsService, identity: IdentityServers) -> None:
        self._database = engine.database
        self._identity = identity
        accounts.hooks.unbind = self.unbind_all
        accounts.hooks.after_deactivation.append(self._after_deactivation)

    async def bind(self, user_id: str, id_server: str, token: str, *, sid: str, client_secret: str) -> None:
        """Has an identity server tell the world that an address, which it has validated, is the user's.

        Raises `InvalidParam`, and as `IdentityServers.call` does.
        """
        check_client_secret(client_secret)
        request = BindRequest(sid=sid, client_secret=client_secret, mxid=user_id)
        answer = await self._identity.call(id_server, BIND_V2, request, token=token)
        if answer.mxid != user_id:
            raise MatrixError(f"{id_server} speaks of somebody else.", status=502)
        bound = canonical(answer.medium, answer.address)
        await self._database.write(store.bound, user_id, bound, id_server)

    async def unbind(self, user_id: str, third_party_id: ThirdPartyId, id_server: str | None) -> bool:
        """Has the identity server that is named, or those that were told through this server, forget an address.

        False where none is known, or one of them can't do it. Raises the `MatrixError` by which one refuses it.
        """
        if id_server is not None:
            servers = [id_server]
        else:
            servers = await self._database.get(store.servers_of, user_id, third_party_id)
        results = [await self._unbind(user_id, third_party_id, server) for server in servers]
        refusals = [result for result in results if result is not None]
        for refusal in refusals:
            if refusal.errcode not in _CANT:
                raise refusal
        return bool(servers) and not refusals

    async def unbind_all(self, user_id: str, id_server: str | None = None) -> bool:
        """The same for every address that was bound through this server. True also where there is none."""
        results = [
            await self._unbind(user_id, third_party_id, server)
            for third_party_id, server in await self._database.get(store.bindings, user_id)
            if id_server in (None, server)
        ]
        return not any(results)

    async def _unbind(self, user_id: str, third_party_id: ThirdPartyId, id_server: str) -> MatrixError | None:
        """None if the identity server did it, or why it did not."""
        threepid = ThreePid(medium=third_party_id.medium, address=third_party_id.address)
        request = UnbindRequest(mxid=user_id, threepid=threepid)
        try:
            await self._identity.call_signed(id_server, UNBIND_V2, request, for_user=user_id)
        except MatrixError as error:
            log.info("an identity server does not unbind an address", id_server=id_server, reason=error.message)
            return error
        await self._database.write(store.unbound, user_id, third_party_id, id_server)
        return None

    async def _after_deactivation(self, user_id: str) -> None:
        """What could not be unbound before is tried once more, and then forgotten: nobody is left to ask again."""
        if await self.unbind_all(user_id):
            return
        for third_party_id, server in await self._database.get(store.bindings, user_id):
            await self._database.write(store.unbound, user_id, third_party_id, server)
