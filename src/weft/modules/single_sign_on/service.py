"""The way to a provider and back.

Each step of it is kept in the database, so that any process may go on with it: under the hash of a secret that only the
browser was told, encrypted with that secret, good once and not for long, and only together with the browser's cookie.
So nobody can have another's browser finish what they have begun, and the other way round.

https://spec.matrix.org/v1.19/client-server-api/#sso-client-loginauthentication
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Final, Literal

import msgspec
from nacl.exceptions import CryptoError
from nacl.secret import SecretBox

from weft.modules.accounts import AccountsService, ProvenAddress
from weft.modules.accounts.token_store import hash_of
from weft.modules.module import Task
from weft.modules.single_sign_on import store
from weft.modules.single_sign_on.provider import Provider
from weft.modules.ui_auth import UiAuthService
from weft.modules.ui_auth.sealing import Kept
from weft.protocol import ui_auth as protocol_ui_auth
from weft.protocol.errors import Forbidden, MatrixError, UserInUse
from weft.protocol.single_sign_on import Identity, proposed_localpart
from weft.protocol.third_party_ids import EMAIL
from weft.protocol.ui_auth import Scheme, ThirdPartyIdentifier
from weft.rooms.engine import Engine
from weft.storage.database import UniqueViolation, WriteTransaction

#: How long somebody may take for a step.
STEP_MS: Final = 15 * 60 * 1000
_LIMIT_LOCALPART: Final = 255


class Purpose(msgspec.Struct, frozen=True):
    """What somebody is sent to a provider for.

    * `login`: a client wants a login token, at the address `target`.
    * `consent`: the session `target` of user-interactive authentication asks who it is.
    * `page`: a page of this server's, `target`, wants somebody signed in.
    """

    kind: Literal["login", "consent", "page"]
    target: str
    creates: bool = False


class Begun(msgspec.Struct, frozen=True, tag="begun"):
    """Somebody was sent to a provider."""

    browser: str
    provider: str
    purpose: Purpose
    nonce: str
    verifier: str


class Known(msgspec.Struct, frozen=True, tag="known"):
    """Somebody came back. `user_id` None: they have no account yet."""

    browser: str
    provider: str
    purpose: Purpose
    identity: Identity
    user_id: str | None = None


class Expired(MatrixError):
    """There is no such step, not any more, or not in this browser."""

    def __init__(self) -> None:
        super().__init__("This took too long, was done already, or was begun in another browser.")


_DECODER: Final[msgspec.json.Decoder[Begun | Known]] = msgspec.json.Decoder(Begun | Known)


class SingleSignOn:
    def __init__(
        self, engine: Engine, accounts: AccountsService, ui_auth: UiAuthService, providers: Mapping[str, Provider]
    ) -> None:
        self._database = engine.database
        self._outside = engine.outside
        self._accounts = accounts
        self.ui_auth = ui_auth
        self.providers = providers
        self.tasks = [Task(name="expired steps of single sign-on", every_seconds=600, run=self.prune)]
        if providers:
            ui_auth.adapt = self.adapt

    # -- there

    def new_browser(self) -> str:
        """What a browser keeps as its cookie."""
        return self._outside.token(40)

    async def begin(self, provider: Provider, purpose: Purpose, browser: str) -> str:
        """Where a browser is sent. Raises `PeerError`, `Unreachable`."""
        state, nonce, verifier = (self._outside.token(length) for length in (40, 40, 64))
        url = await provider.authorization(state=state, nonce=nonce, verifier=verifier, creates=purpose.creates)
        await self._keep(Begun(_hash(browser), provider.settings.id, purpose, nonce, verifier), state)
        return url

    # -- and back

    async def returned(self, provider_id: str, state: str, browser: str) -> tuple[Provider, Begun]:
        """Who a provider sends back. Raises `Expired`."""
        begun = await self._take(state, browser)
        if not isinstance(begun, Begun) or begun.provider != provider_id or provider_id not in self.providers:
            raise Expired()
        return self.providers[provider_id], begun

    async def identify(self, provider: Provider, begun: Begun, code: str, issuer: str | None) -> Known:
        """Who it is, and which account they have. Raises `NotValid`, `PeerError`, `NotNow`, `Unreachable`."""
        await provider.check_issuer(issuer)
        identity = await provider.identify(code, nonce=begun.nonce, verifier=begun.verifier)
        user_id = await self._database.get(store.linked, begun.provider, identity.subject)
        known = Known(begun.browser, begun.provider, begun.purpose, identity, user_id)
        return known if user_id is not None else await self._adopted(provider, known)

    async def _adopted(self, provider: Provider, known: Known) -> Known:
        """Somebody who comes for the first time, where those who have the name already are believed."""
        name = proposed_localpart(known.identity.localpart or "")
        user_id = self._accounts.user_id_of(name) if name and provider.settings.existing_accounts else None
        if user_id is None or not await self._is_a_persons(user_id):
            return known
        # Perhaps linked already by the same person, in another window.
        with suppress(UniqueViolation):
            identity, now_ms = known.identity, self._outside.now_ms()
            await self._database.write(store.link, known.provider, identity.subject, user_id, now_ms)
        return msgspec.structs.replace(known, user_id=user_id)

    async def _is_a_persons(self, user_id: str) -> bool:
        """Whether somebody from elsewhere may have an account: no guest's, no bridge's, none that has ended."""
        account = await self._accounts.find(user_id)
        if account is None or account.is_guest or account.is_deactivated:
            return False
        return not self._accounts.services.user_is_taken(user_id, by=None)

    async def check_active(self, user_id: str) -> None:
        """Raises `Forbidden` with the reason why somebody can't sign in."""
        account = await self._accounts.find(user_id)
        if account is None or account.is_deactivated:
            raise Forbidden(f"The account {user_id} has been deactivated.")
        if account.locked:
            raise Forbidden(f"The account {user_id} has been locked. Ask whoever runs this server.")

    def proposed(self, known: Known) -> str:
        """A name for a new account, without its domain; empty if the provider tells none."""
        return proposed_localpart(known.identity.localpart or "") or ""

    async def make(self, known: Known, name: str, terms: Sequence[tuple[str, str]] = ()) -> Known:
        """Makes the account. Raises what `AccountsService.check_free` does, and `Forbidden` where none are made."""
        if not self.providers[known.provider].settings.registration:
            raise Forbidden("You have no account on this server, and it makes none for people who come this way.")
        if not 0 < len(name) <= _LIMIT_LOCALPART or name.startswith("@"):
            raise UserInUse("Please choose a user name.")
        user_id = self._accounts.user_id_of(name)
        await self._accounts.check_free(user_id)
        proven = await self._proven(known.identity)

        def also(tx: WriteTransaction) -> None:
            store.link(tx, known.provider, known.identity.subject, user_id, self._outside.now_ms())
            for add in self._accounts.hooks.proven if proven else ():
                add(tx, user_id, proven)

        try:
            await self._accounts.make(
                user_id, None, admin=False, display_name=known.identity.display_name, terms=terms, also=also
            )
        except UserInUse:
            # Perhaps by the same person, in another window.
            made = await self._database.get(store.linked, known.provider, known.identity.subject)
            if made is None:
                raise
            user_id = made
        return msgspec.structs.replace(known, user_id=user_id)

    async def _proven(self, identity: Identity) -> list[ProvenAddress]:
        """The address that a new account has, unless it is somebody's."""
        if identity.email is None:
            return []
        if await self._accounts.hooks.owner_of(ThirdPartyIdentifier(EMAIL, identity.email)) is not None:
            return []
        return [ProvenAddress(EMAIL, identity.email, self._outside.now_ms())]

    # -- what a form goes on with

    async def keep(self, known: Known) -> str:
        """What a form has to carry to go on from here."""
        ticket = self._outside.token(40)
        await self._keep(known, ticket)
        return ticket

    async def resume(self, ticket: str, browser: str) -> Known:
        """Raises `Expired`."""
        known = await self._take(ticket, browser)
        if not isinstance(known, Known) or known.provider not in self.providers:
            raise Expired()
        return known

    # -- user-interactive authentication

    async def adapt(self, scheme: Scheme, user_id: str) -> Scheme:
        """Has a provider be as good as a password for those who have come from one, and better for those who have none.

        https://spec.matrix.org/v1.19/client-server-api/#sso-during-user-interactive-authentication
        """
        by_password = [protocol_ui_auth.PASSWORD]
        if by_password not in [list(flow) for flow in scheme.flows] or not await self.providers_of(user_id):
            return scheme
        account = await self._accounts.find(user_id)
        has_password = account is not None and account.password is not None
        kept = [flow for flow in scheme.flows if has_password or list(flow) != by_password]
        return scheme._replace(flows=[*kept, [protocol_ui_auth.SSO]])

    async def providers_of(self, user_id: str) -> list[str]:
        """With which providers a user can sign in."""
        return await self._database.get(store.providers_of, user_id, list(self.providers))

    async def consent(self, known: Known) -> None:
        """The user has confirmed what a session of user-interactive authentication is about. Raises `MatrixError`."""
        await self.check_consent(known)
        await self.ui_auth.shown_elsewhere(known.purpose.target, protocol_ui_auth.SSO)

    async def check_consent(self, known: Known) -> Kept:
        """Raises `Forbidden` if the session is another user's, `Expired` if there is none."""
        kept = await self.ui_auth.look(known.purpose.target)
        if kept is None:
            raise Expired()
        if known.user_id is None or kept.session.operation.user_id != known.user_id:
            raise Forbidden("That is another account than the one that the app asks for.")
        return kept

    # -- keeping

    async def _keep(self, step: Begun | Known, secret: str) -> None:
        sealed = SecretBox(_key(secret)).encrypt(
            msgspec.json.encode(step), self._outside.random_bytes(SecretBox.NONCE_SIZE)
        )
        await self._database.write(store.insert_step, hash_of(secret), sealed, self._outside.now_ms() + STEP_MS)

    async def _take(self, secret: str, browser: str) -> Begun | Known:
        """Uses a step up, if it is this browser's."""
        sealed = await self._database.get(store.step, hash_of(secret), self._outside.now_ms())
        if sealed is None:
            raise Expired()
        try:
            step = _DECODER.decode(SecretBox(_key(secret)).decrypt(sealed))
        except (CryptoError, msgspec.MsgspecError):
            raise Expired() from None
        if step.browser != _hash(browser) or not await self._database.write(store.drop_step, hash_of(secret)):
            raise Expired()
        return step

    async def prune(self) -> None:
        """Removes what has expired."""
        await self._database.write(store.prune_steps, self._outside.now_ms())


def _hash(secret: str) -> str:
    return hashlib.blake2b(secret.encode(), digest_size=24, person=b"weft sso browser").hexdigest()


def _key(secret: str) -> bytes:
    return hashlib.blake2b(secret.encode(), digest_size=SecretBox.KEY_SIZE, person=b"weft sso steps").digest()
