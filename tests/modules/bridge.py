"""A small application service over real HTTP, and its registration."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import yaml
from aiohttp import web

from tests.watching import asked
from weft.testing import Client, TestServer

V3 = "/_matrix/client/v3"
HS_TOKEN = "hs-token-of-the-bridge"


class Bridge:
    """Takes transactions and answers queries as its fields say; notes all it was asked.

    `answers` has, by the beginning of a path, what to answer instead: a status and a JSON body.
    """

    def __init__(self, name: str = "bridge") -> None:
        self.name = name
        self.as_token = f"as-token-of-the-{name}"
        self.transactions: list[tuple[str, dict[str, Any]]] = []
        self.asked: list[str] = []
        self.answers: dict[str, tuple[int, Any]] = {}
        self.on_query: Callable[[str], Awaitable[None]] | None = None
        self.url = ""
        self._runner: web.AppRunner | None = None
        self._port = 0

    async def start(self) -> None:
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._answer)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port)
        await site.start()
        self._port = self._runner.addresses[0][1]
        self.url = f"http://127.0.0.1:{self._port}"

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _answer(self, request: web.Request) -> web.Response:
        self.asked.append(f"{request.method} {request.rel_url}")
        if request.headers.get("Authorization") != f"Bearer {HS_TOKEN}":
            return web.json_response({"errcode": "M_FORBIDDEN"}, status=403)
        for beginning, (status, body) in self.answers.items():
            if request.path.startswith(beginning):
                if status < 400:
                    asked(request.method, request.raw_path)
                return web.json_response(body, status=status)
        if request.method == "PUT":
            self.transactions.append((request.path.rpartition("/")[2], await request.json()))
        elif self.on_query is not None:
            await self.on_query(request.path.rpartition("/")[2])
        asked(request.method, request.raw_path)
        return web.json_response({})

    # -- what it is, and what it sees

    def registration(self, **changes: Any) -> dict[str, Any]:
        return {
            "id": self.name,
            "url": self.url,
            "as_token": self.as_token,
            "hs_token": HS_TOKEN,
            "sender_localpart": f"_{self.name}_bot",
            "namespaces": {
                "users": [{"exclusive": True, "regex": f"@_{self.name}_.*"}],
                "aliases": [{"exclusive": True, "regex": f"#_{self.name}_.*"}],
                "rooms": [],
            },
            **changes,
        }

    def settings(self, folder: Path, **changes: Any) -> dict[str, Any]:
        file = folder / f"{self.name}.yaml"
        file.write_text(yaml.safe_dump(self.registration(**changes)))
        return {"application_services": {"registration_files": [str(file)]}}

    def client(self, server: TestServer) -> Client:
        """The service's own client; `as_user` has it act for somebody."""
        return server.client(self.as_token, user_id=f"@_{self.name}_bot:{server.name}")

    async def register(self, server: TestServer, localpart: str) -> str:
        body = {"type": "m.login.application_service", "username": localpart, "inhibit_login": True}
        user_id: str = (await self.client(server).post(f"{V3}/register", body)).ok()["user_id"]
        return user_id

    @property
    def events(self) -> list[dict[str, Any]]:
        return [event for _, body in self.transactions for event in body["events"]]

    @property
    def ephemeral(self) -> list[dict[str, Any]]:
        return [event for _, body in self.transactions for event in body.get("ephemeral", [])]

    async def until(self, condition: Callable[[], object], seconds: float = 10.0) -> None:
        """Waits until something is so."""
        async with asyncio.timeout(seconds):
            while not condition():
                await asyncio.sleep(0.02)

    async def hears(self, event_id: str) -> dict[str, Any]:
        """The event as the service is told of it."""
        await self.until(lambda: any(event["event_id"] == event_id for event in self.events))
        return next(event for event in self.events if event["event_id"] == event_id)
