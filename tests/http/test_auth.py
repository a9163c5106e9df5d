"""Who may call what, asked through a whole application."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.http.kit import ALICE, Tokens, answers, ask, endpoint
from weft.http.app import App
from weft.http.call import Call, Requester
from weft.protocol.api.endpoint import Auth, Path, Raw, Struct
from weft.protocol.errors import Forbidden, UnknownToken

USERS: dict[str, Requester | Exception] = {
    "guest": replace(ALICE, user_id="@guest:here.test", is_guest=True),
    "suspended": replace(ALICE, user_id="@suspended:here.test", suspended=True),
    "locked": replace(ALICE, user_id="@locked:here.test", locked=True, suspended=True),
    "admin": replace(ALICE, user_id="@admin:here.test", is_admin=True),
    "bridge": Requester(user_id="@bridge:here.test", appservice_id="irc"),
    "slow": replace(ALICE, user_id="@slow:here.test"),
    "expired": UnknownToken("This session has ended.", extra={"soft_logout": True}),
}


def app(tokens: Tokens | None = None) -> App:
    def who(call: Call[Any]) -> Raw:
        requester = call.maybe_requester
        text = f"{requester.user_id} {requester.device_id}" if requester else "nobody"
        return Raw(body=text.encode(), content_type="text/plain")

    made = [
        answers(
            endpoint(method=method, path=f"/{auth.name.lower()}", auth=auth, operation_id=f"{method}{auth.name}"), who
        )
        for auth in Auth
        if auth is not Auth.SERVER
        for method in ("GET", "POST")
    ]
    return App(made, authenticator=tokens or Tokens(**USERS))


async def say(method: str, auth: str, token: str | None) -> str:
    """What comes of it: who was let in, or the status and error code."""
    answer = await ask(app(), method, f"/{auth}", token=token)
    return answer.body.decode() if answer.status == 200 else f"{answer.status} {answer.errcode}"


MISSING, UNKNOWN = "401 M_MISSING_TOKEN", "401 M_UNKNOWN_TOKEN"
GUEST, SUSPENDED, LOCKED = "403 M_GUEST_ACCESS_FORBIDDEN", "403 M_USER_SUSPENDED", "401 M_USER_LOCKED"
IN = "in"

#: For each kind of endpoint: what becomes of no token, a wrong one, a user, a guest, a suspended and a locked user.
POSTS = {
    "none": ("nobody", "nobody", "nobody", "nobody", "nobody", "nobody"),
    "optional": ("nobody", UNKNOWN, IN, IN, IN, LOCKED),
    "token": (MISSING, UNKNOWN, IN, GUEST, SUSPENDED, LOCKED),
    "guest": (MISSING, UNKNOWN, IN, IN, SUSPENDED, LOCKED),
    "suspended": (MISSING, UNKNOWN, IN, GUEST, IN, LOCKED),
    "guest_suspended": (MISSING, UNKNOWN, IN, IN, IN, LOCKED),
    "locked": (MISSING, UNKNOWN, IN, IN, IN, IN),
    "admin": (MISSING, UNKNOWN, "403 M_FORBIDDEN", GUEST, SUSPENDED, LOCKED),
}
#: Where reading differs.
GETS = POSTS | {
    "optional": ("nobody", "nobody", IN, IN, IN, "nobody"),
    "token": (MISSING, UNKNOWN, IN, GUEST, IN, LOCKED),
    "guest": (MISSING, UNKNOWN, IN, IN, IN, LOCKED),
    "admin": (MISSING, UNKNOWN, "403 M_FORBIDDEN", GUEST, "403 M_FORBIDDEN", LOCKED),
}
TOKENS = (None, "wrong", "alice", "guest", "suspended", "locked")


@pytest.mark.parametrize("auth", POSTS)
@pytest.mark.parametrize(("method", "table"), [("GET", GETS), ("POST", POSTS)])
async def test_rules(method: str, table: dict[str, tuple[str, ...]], auth: str) -> None:
    for token, expected in zip(TOKENS, table[auth], strict=True):
        said = await say(method, auth, token)
        assert said == (f"@{token}:here.test PHONE" if expected == IN else expected), token


async def test_administrators() -> None:
    assert await say("POST", "admin", "admin") == "@admin:here.test PHONE"


async def test_soft_logout() -> None:
    async def refusal(token: str) -> object:
        return (await ask(app(), "GET", "/token", token=token)).json["soft_logout"]

    assert [await refusal(token) for token in ("locked", "expired", "wrong")] == [True, True, False]


@pytest.mark.parametrize(
    ("target", "header", "user"),
    [
        ("/token", "Bearer alice", "@alice"),
        ("/token", "bearer alice", "@alice"),
        ("/token", "BEARER   alice ", "@alice"),
        ("/token?access_token=alice", None, "@alice"),
        ("/token?x=1&access_token=a%6Cice", None, "@alice"),
        ("/token?access_token=wrong", "Bearer alice", "@alice"),
        ("/token", "Basic alice", None),
        ("/token", "Bearer ", None),
        ("/token", "alice", None),
        ("/token?access_token=", None, None),
        ("/token?my_access_token=alice", None, None),
    ],
)
async def test_where_a_token_stands(target: str, header: str | None, user: str | None) -> None:
    answer = await ask(app(), "GET", target, headers=[("Authorization", header)] if header else [])
    assert answer.body.startswith(user.encode()) if user else answer.errcode == "M_MISSING_TOKEN"


async def test_a_query_that_is_no_text() -> None:
    answer = await ask(app(), "GET", "/token?access_token=%ff")
    assert (answer.status, answer.errcode) == (400, "M_INVALID_PARAM")


async def test_only_what_is_not_cached_waits() -> None:
    tokens = Tokens(**USERS)
    for token, waited in (("alice", 0), ("slow", 1), ("slow", 2), ("alice", 2), ("wrong", 3)):
        await ask(app(tokens), "GET", "/token", token=token)
        assert tokens.waited == waited


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("/token", "@bridge:here.test None"),
        ("/token?user_id=%40irc_bob%3Ahere.test", "@irc_bob:here.test None"),
        ("/token?user_id=@irc_bob:here.test&device_id=D", "@irc_bob:here.test D"),
        ("/token?user_id=@irc_bob:here.test&org.matrix.msc3202.device_id=D", "@irc_bob:here.test D"),
    ],
)
async def test_application_services_act_for_their_users(target: str, expected: str) -> None:
    assert (await ask(app(), "GET", target, token="bridge")).body.decode() == expected
    assert (await ask(app(), "GET", target, token="alice")).body.decode() == "@alice:here.test PHONE"


class Servers:
    """A `ServerAuthenticator` that keeps what it is shown."""

    def __init__(self) -> None:
        self.shown: list[tuple[str, str, list[str], bytes]] = []

    async def origin(self, method: str, uri: str, authorization: list[str], body: bytes) -> str:
        self.shown.append((method, uri, authorization, body))
        if not authorization:
            raise Forbidden("Not signed.", status=401)
        return "there.test"


def federation(servers: Servers) -> App:
    sends = endpoint(method="PUT", path="/send/{txnId}", request=Txn, auth=Auth.SERVER)
    reads = endpoint(path="/version", auth=Auth.SERVER, operation_id="version")
    made = [
        answers(sends, lambda call: Raw(body=f"{call.origin} {call.args.txn_id} {call.args.pdus}".encode())),
        answers(reads, lambda call: Raw(body=call.origin.encode())),
    ]
    return App(made, authenticator=Tokens(), server_authenticator=servers)


class Txn(Struct):
    txn_id: Path[str]
    pdus: list[int]


SIGNED = [("Authorization", "X-Matrix a"), ("Host", "here.test"), ("Authorization", "X-Matrix b")]


async def test_servers_sign_all_that_they_send() -> None:
    servers = Servers()
    answer = await ask(federation(servers), "PUT", "/send/a%20b?x=%41", headers=SIGNED, body=b'{"pdus": [1]}')
    assert answer.body == b"there.test a b [1]"
    assert servers.shown == [("PUT", "/send/a%20b?x=%41", ["X-Matrix a", "X-Matrix b"], b'{"pdus": [1]}')]
    assert (await ask(federation(servers), "GET", "/version", headers=SIGNED)).body == b"there.test"
    assert servers.shown[-1] == ("GET", "/version", ["X-Matrix a", "X-Matrix b"], b"")


async def test_without_a_signature_nothing_is_read() -> None:
    refused = await ask(federation(Servers()), "PUT", "/send/1", body=b"not json")
    assert (refused.status, refused.errcode) == (401, "M_FORBIDDEN")


async def test_an_empty_signed_body_is_read_once() -> None:
    answer = await ask(federation(Servers()), "PUT", "/send/1", headers=SIGNED, body=[b""])
    assert answer.errcode == "M_NOT_JSON"


def test_signed_endpoints_need_somebody_to_check_them() -> None:
    with pytest.raises(ValueError, match="signatures"):
        App([answers(endpoint(auth=Auth.SERVER), lambda call: Raw())], authenticator=Tokens())
