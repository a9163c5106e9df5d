"""What other servers tell of their users' keys: only what was asked for, in its format, is taken from it.

https://spec.matrix.org/v1.19/server-server-api/#end-to-end-encryption
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final

import orjson

from weft.modules.keys import formats
from weft.modules.keys.device_store import KeyedDevice
from weft.modules.keys.one_time_keys import Given
from weft.modules.keys.own_users import Json, Known
from weft.modules.keys.signing_store import MASTER, SELF_SIGNING, SigningKey
from weft.protocol.api.federation.encryption_keys import QueryUserEncryptionKeysResponse
from weft.protocol.errors import MatrixError

#: Devices of one user that are looked at.
MOST_DEVICES: Final = 1_000
_LONGEST_NAME: Final = 256


def known(answer: QueryUserEncryptionKeysResponse, asked: Mapping[str, Collection[str]]) -> Known:
    """What of an answer may be believed. Those who have no place in it have none in what is returned."""
    found = Known()
    for user_id, of_user in answer.device_keys.items():
        wanted = asked.get(user_id)
        if wanted is None:
            continue
        places = found.device_keys.setdefault(user_id, {})
        for device_id, keys in list(of_user.items())[:MOST_DEVICES]:
            if not wanted or device_id in wanted:
                read = device(keys, user_id, device_id)
                if read is not None:
                    places[device_id] = read
    for usage, keys in ((MASTER, answer.master_keys), (SELF_SIGNING, answer.self_signing_keys)):
        for user_id in keys.keys() & asked.keys():
            read_key = signing_key(keys[user_id], user_id, usage)
            if read_key is not None:
                found.of_usage(usage)[user_id] = orjson.loads(read_key.key)
    return found


def signing_key(value: Any, user_id: str, usage: str) -> SigningKey | None:
    """A key that signs others; None where it is not in its format."""
    try:
        return formats.signing_key(value, user_id, usage)
    except MatrixError:
        return None


def device(keys: Mapping[str, Any], user_id: str, device_id: str) -> Json | None:
    """A device's keys, with its display name in `unsigned`; None where they are not in their format."""
    try:
        read: Json = orjson.loads(formats.device_keys(keys, user_id, device_id))
    except MatrixError:
        return None
    unsigned = keys.get("unsigned")
    name = unsigned.get("device_display_name") if isinstance(unsigned, dict) else None
    if isinstance(name, str) and name:
        read["unsigned"] = {"device_display_name": name[:_LONGEST_NAME]}
    return read


def stored_device(user_id: str, device_id: str, keys: Any, display_name: Any) -> KeyedDevice:
    """A device as it is kept; without keys where they are not in their format."""
    try:
        read = formats.device_keys(keys, user_id, device_id) if keys is not None else None
    except MatrixError:
        read = None
    name = display_name[:_LONGEST_NAME] if isinstance(display_name, str) else ""
    return KeyedDevice(user_id, device_id, name, read)


def is_device_id(device_id: str) -> bool:
    """Whether something may be the name of a device; others than we take more than letters and digits for one."""
    return 0 < len(device_id) <= 512


def given(answer: Mapping[str, Mapping[str, Mapping[str, Any]]], asked: Mapping[str, Mapping[str, str]]) -> Given:
    """The claimed keys of an answer: those of the devices and algorithms that were asked for."""
    found: Given = {}
    for user_id, of_user in asked.items():
        for device_id, algorithm in of_user.items():
            for full_id, key in answer.get(user_id, {}).get(device_id, {}).items():
                try:
                    named = formats.named_keys({full_id: key}, "one_time_keys")
                except MatrixError:
                    continue
                if named[0].algorithm == algorithm:
                    found.setdefault(user_id, {})[device_id] = {full_id: key}
                    break
    return found
