"""Synapse, from PyPI, in a virtual environment of its own.

It is set up as a private server that loses no time on what is not measured: SQLite in the mode that Synapse chooses,
no federation, no limits, open registration, the cheapest password hash, only warnings in the log. Synapse sets its
database to WAL and leaves `synchronous` at what SQLite was built with, which is FULL, as Weft's is.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.side_by_side.process import ServerProcess

VERSION = "1.163.2"

_UNLIMITED = {"per_second": 1_000_000, "burst_count": 1_000_000}
#: For Python's `logging.config`.
LOGGING: dict[str, object] = {
    "version": 1,
    "formatters": {"plain": {"format": "%(asctime)s - %(levelname)s - %(name)s %(message)s"}},
    "handlers": {"output": {"class": "logging.StreamHandler", "formatter": "plain"}},
    "root": {"level": "WARNING", "handlers": ["output"]},
    "disable_existing_loggers": False,
}


def install(folder: Path) -> Path:
    """Makes the virtual environment if it is not there yet; its Python."""
    python = folder / "bin" / "python"
    marker = folder / f"synapse-{VERSION}"
    if not marker.exists():
        print(f"Installing Synapse {VERSION} into {folder}.", flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, f"matrix-synapse=={VERSION}"], check=True, timeout=900)
        marker.touch()
    return python


class Synapse(ServerProcess):
    """Synapse on SQLite."""

    name = "Synapse"

    def __init__(self, folder: Path, core: int | None, python: Path) -> None:
        super().__init__(folder, core)
        self._python = python.absolute()

    def version(self) -> str:
        return VERSION

    def command(self) -> Sequence[str]:
        return [*self._program(), "-c", "homeserver.yaml", "-c", "measured.yaml"]

    def database(self) -> Path:
        return self.folder / "homeserver.db"

    def prepare(self) -> None:
        self.folder.mkdir(parents=True)
        generate = ["--generate-config", "-c", "homeserver.yaml", "-H", "localhost", "--report-stats", "no"]
        subprocess.run(
            [*self._program(), *generate], cwd=self.folder, check=True, stdout=subprocess.DEVNULL, timeout=120
        )
        self.configure()
        (self.folder / "logging.yaml").write_text(json.dumps(LOGGING))

    def configure(self) -> None:
        # JSON is YAML.
        (self.folder / "measured.yaml").write_text(json.dumps(self.settings(), indent=2))

    def _federation(self) -> dict[str, object]:
        if self.trusts is None:
            return {"federation_domain_whitelist": []}
        return {
            "federation_custom_ca_list": [str(self.trusts)],
            # The other server is on this machine.
            "ip_range_blacklist": [],
            "federation_ip_range_blacklist": [],
            "rc_federation": {
                "window_size": 1000,
                "sleep_limit": 1_000_000,
                "sleep_delay": 1,
                "reject_limit": 1_000_000,
                "concurrent": 100,
            },
        }

    def _program(self) -> list[str]:
        return [str(self._python), "-m", "synapse.app.homeserver"]

    def settings(self) -> dict[str, object]:
        """What the server is told besides what its generator of settings wrote."""
        limits = ("rc_message", "rc_registration", "rc_room_creation", "rc_admin_redaction", "rc_reports")
        return {
            "listeners": [
                {
                    "port": self.port,
                    "type": "http",
                    "bind_addresses": ["127.0.0.1"],
                    "resources": [{"names": ["client", "federation"], "compress": False}],
                }
            ],
            "database": {"name": "sqlite3", "args": {"database": str(self.database())}},
            "log_config": str(self.folder / "logging.yaml"),
            "enable_registration": True,
            "enable_registration_without_verification": True,
            "bcrypt_rounds": 4,
            "trusted_key_servers": [],
            **self._federation(),
            # The same request again, by the same device, is otherwise answered from memory for two minutes.
            "caches": {"sync_response_cache_duration": "0s"},
            **dict.fromkeys(limits, _UNLIMITED),
            "rc_login": dict.fromkeys(("address", "account", "failed_attempts"), _UNLIMITED),
            "rc_joins": dict.fromkeys(("local", "remote"), _UNLIMITED),
            "rc_joins_per_room": _UNLIMITED,
            "rc_invites": dict.fromkeys(("per_room", "per_user", "per_issuer"), _UNLIMITED),
            "rc_presence": {"per_user": _UNLIMITED},
            "rc_profile": _UNLIMITED,
            "rc_media_create": _UNLIMITED,
            "remote_media_download_per_second": "10G",
            "remote_media_download_burst_count": "10G",
        }
