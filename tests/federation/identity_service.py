"""A small honest identity server, over real HTTP: accounts, look-up by hash, associations, invites that wait.

https://spec.matrix.org/v1.19/identity-service-api/
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

from aiohttp import web

from tests.federation.identity_server import IDENTITY, IdentityServer
from tests.modules.mailbox import serving
from tests.watching import asked
from weft.protocol.canonical_json import canonical_lax
from weft.protocol.request_auth import parse, signed_bytes
from weft.testing import Client, TestServer
from weft.testing.server import key_of

_BASE: Final = "/_matrix/identity/v2"
TOKEN: Final = "token-of-an-account"


class IdentityService(IdentityServer):
    """`homeserver` gives the client by which it tells a user's server that an address was bound."""

    def __init__(self, homeserver: Callable[[str], Client]) -> None:
        super().__init__()
        self.homeserver = homeserver
        #: How clients name it.
        self.name = ""
        #: Validated sessions: `sid` → medium and address; the client's secret is "secret".
        self.sessions: dict[str, tuple[str, str]] = {}
        self.bound: dict[tuple[str, str], str] = {}
        self.waiting: dict[tuple[str, str], list[dict[str, Any]]] = {}
        #: What clients were told in mails about invites.
        self.stored: list[dict[str, Any]] = []
        self.algorithms = ["sha256", "none"]
        self.pepper = "matrixrocks"
        #: Answers with this instead.
        self.instead: tuple[int, dict[str, Any]] | None = None
        #: Paths that were asked for.
        self.calls: list[str] = []

    def validated(self, address: str, medium: str = "email") -> str:
        """A session by which somebody has shown that an address is theirs."""
        sid = f"sid{len(self.sessions)}"
        self.sessions[sid] = (medium, address)
        return sid

    async def answer(self, request: web.Request) -> web.Response:
        path = request.path.removeprefix(_BASE)
        self.calls.append(path)
        if self.instead is not None:
            return web.json_response(self.instead[1], status=self.instead[0])
        body = await request.json() if request.can_read_body else {}
        if path == "/3pid/unbind":
            return self._unbind(request, body)
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return web.json_response({"errcode": "M_UNKNOWN_TOKEN", "error": "Who are you?"}, status=401)
        answer = await self._for_account(path, body)
        if answer.status == 200:
            asked(request.method, request.path)
        return answer

    async def _for_account(self, path: str, body: dict[str, Any]) -> web.Response:
        match path:
            case "/hash_details":
                return web.json_response({"algorithms": self.algorithms, "lookup_pepper": self.pepper})
            case "/lookup":
                return self._lookup(body)
            case "/3pid/bind":
                return await self._bind(body)
            case "/store-invite":
                return self._store(body)
        return web.json_response({"errcode": "M_UNRECOGNIZED", "error": "?"}, status=404)

    def _hash(self, medium: str, address: str, algorithm: str) -> str:
        if algorithm == "none":
            return f"{address} {medium}"
        digest = hashlib.sha256(f"{address} {medium} {self.pepper}".encode()).digest()
        return base64.urlsafe_b64encode(digest).decode().rstrip("=")

    def _lookup(self, body: dict[str, Any]) -> web.Response:
        if body["pepper"] != self.pepper or body["algorithm"] not in self.algorithms:
            return web.json_response({"errcode": "M_INVALID_PEPPER", "error": "!"}, status=400)
        known = {self._hash(*key, body["algorithm"]): mxid for key, mxid in self.bound.items()}
        return web.json_response({"mappings": {one: known[one] for one in body["addresses"] if one in known}})

    async def _bind(self, body: dict[str, Any]) -> web.Response:
        session = self.sessions.get(body["sid"])
        if session is None or body["client_secret"] != "secret":
            return web.json_response({"errcode": "M_NO_VALID_SESSION", "error": "No such session"}, status=404)
        mxid = body["mxid"]
        self.bound[session] = mxid
        invites = [
            {
                **{key: invite[key] for key in ("medium", "address", "room_id", "sender")},
                "mxid": mxid,
                "signed": self.sign(mxid=mxid, token=invite["token"]),
            }
            for invite in self.waiting.pop(session, [])
        ]
        if invites:
            told = {"medium": session[0], "address": session[1], "mxid": mxid, "invites": invites}
            (await self.homeserver(mxid).put("/_matrix/federation/v1/3pid/onbind", told)).ok()
        times = {"not_before": 0, "not_after": 4_582_425_849_161, "ts": 1}
        association = {"medium": session[0], "address": session[1], "mxid": mxid, **times}
        return web.json_response({**association, "signatures": {IDENTITY: {"ed25519:0": "x"}}})

    def _unbind(self, request: web.Request, body: dict[str, Any]) -> web.Response:
        """Who asks is the user's homeserver, as its signature shows."""
        claim = parse(request.headers["Authorization"])
        assert claim is not None
        message = signed_bytes(
            method="POST",
            uri=request.path,
            origin=claim.origin,
            destination=self.name,
            content=canonical_lax(json.dumps(body).encode()),
        )
        assert claim.destination == self.name
        good = key_of(claim.origin).verify_key.verifies(message, claim.signature)
        key = (body["threepid"]["medium"], body["threepid"]["address"])
        if not good or body["mxid"].rpartition(":")[2] != claim.origin or self.bound.get(key) != body["mxid"]:
            return web.json_response({"errcode": "M_FORBIDDEN", "error": "Not yours"}, status=403)
        del self.bound[key]
        asked(request.method, request.path)
        return web.json_response({})

    def _store(self, body: dict[str, Any]) -> web.Response:
        key = (body["medium"], body["address"])
        if key in self.bound:
            return web.json_response({"errcode": "M_THREEPID_IN_USE", "error": "!"}, status=400)
        token = f"token{len(self.stored)}"
        self.stored.append(body)
        self.waiting.setdefault(key, []).append({**body, "token": token})
        offer = {"public_key": self.key.verify_key.to_base64(), "key_validity_url": f"{self.url}/valid"}
        return web.json_response({"token": token, "public_keys": [offer, offer], "display_name": "b...@e..."})


@asynccontextmanager
async def identity_service(homeserver: Callable[[str], Client]) -> AsyncIterator[IdentityService]:
    """One that answers, named by its address; whether its keys are good is known at `identity.test` (`vouch`)."""
    service = IdentityService(homeserver)
    async with serving(("*", _BASE + "/{path:.*}", service.answer)) as url:
        service.name = url.removeprefix("http://")
        yield service


def vouch(server: TestServer, service: IdentityService) -> None:
    """Has a server on the network in memory reach the identity server's word on its keys."""
    server.network.register([IDENTITY], lambda: service.app)
