"""Backups of room keys. https://spec.matrix.org/v1.19/client-server-api/#server-side-key-backups"""

from __future__ import annotations

from weft.modules.key_backup.client_api import KeyBackupApi
from weft.modules.key_backup.service import KeyBackups
from weft.modules.module import Module

__all__ = ["KeyBackups", "module"]


def module(backups: KeyBackups) -> Module:
    return Module(name="key_backup", routes=KeyBackupApi(backups).routes())
