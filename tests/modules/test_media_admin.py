"""Administrators look through media, delete it, and have nobody see it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.modules.conftest import Start
from tests.modules.pictures import picture
from tests.modules.test_media import OLD, V1, download, files_of, try_upload, upload
from tests.watching import validated
from weft.testing import Answer, Client, TestServer

ADMIN = "/_synapse/admin/v1"


def id_of(mxc: str) -> str:
    return mxc.partition("/")[2]


async def thumbnail(who: Client, mxc: str) -> Answer:
    return await who.get(f"{V1}/thumbnail/{mxc}", width=32, height=32, method="crop")


async def test_only_administrators(server: TestServer) -> None:
    admin, bob = await server.user(), await server.user()
    mxc = await upload(bob, b"x")
    for method, path in (
        ("GET", f"media/{mxc}"),
        ("DELETE", f"media/{mxc}"),
        ("POST", f"media/quarantine/{mxc}"),
        ("POST", "purge_media_cache?before_ts=1"),
        ("GET", f"users/{bob.user_id}/media"),
    ):
        (await bob.request(method, f"{ADMIN}/{path}")).refused(403, "M_FORBIDDEN")
    assert (await download(admin, mxc)).status == 200


async def test_what_is_known_of_a_medium(server: TestServer) -> None:
    admin, bob = await server.user(), await server.user()
    mxc = await upload(bob, b"some bytes", "text/plain", filename="notes.txt")
    info = (await admin.get(f"{ADMIN}/media/{mxc}")).ok()["media_info"]
    assert info["media_id"] == id_of(mxc)
    assert info["user_id"] == bob.user_id
    assert (info["media_type"], info["media_length"], info["upload_name"]) == ("text/plain", 10, "notes.txt")
    assert (info["quarantined_by"], info["safe_from_quarantine"], info["authenticated"]) == (None, False, True)
    assert len(info["sha256"]) == 64
    (await admin.get(f"{ADMIN}/media/weft.test/unknown")).refused(404, "M_NOT_FOUND")


async def test_what_a_user_uploaded(server: TestServer) -> None:
    admin, bob = await server.user(), await server.user()
    mxcs = [await upload(bob, bytes(number), filename=f"{9 - number}.png") for number in range(1, 6)]
    path = f"{ADMIN}/users/{bob.user_id}/media"
    page = (await admin.get(path, limit=2)).ok()
    assert [one["media_id"] for one in page["media"]] == [id_of(mxcs[4]), id_of(mxcs[3])]
    assert (page["total"], page["next_token"]) == (5, 2)
    rest = (await admin.get(path, **{"from": page["next_token"]})).ok()
    assert [one["media_id"] for one in rest["media"]] == [id_of(mxc) for mxc in mxcs[2::-1]]
    assert "next_token" not in rest
    for order in ("media_id", "upload_name", "created_ts", "last_access_ts", "media_length", "media_type"):
        for direction in ("f", "b"):
            listed = (await admin.get(path, order_by=order, dir=direction)).ok()["media"]
            values = [one[order] or 0 for one in listed]
            assert values == sorted(values, reverse=direction == "b")
    (await admin.get(f"{ADMIN}/users/@nobody:weft.test/media")).refused(404, "M_NOT_FOUND")
    (await admin.get(f"{ADMIN}/users/@far:elsewhere.test/media")).refused(400, "M_INVALID_PARAM")


async def test_what_is_deleted_is_gone(server: TestServer) -> None:
    admin, bob = await server.user(), await server.user()
    content = picture((300, 300))
    mxc, same = await upload(bob, content), await upload(admin, content)
    assert (await thumbnail(bob, mxc)).status == 200
    assert len(files_of(server)) == 2
    deleted = (await admin.delete(f"{ADMIN}/media/{mxc}")).ok()
    assert deleted == {"deleted_media": [id_of(mxc)], "total": 1}
    (await download(bob, mxc)).refused(404, "M_NOT_FOUND")
    (await thumbnail(bob, mxc)).refused(404, "M_NOT_FOUND")
    # The other one is whole, and goes with its file.
    assert len(files_of(server)) == 1
    assert (await download(bob, same)).body == content
    (await admin.delete(f"{ADMIN}/media/{same}")).ok()
    assert files_of(server) == []
    (await admin.delete(f"{ADMIN}/media/{same}")).refused(404, "M_NOT_FOUND")
    (await admin.delete(f"{ADMIN}/media/elsewhere.test/abc")).refused(400, "M_UNKNOWN")


async def test_what_is_deleted_no_longer_counts(start_server: Start) -> None:
    server = await start_server({"media": {"user_limit": "10K"}})
    admin, bob = await server.user(), await server.user()
    mxc = await upload(bob, b"x" * 10_000)
    (await try_upload(bob, b"y" * 1_000)).refused(403, "M_FORBIDDEN")
    (await admin.delete(f"{ADMIN}/media/{mxc}")).ok()
    await upload(bob, b"y" * 10_240)


async def test_all_of_a_user_is_deleted(server: TestServer) -> None:
    admin, bob = await server.user(), await server.user()
    mxcs = {id_of(await upload(bob, bytes(number))) for number in range(1, 5)}
    kept = await upload(admin, b"kept")
    path = f"{ADMIN}/users/{bob.user_id}/media"
    first = (await admin.delete(path, limit=1, order_by="media_length", dir="b")).ok()
    assert first["total"] == 1
    rest = (await admin.delete(path)).ok()
    assert {*first["deleted_media"], *rest["deleted_media"]} == mxcs
    assert (await admin.get(path)).ok()["total"] == 0
    assert (await download(bob, kept)).status == 200
    assert len(files_of(server)) == 1


async def test_what_is_old_and_large_is_deleted(server: TestServer) -> None:
    admin, bob = await server.user(), await server.user()
    large, small, face, looked_at, room_face = [
        await upload(bob, bytes([index]) * size) for index, size in enumerate((5_000, 50, 6_000, 7_000, 8_000))
    ]
    (await bob.put(f"/_matrix/client/v3/profile/{bob.user_id}/avatar_url", {"avatar_url": f"mxc://{face}"})).ok()
    room_id = await bob.create_room()
    await bob.set_state(room_id, "m.room.avatar", {"url": f"mxc://{room_face}"})
    server.clock.advance(7 * 24 * 3600)
    before = server.clock()
    server.clock.advance(3600)
    assert (await download(bob, looked_at)).status == 200
    fresh = await upload(bob, b"z" * 9_000)
    done = (await admin.post(f"{ADMIN}/media/delete?before_ts={before}&size_gt=100")).ok()
    assert done == {"deleted_media": [id_of(large)], "total": 1}
    for mxc in (small, face, looked_at, room_face, fresh):
        assert (await download(bob, mxc)).status == 200
    server.clock.advance(3600 * 3)
    later = server.clock()
    done = (await admin.post(f"{ADMIN}/media/weft.test/delete?before_ts={later}&keep_profiles=false")).ok()
    assert done["total"] == 5
    assert files_of(server) == []


# -- quarantine


async def test_quarantined_media_is_seen_by_nobody(start_server: Start) -> None:
    server = await start_server({"media": {"authenticated": False}})
    admin, bob = await server.user(), await server.user()
    content = picture((300, 300))
    mxc, same = await upload(bob, content), await upload(bob, content)
    assert (await thumbnail(bob, mxc)).status == 200
    assert (await admin.post(f"{ADMIN}/media/quarantine/{mxc}")).ok() == {}
    again = await upload(admin, content)
    for one in (mxc, same, again):
        for who in (bob, admin):
            (await download(who, one)).refused(404, "M_NOT_FOUND")
            (await thumbnail(who, one)).refused(404, "M_NOT_FOUND")
        (await server.client().get(f"{OLD}/download/{one}")).refused(404, "M_NOT_FOUND")
        info = (await admin.get(f"{ADMIN}/media/{one}")).ok()["media_info"]
        assert info["quarantined_by"] == admin.user_id
    assert (await admin.post(f"{ADMIN}/media/unquarantine/{same}")).ok() == {}
    for one in (mxc, same, again, await upload(bob, content)):
        assert (await download(bob, one)).body == content
        assert (await thumbnail(bob, one)).status == 200
    (await admin.post(f"{ADMIN}/media/quarantine/weft.test/unknown")).refused(404, "M_NOT_FOUND")


async def test_quarantine_outlasts_deletion(server: TestServer) -> None:
    admin, bob = await server.user(), await server.user()
    mxc = await upload(bob, b"bad")
    (await admin.post(f"{ADMIN}/media/quarantine/{mxc}")).ok()
    (await admin.delete(f"{ADMIN}/media/{mxc}")).ok()
    (await download(bob, await upload(bob, b"bad"))).refused(404, "M_NOT_FOUND")


async def test_protected_media_is_not_quarantined(server: TestServer) -> None:
    admin, bob = await server.user(), await server.user()
    mxc = await upload(bob, b"stickers")
    assert (await admin.post(f"{ADMIN}/media/protect/{id_of(mxc)}")).ok() == {}
    (await admin.post(f"{ADMIN}/media/quarantine/{mxc}")).refused(400, "M_UNKNOWN")
    (await admin.post(f"{ADMIN}/user/{bob.user_id}/media/quarantine")).ok()
    assert (await download(bob, mxc)).status == 200
    assert (await admin.post(f"{ADMIN}/media/unprotect/{id_of(mxc)}")).ok() == {}
    (await admin.post(f"{ADMIN}/media/quarantine/{mxc}")).ok()
    (await download(bob, mxc)).refused(404, "M_NOT_FOUND")
    (await admin.post(f"{ADMIN}/media/protect/unknown")).refused(404, "M_NOT_FOUND")


async def test_all_of_a_user_is_quarantined(server: TestServer) -> None:
    admin, bob = await server.user(), await server.user()
    mxcs = [await upload(bob, bytes(number)) for number in range(1, 4)]
    others = await upload(admin, b"others")
    done = (await admin.post(f"{ADMIN}/user/{bob.user_id}/media/quarantine")).ok()
    assert done == {"num_quarantined": 3}
    for mxc in mxcs:
        (await download(bob, mxc)).refused(404, "M_NOT_FOUND")
    assert (await download(bob, others)).status == 200


@pytest.mark.parametrize("path", ["room/{}/media/quarantine", "quarantine_media/{}"])
async def test_all_of_a_room_is_quarantined(server: TestServer, path: str) -> None:
    admin, bob = await server.user(), await server.user()
    first, second, third, elsewhere = [await upload(bob, bytes([number])) for number in range(4)]
    room_id = await bob.create_room()
    await bob.send(
        room_id, msgtype="m.image", body="p", url=f"mxc://{first}", info={"thumbnail_url": f"mxc://{second}"}
    )
    await bob.send(room_id, msgtype="m.file", body="f", file={"url": f"mxc://{third}"})
    await bob.send(room_id, msgtype="m.image", body="p", url="mxc://far.test/abc")
    listed = (await admin.get(f"{ADMIN}/room/{room_id}/media")).ok()
    assert set(listed["local"]) == {f"mxc://{one}" for one in (first, second, third)}
    assert listed["remote"] == ["mxc://far.test/abc"]
    assert (await admin.post(f"{ADMIN}/{path.format(room_id)}")).ok() == {"num_quarantined": 3}
    for mxc in (first, second, third):
        (await download(bob, mxc)).refused(404, "M_NOT_FOUND")
    assert (await download(bob, elsewhere)).status == 200
    (await admin.get(f"{ADMIN}/room/!unknown:weft.test/media")).refused(404, "M_NOT_FOUND")


# -- copies of other servers' media


async def test_quarantined_bytes_don_t_come_back_from_elsewhere(server: TestServer, tmp_path: Path) -> None:
    admin = await server.user()
    async with another(server, tmp_path) as carol:
        mxc, copy = await upload(carol, b"bad"), await upload(carol, b"bad")
        unseen = await upload(carol, b"unseen")
        assert (await download(admin, mxc)).body == b"bad"
        (await admin.post(f"{ADMIN}/media/quarantine/{mxc}")).ok()
        (await download(admin, mxc)).refused(404, "M_NOT_FOUND")
        (await download(admin, copy)).refused(404, "M_NOT_FOUND")
        (await download(admin, await upload(admin, b"bad"))).refused(404, "M_NOT_FOUND")
        # Also when the copies are gone.
        assert (await admin.post(f"{ADMIN}/purge_media_cache?before_ts={server.clock() + 10**9}")).ok()["deleted"] >= 1
        (await download(admin, mxc)).refused(404, "M_NOT_FOUND")
        (await download(admin, copy)).refused(404, "M_NOT_FOUND")
        # What is not here can be kept away.
        (await admin.post(f"{ADMIN}/media/quarantine/{unseen}")).ok()
        (await download(admin, unseen)).refused(404, "M_NOT_FOUND")
        (await admin.post(f"{ADMIN}/media/unquarantine/{unseen}")).ok()
        assert (await download(admin, unseen)).body == b"unseen"
        # There it is seen as before.
        assert (await download(carol, mxc)).body == b"bad"


async def test_copies_are_purged(server: TestServer, tmp_path: Path) -> None:
    admin = await server.user()
    async with another(server, tmp_path) as carol:
        old, new = await upload(carol, picture((300, 300))), await upload(carol, b"new")
        own = await upload(admin, b"own")
        assert (await thumbnail(admin, old)).status == 200
        server.clock.advance(24 * 3600)
        before = server.clock()
        server.clock.advance(10)
        assert (await download(admin, new)).status == 200
        assert len(files_of(server)) == 4
        assert (await admin.post(f"{ADMIN}/purge_media_cache?before_ts={before}")).ok() == {"deleted": 1}
        assert len(files_of(server)) == 2
        assert (await download(admin, own)).body == b"own"
        assert (await thumbnail(admin, old)).status == 200, "it is fetched again"


@asynccontextmanager
async def another(server: TestServer, folder: Path) -> AsyncIterator[Client]:
    """Somebody on another server, which this one reaches."""
    (folder / "other").mkdir()
    settings = {"server": {"names": ["other.test"]}}
    other = TestServer(folder / "other", settings=settings, network=server.network, clock=server.clock, watch=validated)
    await other.start()
    yield await other.user("carol")
    await other.stop()
