"""What may be told of our own users' devices.

https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3keysquery
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from weft.modules.keys import device_store, signing_store
from weft.modules.keys.device_store import KeyedDevice
from weft.modules.keys.signing_store import MASTER, SELF_SIGNING, Signature
from weft.rooms.engine import Engine
from weft.storage.database import Transaction

Json = dict[str, Any]


@dataclass(slots=True)
class Known:
    """What is known of some users: keys of devices by device id by user id, and signing keys by user id."""

    device_keys: dict[str, dict[str, Json]] = field(default_factory=dict)
    master_keys: dict[str, Json] = field(default_factory=dict)
    self_signing_keys: dict[str, Json] = field(default_factory=dict)
    user_signing_keys: dict[str, Json] = field(default_factory=dict)

    def of_usage(self, usage: str) -> dict[str, Json]:
        """The signing keys of one usage."""
        if usage == MASTER:
            return self.master_keys
        return self.self_signing_keys if usage == SELF_SIGNING else self.user_signing_keys

    def sign(self, signature: Signature) -> None:
        """Adds a signature to what it is of, if that is here."""
        owner, target = signature.target_user_id, signature.target_key
        signed = self.device_keys.get(owner, {}).get(target) or next(
            (keys[owner] for keys in self._signing_keys if f"ed25519:{target}" in keys.get(owner, {}).get("keys", {})),
            None,
        )
        if signed is not None:
            by_user = signed.setdefault("signatures", {}).setdefault(signature.user_id, {})
            by_user[signature.key_id] = signature.signature

    @property
    def _signing_keys(self) -> tuple[dict[str, Json], ...]:
        return self.master_keys, self.self_signing_keys, self.user_signing_keys

    def add(self, other: Known) -> None:
        self.device_keys.update(other.device_keys)
        self.master_keys.update(other.master_keys)
        self.self_signing_keys.update(other.self_signing_keys)
        self.user_signing_keys.update(other.user_signing_keys)


class OwnUsers:
    def __init__(self, engine: Engine) -> None:
        self._database = engine.database

    async def known(self, asked: Mapping[str, Collection[str]], *, names: bool = True) -> Known:
        """The keys of our users' devices: of some devices, or of all where none are named; each user has a place.

        `names`: whether devices are told with their display names.
        """
        few = self._database.get if len(asked) <= 16 else self._database.read
        return await few(known_of, asked, names)


def known_of(tx: Transaction, asked: Mapping[str, Collection[str]], names: bool) -> Known:
    """What `OwnUsers.known` answers, within a transaction."""
    found = Known(device_keys={user_id: {} for user_id in asked})
    for device in device_store.of_users(tx, list(asked)):
        wanted = asked[device.user_id]
        if device.keys is not None and (not wanted or device.device_id in wanted):
            found.device_keys[device.user_id][device.device_id] = shown(device, names=names)
    for key in signing_store.of_users(tx, list(asked)):
        found.of_usage(key.usage)[key.user_id] = orjson.loads(key.key)
    for signature in signing_store.signatures_of_own(tx, list(asked)):
        found.sign(signature)
    return found


def shown(device: KeyedDevice, *, names: bool) -> Json:
    """A device's keys as others are told them."""
    keys: Json = orjson.loads(device.keys or b"{}")
    if names and device.display_name:
        keys["unsigned"] = {"device_display_name": device.display_name}
    return keys
