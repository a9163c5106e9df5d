"""A domain's signing key on disk: one line, `ed25519 <version> <seed in base64>`, readable by its owner only.

The form is the one that other homeservers write, so that a domain can move with its key. Beside it are the public
halves of the keys that it had before, one on each line: `ed25519 <version> <key in base64> <when it ended, in ms>`.
Nobody can sign with these any more, but what was signed by them stays good.

https://spec.matrix.org/v1.19/server-server-api/#retrieving-server-keys
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from weft.protocol.errors import InvalidParam
from weft.protocol.server_keys import MAX_KEYS, OldKey
from weft.protocol.signatures import ALGORITHM, SigningKey, VerifyKey
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


def read_old(file: Path) -> list[OldKey]:
    """The keys that a domain had before; none without the file. Raises `SettingsError` for what is no such list."""
    try:
        lines = file.read_text(encoding="ascii").splitlines()
        return [_old_key(*line.split()) for line in lines if line.strip() and not line.startswith("#")]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise SettingsError([f"the list of former keys {file} can't be read: {error.strerror}"]) from None
    except (ValueError, TypeError, InvalidParam):
        raise SettingsError([f"{file} is no list of former keys: restore it from a copy"]) from None


def make(file: Path) -> SigningKey:
    """Writes a new key. Raises `FileExistsError` rather than lose an old one."""
    key = SigningKey(f"{ALGORITHM}:a_{secrets.token_hex(4)}", secrets.token_bytes(32))
    write_private(file, f"{ALGORITHM} {_version(key.key_id)} {key.to_base64()}\n")
    return key


def rotate(file: Path, old_file: Path, *, now_ms: int) -> tuple[SigningKey, SigningKey]:
    """Puts a new key in the place of the present one, which is listed as ended; returns both, the former one first.

    If it is cut off in the middle, the former key is listed already and still in use, which does no harm.
    """
    former, old = read(file), read_old(old_file)
    fresh_file = file.with_name(f"{file.name}.new")
    fresh_file.unlink(missing_ok=True)
    fresh = make(fresh_file)
    old = [*(one for one in old if one.key.key_id != former.key_id), OldKey(former.verify_key, now_ms)]
    text = "".join(
        f"{ALGORITHM} {_version(one.key.key_id)} {one.key.to_base64()} {one.expired_ms}\n" for one in old[-MAX_KEYS:]
    )
    fresh_old_file = old_file.with_name(f"{old_file.name}.new")
    fresh_old_file.unlink(missing_ok=True)
    write_private(fresh_old_file, text)
    fresh_old_file.replace(old_file)
    fresh_file.replace(file)
    return former, fresh


def _old_key(algorithm: str, version: str, key: str, expired_ms: str) -> OldKey:
    return OldKey(VerifyKey.from_base64(f"{algorithm}:{version}", key), int(expired_ms))


def _version(key_id: str) -> str:
    return key_id.removeprefix(f"{ALGORITHM}:")


def write_private(file: Path, text: str) -> None:
    """Writes a new file that only its owner may read. Raises `FileExistsError`."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as opened:
        opened.write(text)
        opened.flush()
        os.fsync(opened.fileno())
