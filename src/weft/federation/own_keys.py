"""The signing keys of our own domains: the one that each signs with, and those that it signed with before.

https://spec.matrix.org/v1.19/server-server-api/#retrieving-server-keys
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from weft.protocol.server_keys import OldKey
from weft.protocol.signatures import SigningKey, VerifyKey


class OwnKeys:
    """Fixed for the life of the process."""

    def __init__(self, current: Mapping[str, SigningKey], old: Mapping[str, Sequence[OldKey]] | None = None) -> None:
        self.current = dict(current)
        self.old = {name: tuple(keys) for name, keys in (old or {}).items()}

    @property
    def server_names(self) -> list[str]:
        """Our domains, the default one first."""
        return list(self.current)

    def __contains__(self, server_name: object) -> bool:
        return server_name in self.current

    def find(self, server_name: str, key_id: str, at_ms: int | None) -> VerifyKey | None:
        """A key of one of our domains; a former one counts for what is older than its end (None: for everything)."""
        current = self.current.get(server_name)
        if current is not None and current.key_id == key_id:
            return current.verify_key
        for old in self.old.get(server_name, ()):
            if old.key.key_id == key_id and (at_ms is None or at_ms <= old.expired_ms):
                return old.key
        return None
