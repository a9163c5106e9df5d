"""A domain's signing key on disk: one line, `ed25519 <version> <seed in base64>`, readable by its owner only.

The form is the one that other homeservers write, so that a domain can move with its key.

https://spec.matrix.org/v1.19/server-server-api/#retrieving-server-keys
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from weft.protocol.errors import InvalidParam
from weft.protocol.signatures import ALGORITHM, SigningKey
from weft.server.config.errors import SettingsError


def read(file: Path) -> SigningKey:
    """Raises `SettingsError` for a file that is not there or holds no key."""
    try:
        algorithm, version, seed = file.read_text(encoding="ascii").split()
        return SigningKey.from_base64(f"{algorithm}:{version}", seed)
    except FileNotFoundError:
        raise SettingsError([f"the signing key {file} does not exist: weft init --if-missing makes it"]) from None
    except OSError as error:
        raise SettingsError([f"the signing key {file} can't be read: {error.strerror}"]) from None
    except (ValueError, InvalidParam):
        raise SettingsError([f"{file} holds no signing key: restore it from a copy"]) from None


def make(file: Path) -> SigningKey:
    """Writes a new key. Raises `FileExistsError` rather than lose an old one."""
    key = SigningKey(f"{ALGORITHM}:a_{secrets.token_hex(2)}", secrets.token_bytes(32))
    version = key.key_id.removeprefix(f"{ALGORITHM}:")
    write_private(file, f"{ALGORITHM} {version} {key.to_base64()}\n")
    return key


def write_private(file: Path, text: str) -> None:
    """Writes a new file that only its owner may read. Raises `FileExistsError`."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as opened:
        opened.write(text)
        opened.flush()
        os.fsync(opened.fileno())
