"""Publishes the signing keys of our domains, and vouches for other servers' keys as a notary.

https://spec.matrix.org/v1.19/server-server-api/#retrieving-server-keys
"""

from __future__ import annotations

from collections.abc import Callable

from weft.federation.keyring import Keyring
from weft.federation.own_keys import OwnKeys
from weft.modules.module import Module
from weft.modules.server_keys.federation_api import ServerKeysApi
from weft.modules.server_keys.service import ServerKeysService

__all__ = ["ServerKeysService", "module"]


def module(own_keys: OwnKeys, keyring: Keyring, now_ms: Callable[[], int]) -> Module:
    service = ServerKeysService(own_keys, keyring, now_ms)
    return Module(name="server_keys", routes=ServerKeysApi(service).routes())
