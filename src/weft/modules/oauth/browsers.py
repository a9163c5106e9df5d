"""Who is signed in to the server's own pages, in which browser.

A browser has one cookie. What is in it is secret and says nothing; signed in, a row is kept under its hash. It is
another one after each signing in, so that nobody can have one prepared. Each form carries a token that is made from it:
a form that another site has the browser send does not, and is refused.

https://spec.matrix.org/v1.19/client-server-api/#oauth-20-account-management
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from http.cookies import CookieError, SimpleCookie
from typing import Any, Final, NamedTuple

from weft.http.call import Call
from weft.modules.accounts import AccountsService
from weft.modules.accounts.token_store import hash_of
from weft.modules.module import Task
from weft.modules.oauth import store
from weft.protocol.api.endpoint import Raw
from weft.rooms.engine import Engine
from weft.storage.database import WriteTransaction

#: How long somebody stays signed in to the pages.
LIFETIME_MS: Final = 7 * 24 * 60 * 60 * 1000
#: How long it counts that they have just proved that it is them.
FRESH_MS: Final = 10 * 60 * 1000
#: The name of the field in each form.
CSRF: Final = "csrf"
_SECRET_LENGTH: Final = 40
_SECRET: Final = re.compile(rf"[A-Za-z0-9]{{{_SECRET_LENGTH}}}", re.A)


class Visit(NamedTuple):
    """A request by a browser. `user_id` None: nobody is signed in."""

    secret: str
    user_id: str | None
    is_fresh: bool

    @property
    def csrf(self) -> str:
        """What each form of this browser carries."""
        return hashlib.blake2b(self.secret.encode(), digest_size=24, person=b"weft forms").hexdigest()

    def sent(self, form: Mapping[str, str]) -> bool:
        """Whether a form came from a page that this browser was shown."""
        return hmac.compare_digest(form.get(CSRF, "").encode(), self.csrf.encode())


class Browsers:
    """`secure`: browsers reach the server by `https` only."""

    def __init__(self, engine: Engine, accounts: AccountsService, *, secure: bool) -> None:
        self._database = engine.database
        self._outside = engine.outside
        self._accounts = accounts
        self._secure = secure
        self._cookie = "__Host-weft" if secure else "weft"
        self.tasks = [Task(name="browsers that were signed in", every_seconds=3600, run=self.prune)]
        accounts.hooks.password_changed.append(store.drop_of_user)
        accounts.hooks.deactivated.append(lambda tx, ended: store.drop_of_user(tx, ended.user_id))

    async def visit(self, call: Call[Any]) -> Visit:
        """Who is asking. Whoever has no cookie is given one by `answer`."""
        secret = self._secret_in(call.headers.get("cookie", ""))
        if secret is None:
            return Visit(self._outside.token(_SECRET_LENGTH), None, False)
        now_ms = self._outside.now_ms()
        row = await self._database.get(store.browser_session, hash_of(secret), now_ms)
        account = await self._accounts.find(row.user_id) if row is not None else None
        if row is None or account is None or account.is_deactivated or account.locked:
            return Visit(secret, None, False)
        return Visit(secret, row.user_id, row.proven_ms > now_ms - FRESH_MS)

    async def sign_in(self, visit: Visit, user_id: str) -> Visit:
        """Somebody has proved who they are. What the browser had before is good no longer."""
        secret, now_ms = self._outside.token(_SECRET_LENGTH), self._outside.now_ms()

        def work(tx: WriteTransaction) -> None:
            store.drop_browser_session(tx, hash_of(visit.secret))
            store.insert_browser_session(tx, hash_of(secret), user_id, now_ms, now_ms + LIFETIME_MS)

        await self._database.write(work)
        return Visit(secret, user_id, True)

    async def sign_out(self, visit: Visit) -> Visit:
        await self._database.write(store.drop_browser_session, hash_of(visit.secret))
        return Visit(self._outside.token(_SECRET_LENGTH), None, False)

    def answer(self, visit: Visit, raw: Raw) -> Raw:
        """An answer that has the browser keep its cookie."""
        age = f"; Max-Age={LIFETIME_MS // 1000}" if visit.user_id is not None else ""
        secure = "; Secure" if self._secure else ""
        cookie = f"{self._cookie}={visit.secret}; Path=/; HttpOnly; SameSite=Lax{secure}{age}"
        return Raw(
            body=raw.body,
            status=raw.status,
            content_type=raw.content_type,
            headers={**raw.headers, "Set-Cookie": cookie},
        )

    async def prune(self) -> None:
        """Removes what has expired."""
        await self._database.write(store.prune_browser_sessions, self._outside.now_ms())

    def _secret_in(self, header: str) -> str | None:
        try:
            morsel = SimpleCookie(header).get(self._cookie)
        except CookieError:
            return None
        return morsel.value if morsel is not None and _SECRET.fullmatch(morsel.value) else None
