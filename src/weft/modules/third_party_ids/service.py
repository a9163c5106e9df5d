"""Which addresses accounts have: proving, adding, removing them, and finding who has one.

    ids = ThirdPartyIds(engine, settings, accounts, validation, messages)
    sid = await ids.request_token(ADD, canonical("email", "alice@example.org"), client_secret=…, send_attempt=1)
    await ids.add("@alice:example.org", sid, client_secret)         # once the link was followed

An address is one account's. Who asks for a token learns nothing of whose it is, unless the settings say otherwise.

https://spec.matrix.org/v1.19/client-server-api/#adding-account-administrative-contact-information
"""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase

from weft.modules.accounts import AccountsService, Deactivation, ProvenAddress
from weft.modules.third_party_ids import session_store, store
from weft.modules.third_party_ids.messages import Messages
from weft.modules.third_party_ids.phone_numbers import dialled
from weft.modules.third_party_ids.purposes import IN_USE, NOT_FOUND, RESET
from weft.modules.third_party_ids.session_store import SessionRow, hash_of
from weft.modules.third_party_ids.store import Owned
from weft.modules.third_party_ids.validation import Validation
from weft.protocol.errors import Forbidden, InvalidParam, MatrixError
from weft.protocol.third_party_ids import EMAIL, ThirdPartyId, canonical
from weft.protocol.ui_auth import PhoneIdentifier, ThirdPartyIdentifier
from weft.rooms.engine import Engine
from weft.settings import Settings
from weft.storage.database import WriteTransaction


class ThirdPartyIds:
    def __init__(
        self,
        engine: Engine,
        settings: Settings,
        accounts: AccountsService,
        validation: Validation,
        messages: Messages,
    ) -> None:
        self._database = engine.database
        self._now_ms = engine.outside.now_ms
        self._settings = settings.third_party_ids
        self._validation = validation
        self._messages = messages
        accounts.hooks.proven.append(self._proven)
        accounts.hooks.deactivated.append(self._ended)
        accounts.hooks.owner_of = self.owner_of

    # -- looking

    async def of(self, user_id: str) -> list[Owned]:
        """Every address of an account, the oldest first."""
        return await self._database.get(store.of_user, user_id)

    async def find(self, third_party_id: ThirdPartyId) -> str | None:
        """Whose an address is."""
        return await self._database.get(store.owner_of, *third_party_id)

    async def owner_of(self, identifier: ThirdPartyIdentifier | PhoneIdentifier) -> str | None:
        """Whose an address is that somebody gives as their name."""
        try:
            match identifier:
                case PhoneIdentifier(country, phone):
                    third_party_id = dialled(country, phone)
                case ThirdPartyIdentifier(medium, address):
                    third_party_id = canonical(medium, address)
        except InvalidParam:
            return None
        return await self.find(third_party_id)

    # -- proving

    async def request_token(
        self,
        purpose: str,
        third_party_id: ThirdPartyId,
        *,
        client_secret: str,
        send_attempt: int,
        next_link: str | None = None,
    ) -> str:
        """Has a token sent to an address; returns the id of the session that the token validates.

        Raises `M_THREEPID_MEDIUM_NOT_SUPPORTED`, `M_THREEPID_DENIED`, what `Validation.request` raises and, where the
        settings let it be known, `M_THREEPID_IN_USE` and `M_THREEPID_NOT_FOUND`.
        """
        self._messages.check(third_party_id.medium)
        self._check_allowed(purpose, third_party_id)
        is_known = await self.find(third_party_id) is not None
        instead = None
        if is_known != (purpose == RESET):
            instead = IN_USE if is_known else NOT_FOUND
            if self._settings.reveal:
                raise store.in_use() if is_known else _unknown()
        return await self._validation.request(
            purpose,
            third_party_id,
            client_secret=client_secret,
            send_attempt=send_attempt,
            next_link=next_link,
            instead=instead,
        )

    def _check_allowed(self, purpose: str, third_party_id: ThirdPartyId) -> None:
        patterns = self._settings.allowed_emails
        if purpose == RESET or third_party_id.medium != EMAIL or not patterns:
            return
        if not any(fnmatchcase(third_party_id.address, pattern.casefold()) for pattern in patterns):
            raise MatrixError(
                "This server does not take addresses of that domain.", errcode="M_THREEPID_DENIED", status=403
            )

    # -- adding and removing

    def check_changes(self) -> None:
        """Raises `Forbidden` where people can't change their addresses by themselves."""
        if not self._settings.changes:
            raise Forbidden("This server's administrator keeps the addresses of the accounts.")

    async def proven_for(self, purpose: str, sid: str, client_secret: str) -> SessionRow:
        """The validated session. Raises `M_THREEPID_AUTH_FAILED` if it is none, or for something else."""
        row = await self._validation.validated(sid, client_secret)
        if row is None or row.purpose != purpose:
            raise MatrixError("The address has not been confirmed.", errcode="M_THREEPID_AUTH_FAILED")
        return row

    async def add(self, user_id: str, row: SessionRow) -> None:
        """Gives an account the address that was proven.

        Raises `M_THREEPID_IN_USE` if it is another's, `M_THREEPID_AUTH_FAILED` if the session was used otherwise.
        """

        def work(tx: WriteTransaction) -> None:
            now_ms = self._now_ms()
            if not session_store.use(tx, row.sid, hash_of(user_id)):
                raise MatrixError("The confirmation was used already.", errcode="M_THREEPID_AUTH_FAILED")
            store.add(tx, user_id, row.third_party_id, validated_ms=row.validated_ms or now_ms, now_ms=now_ms)

        await self._database.write(work)

    async def remove(self, user_id: str, third_party_id: ThirdPartyId) -> None:
        """Takes an address from an account; nothing happens if it has not got it."""
        await self._database.write(store.remove, user_id, third_party_id)

    # -- for administrators

    async def check_free(self, user_id: str, ids: Sequence[ThirdPartyId]) -> None:
        """Raises `M_THREEPID_IN_USE` where one of the addresses is another account's."""
        for third_party_id in ids:
            if await self.find(third_party_id) not in (None, user_id):
                raise store.in_use()

    async def set_for(self, user_id: str, ids: Sequence[ThirdPartyId]) -> None:
        """Says which addresses an account has; see `store.set_for`."""
        await self._database.write(store.set_for, user_id, ids, self._now_ms())

    # -- accounts begin and end

    def _proven(self, tx: WriteTransaction, user_id: str, proven: Sequence[ProvenAddress]) -> None:
        now_ms = self._now_ms()
        for each in proven:
            third_party_id = ThirdPartyId(each.medium, each.address)
            store.add(tx, user_id, third_party_id, validated_ms=each.validated_ms, now_ms=now_ms)

    def _ended(self, tx: WriteTransaction, ended: Deactivation) -> None:
        store.remove_all(tx, ended.user_id)


def _unknown() -> MatrixError:
    return MatrixError("No account has this address.", errcode="M_THREEPID_NOT_FOUND")
