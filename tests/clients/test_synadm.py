"""synadm, unmodified: what administrators of Synapse type, against a running server."""

from __future__ import annotations

import asyncio
import io
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from nio import AsyncClient, LoginResponse, UploadResponse

from tests.clients.conftest import Starter
from tests.clients.nio_people import expect, register, room_of, send

_COMMAND = (sys.executable, "-c", "from synadm.cli import root; root()")


class World:
    """A server, its administrator with synadm at hand, and two people who use matrix-nio."""

    def __init__(self, folder: Path, url: str, admin: AsyncClient, alice: AsyncClient, bob: AsyncClient) -> None:
        self.url, self.admin, self.alice, self.bob = url, admin, alice, bob
        self.server_name = (admin.user_id or "").partition(":")[2]
        self._config = folder / "synadm.yaml"
        self._config.write_text(
            json.dumps(
                {
                    "user": admin.user_id,
                    "token": admin.access_token,
                    "base_url": url,
                    "format": "json",
                    "homeserver": self.server_name,
                }
            )
        )
        self._environment = {**os.environ, "HOME": str(folder)}

    async def synadm(self, *arguments: str, is_new: bool = False) -> Any:
        """What a command prints, the last of it as JSON; fails the test where it fails, or the server refuses.

        `is_new`: it looks for somebody whom it will make, and finds nobody.
        """
        done = await asyncio.to_thread(self._run, arguments)
        assert done.returncode == 0, f"{arguments}: {done.stdout}{done.stderr}"
        assert done.stderr.count("status code") == int(is_new), f"{arguments}: {done.stdout}{done.stderr}"
        return _last_json(done.stdout)

    def _run(self, arguments: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
        command = [*_COMMAND, "--batch", "-o", "json", "-c", str(self._config), *arguments]
        return subprocess.run(command, env=self._environment, capture_output=True, text=True, timeout=60, check=False)

    async def until(self, status: str, *arguments: str) -> Any:
        """What a command prints once it tells of that status."""
        for _ in range(50):
            told = await self.synadm(*arguments)
            if told["status"] == status:
                return told
            await asyncio.sleep(0.1)
        raise AssertionError(told)


def _last_json(text: str) -> Any:
    """The last JSON value that begins a line; the text itself where there is none."""
    lines = text.splitlines()
    for number in reversed(range(len(lines))):
        if lines[number][:1] in ("{", "["):
            return json.JSONDecoder().raw_decode("\n".join(lines[number:]))[0]
    return text


@pytest_asyncio.fixture
async def world(start_weft: Starter, tmp_path: Path) -> AsyncIterator[World]:
    weft = start_weft({"media.authenticated": "false"})
    people = [await register(weft.url, name) for name in ("admin", "alice", "bob")]
    yield World(tmp_path, weft.url, *people)
    for person in people:
        await person.close()


async def test_accounts(world: World) -> None:
    alice = world.alice.user_id or ""
    assert "Weft" in (await world.synadm("version"))["server_version"]
    listed = await world.synadm("user", "list")
    assert [user["name"].partition(":")[0] for user in listed["users"]] == ["@admin", "@alice", "@bob"]
    assert (await world.synadm("user", "details", alice))["displayname"] == "alice"
    modified = await world.synadm("user", "modify", "--display-name", "Alicia", "--password", "correct battery", alice)
    assert modified["displayname"] == "Alicia"
    made = await world.synadm(
        "user", "modify", "--password", "correct horse", "--admin", f"@carol:{world.server_name}", is_new=True
    )
    assert made["admin"] is True
    assert await world.synadm("user", "password", "--password", "staple battery", alice) == {}
    again = AsyncClient(world.url, alice)
    expect(LoginResponse, await again.login("staple battery"))
    told = await world.synadm("user", "whois", alice)
    assert list(told["devices"]) == [again.device_id]
    assert (await world.synadm("user", "membership", alice))["total"] == 0
    token = (await world.synadm("user", "login", alice))["access_token"]
    acting = AsyncClient(world.url)
    acting.access_token = token
    assert getattr(await acting.whoami(), "user_id", None) == alice
    assert (await world.synadm("user", "modify", "--lock", alice))["locked"] is True
    assert (await world.synadm("user", "modify", "--unlock", alice))["locked"] is False
    await world.synadm("user", "deactivate", alice)
    assert (await world.synadm("user", "details", alice))["deactivated"] is True
    await again.close()
    await acting.close()


async def test_rooms(world: World) -> None:
    bob = world.bob.user_id or ""
    room_id = await room_of(world.alice, world.bob)
    for number in range(5):
        last = await send(world.alice, room_id, {"msgtype": "m.text", "body": f"message {number}"})
    assert [room["room_id"] for room in (await world.synadm("room", "list"))["rooms"]] == [room_id]
    assert (await world.synadm("room", "details", room_id))["joined_members"] == 2
    assert set((await world.synadm("room", "members", room_id))["members"]) == {world.alice.user_id, bob}
    assert {event["type"] for event in (await world.synadm("room", "state", room_id))["state"]} >= {"m.room.create"}
    assert await world.synadm("room", "power-levels")
    assert await world.synadm("room", "block", "--block", room_id) == {"block": True}
    assert (await world.synadm("room", "block-status", room_id))["user_id"] == world.admin.user_id
    assert await world.synadm("room", "block", "--unblock", room_id) == {"block": False}
    assert await world.synadm("room", "make-admin", "--user-id", bob, room_id) == {}
    assert await world.synadm("room", "make-admin", room_id) == {}
    assert (await world.synadm("room", "join", room_id, world.admin.user_id or ""))["room_id"] == room_id
    begun = await world.synadm("history", "purge", "--before-event-id", last, "--delete-local", room_id)
    purge_id = begun["purge_id"]
    await world.until("complete", "history", "purge-status", purge_id)
    redact_id = (await world.synadm("user", "redact", "--reason", "spam", world.alice.user_id or ""))["redact_id"]
    await world.until("completed", "user", "redact-status", redact_id)
    delete_id = (await world.synadm("room", "delete", "--block", room_id))["delete_id"]
    await world.until("complete", "room", "delete-status", "--delete-id", delete_id)
    assert (await world.synadm("room", "list"))["rooms"] == []
    second = await room_of(world.alice, world.bob)
    done = await world.synadm("room", "delete", "--v1", second)
    assert set(done["kicked_users"]) == {world.alice.user_id, bob}


async def test_registration_tokens(world: World) -> None:
    made = await world.synadm("regtok", "new", "--token", "abcd", "--uses-allowed", "3")
    assert (made["token"], made["uses_allowed"]) == ("abcd", 3)
    assert (await world.synadm("regtok", "update", "--uses-allowed", "5", "abcd"))["uses_allowed"] == 5
    assert (await world.synadm("regtok", "update", "--uses-allowed", "-1", "abcd"))["uses_allowed"] is None
    listed = await world.synadm("regtok", "list")
    assert [token["token"] for token in listed["registration_tokens"]] == ["abcd"]
    assert (await world.synadm("regtok", "details", "abcd"))["completed"] == 0
    assert "deleted" in await world.synadm("regtok", "delete", "abcd")
    assert (await world.synadm("regtok", "list"))["registration_tokens"] == []


async def test_notices_and_media(world: World) -> None:
    bob = world.bob.user_id or ""
    sent = await world.synadm("notice", "send", bob, "Maintenance at noon")
    assert "event_id" in (sent[0] if isinstance(sent, list) else sent)
    media: list[str] = []
    for content in (b"first", b"second"):
        response, _ = await world.bob.upload(io.BytesIO(content), content_type="text/plain", filesize=len(content))
        media.append(expect(UploadResponse, response).content_uri.rpartition("/")[2])
    listed = await world.synadm("media", "list", "--user-id", bob)
    assert {one["media_id"] for one in listed["media"]} == set(media)
    quarantine = ("--server-name", world.server_name, "--media-id", media[0])
    await world.synadm("media", "quarantine", *quarantine)
    await world.synadm("media", "unquarantine", *quarantine)
    deleted = await world.synadm("media", "delete", "--media-id", media[0])
    assert deleted["deleted_media"] == [media[0]]
    assert (await world.synadm("media", "list", "--user-id", bob))["total"] == 1


async def test_what_is_refused_is_told(world: World) -> None:
    with pytest.raises(AssertionError, match="404"):
        await world.synadm("user", "details", f"@nobody:{world.server_name}")
