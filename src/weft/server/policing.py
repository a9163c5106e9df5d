"""This server as a policy server: the operator's hook, and the key by which rooms know it."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import cast

import structlog

from weft.protocol.signatures import SigningKey
from weft.rooms.engine import Engine
from weft.rooms.policy import KEY_ID, Hook
from weft.server import signing_keys
from weft.server.config.errors import SettingsError
from weft.settings import Settings

log = structlog.get_logger(__name__)


def enable_policy_server(engine: Engine, settings: Settings) -> None:
    """Gives the engine the hook that the settings name, if they do. Raises `SettingsError`."""
    if not settings.policy_server.hook:
        return
    policy = engine.remote.policy
    policy.hook = load_hook(settings.policy_server.hook)
    policy.signing_key = _key(settings.policy_server_key_file)
    public = policy.signing_key.verify_key.to_base64()
    log.info("this server signs as a policy server", public_keys={"ed25519": public})


def load_hook(name: str) -> Hook:
    """The function that `package.module:function` names. Raises `SettingsError`."""
    module, _, attribute = name.partition(":")
    try:
        found: object = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise SettingsError([f"policy_server.hook = {name!r}: {error}"]) from None
    if not callable(found):
        raise SettingsError([f"policy_server.hook = {name!r} is no function"])
    return cast("Hook", found)


def _key(file: Path) -> SigningKey:
    """The key, made the first time. Its id is the one that the specification fixes."""
    if not file.exists():
        signing_keys.make(file)
    made = signing_keys.read(file)
    return SigningKey(KEY_ID, made.seed)
