"""Counts the statements that a transaction runs."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest

from weft.storage.database import Row, WriteTransaction


@contextlib.contextmanager
def counted(tx: WriteTransaction) -> Iterator[list[str]]:
    """The SQL texts of the reads that are made in here."""
    texts: list[str] = []
    everything = tx.all

    def all_(sql: str, /, **params: Any) -> list[Row]:
        texts.append(sql)
        return everything(sql, **params)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tx, "all", all_)
        yield texts
