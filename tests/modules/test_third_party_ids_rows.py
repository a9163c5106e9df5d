"""The rows of addresses, on both databases."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from weft.modules.third_party_ids import store
from weft.protocol.errors import MatrixError
from weft.protocol.third_party_ids import ThirdPartyId
from weft.storage.database import Database
from weft.storage.open import open_database

ALICE, BOB = "@alice:weft.test", "@bob:weft.test"
ONE, TWO = ThirdPartyId("email", "one@example.org"), ThirdPartyId("email", "two@example.org")
PHONE = ThirdPartyId("msisdn", "447700900001")


@pytest_asyncio.fixture(params=["sqlite", "postgres"])
async def database(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    is_postgres = request.param == "postgres"
    url = request.getfixturevalue("postgres_database") if is_postgres else f"sqlite:{tmp_path / 'weft.db'}"
    opened = await open_database(url, ["weft.modules.third_party_ids"])
    await opened.become_writer("test")
    yield opened
    await opened.close()


async def test_an_administrator_says_which_they_are(database: Database) -> None:
    await database.write(store.set_for, ALICE, [ONE, PHONE, ONE], 1000)
    await database.write(store.set_for, ALICE, [ONE, TWO], 2000)
    assert await database.read(store.of_user, ALICE) == [("email", ONE.address, 1000, 1000), (*TWO, 2000, 2000)]
    assert await database.read(store.owner_of, *ONE) == ALICE
    assert await database.read(store.owner_of, *PHONE) is None
    await database.write(store.set_for, ALICE, [], 3000)
    assert await database.read(store.of_user, ALICE) == []


async def test_an_address_is_one_accounts(database: Database) -> None:
    await database.write(store.set_for, ALICE, [ONE], 1000)
    with pytest.raises(MatrixError) as refused:
        await database.write(store.set_for, BOB, [TWO, ONE], 2000)
    assert refused.value.errcode == "M_THREEPID_IN_USE"
    assert await database.read(store.of_user, BOB) == []
    await database.write(lambda tx: store.add(tx, ALICE, ONE, validated_ms=5000, now_ms=6000))
    assert await database.read(store.of_user, ALICE) == [(*ONE, 5000, 1000)]


async def test_nobody_removes_what_is_anothers(database: Database) -> None:
    await database.write(store.set_for, ALICE, [ONE], 1000)
    assert not await database.write(store.remove, BOB, ONE)
    assert await database.write(store.remove, ALICE, ONE)
    assert await database.read(store.owner_of, *ONE) is None


async def test_bindings(database: Database) -> None:
    for _ in range(2):
        await database.write(store.bound, ALICE, ONE, "id.test")
    await database.write(store.bound, ALICE, ONE, "other.test")
    await database.write(store.bound, ALICE, TWO, "id.test")
    assert await database.read(store.servers_of, ALICE, ONE) == ["id.test", "other.test"]
    await database.write(store.unbound, ALICE, ONE, "id.test")
    assert await database.read(store.bindings, ALICE) == [(ONE, "other.test"), (TWO, "id.test")]
