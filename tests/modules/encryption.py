"""Keys as clients make them: real ones, with signatures that hold."""

from __future__ import annotations

import hashlib
from typing import Any

from weft.protocol.signatures import SigningKey, encode_base64, sign_json, with_signature
from weft.testing import Client

V3 = "/_matrix/client/v3"


def seed(*names: str) -> bytes:
    return hashlib.sha256("\0".join(names).encode()).digest()


class Keys:
    """What a client keeps secret for its device, and what it publishes."""

    def __init__(self, client: Client, name: str = "") -> None:
        self.client = client
        self.user_id, self.device_id = client.user_id, client.device_id
        self.secret = SigningKey("ed25519:1", seed(self.user_id, self.device_id, name))
        self._made = 0

    @property
    def key_id(self) -> str:
        return f"ed25519:{self.device_id}"

    @property
    def public(self) -> str:
        return self.secret.verify_key.to_base64()

    def sign(self, value: dict[str, Any]) -> dict[str, Any]:
        signed = sign_json({k: v for k, v in value.items() if k != "signatures"}, self.user_id, self.secret)
        return with_signature(value, self.user_id, self.key_id, signed["signatures"][self.user_id]["ed25519:1"])

    def device(self, **more: Any) -> dict[str, Any]:
        """The device's identity."""
        return self.sign(
            {
                "user_id": self.user_id,
                "device_id": self.device_id,
                "algorithms": ["m.olm.v1.curve25519-aes-sha2", "m.megolm.v1.aes-sha2"],
                "keys": {
                    f"curve25519:{self.device_id}": encode_base64(seed(self.user_id, self.device_id, "curve")),
                    self.key_id: self.public,
                },
                **more,
            }
        )

    def one_time(self, count: int) -> dict[str, Any]:
        """Further one-time keys."""
        made = {}
        for _ in range(count):
            self._made += 1
            made[f"signed_curve25519:{self._made:06}"] = self.single(str(self._made))
        return made

    def single(self, name: str, **more: Any) -> dict[str, Any]:
        return self.sign({"key": encode_base64(seed(self.user_id, self.device_id, name)), **more})

    def fallback(self, name: str = "F1") -> dict[str, Any]:
        return {f"signed_curve25519:{name}": self.single(name, fallback=True)}

    async def upload(self, one_time: int = 0, **body: Any) -> dict[str, int]:
        """Publishes the device, and so many one-time keys; the counts that are answered."""
        content = {"device_keys": self.device(), **({"one_time_keys": self.one_time(one_time)} if one_time else {})}
        answer = (await self.client.post(f"{V3}/keys/upload", {**content, **body})).ok()
        counts: dict[str, int] = answer["one_time_key_counts"]
        return counts


async def query(client: Client, *users: str, **body: Any) -> dict[str, Any]:
    asked = {"device_keys": {user_id: [] for user_id in users}, **body}
    answer: dict[str, Any] = (await client.post(f"{V3}/keys/query", asked)).ok()
    return answer


async def claim(client: Client, *devices: Client, algorithm: str = "signed_curve25519") -> dict[str, Any]:
    """The keys that were given, by id, of each device that had one."""
    asked: dict[str, dict[str, str]] = {}
    for device in devices:
        asked.setdefault(device.user_id, {})[device.device_id] = algorithm
    answer = (await client.post(f"{V3}/keys/claim", {"one_time_keys": asked})).ok()
    given: dict[str, Any] = answer["one_time_keys"]
    return {
        device.device_id: given[device.user_id][device.device_id]
        for device in devices
        if device.device_id in given.get(device.user_id, {})
    }


class Identity:
    """A user's keys that sign others."""

    def __init__(self, user_id: str, name: str = "") -> None:
        self.user_id = user_id
        self.secrets = {
            usage: SigningKey("ed25519:1", seed(user_id, usage, name))
            for usage in ("master", "self_signing", "user_signing")
        }

    def public(self, usage: str) -> str:
        return self.secrets[usage].verify_key.to_base64()

    def sign(self, value: dict[str, Any], usage: str) -> dict[str, Any]:
        bare = {key: member for key, member in value.items() if key not in ("signatures", "unsigned")}
        signature = sign_json(bare, self.user_id, self.secrets[usage])["signatures"][self.user_id]["ed25519:1"]
        return with_signature(bare, self.user_id, f"ed25519:{self.public(usage)}", signature)

    def key(self, usage: str, **more: Any) -> dict[str, Any]:
        public = self.public(usage)
        value = {"user_id": self.user_id, "usage": [usage], "keys": {f"ed25519:{public}": public}, **more}
        return value if usage == "master" else self.sign(value, "master")

    def body(self, *usages: str) -> dict[str, Any]:
        return {f"{usage}_key": self.key(usage) for usage in usages or self.secrets}

    async def upload(self, client: Client) -> None:
        (await client.post(DEVICE_SIGNING, self.body())).ok()


DEVICE_SIGNING = f"{V3}/keys/device_signing/upload"
SIGNATURES = f"{V3}/keys/signatures/upload"


async def sign(client: Client, target: str, name: str, value: dict[str, Any]) -> dict[str, Any]:
    """Uploads one signed key; the failures that are answered."""
    answer = (await client.post(SIGNATURES, {target: {name: value}})).ok()
    failures: dict[str, Any] = answer["failures"]
    return failures
