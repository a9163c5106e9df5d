"""What a server holds, in short, so that a change of anything shows."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from weft.storage.database import Transaction
from weft.testing import TestServer


async def digest(server: TestServer, but: tuple[str, ...]) -> dict[str, str]:
    """Each table's content, without the tables whose names begin with one of `but`."""
    return await server.server.engine.database.read(_tables, but)


def differences(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    """The tables whose content is another one."""
    return [name for name, content in after.items() if before.get(name) != content]


def _tables(tx: Transaction, but: tuple[str, ...]) -> dict[str, str]:
    found: dict[str, str] = {}
    for (name,) in tx.all("SELECT name FROM sqlite_master WHERE type = 'table'"):
        if not name.startswith("sqlite_") and not name.startswith(but) and "search" not in name:
            rows = sorted(map(repr, tx.all(f'SELECT * FROM "{name}"')))
            found[name] = hashlib.sha256("\n".join(rows).encode()).hexdigest()
    return found
