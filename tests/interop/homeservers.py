"""Synapse and Weft as processes that reach each other over TLS on this machine.

Their names have ports in them, so that neither DNS nor root is needed: `localhost:…`, and one Weft is called by an IP
address. Each trusts the same test certificate, may connect to this machine, asks no notary, and tries again soon after
another did not answer.
"""

from __future__ import annotations

import json
import ssl
from pathlib import Path
from typing import Final, Protocol

from benchmarks.side_by_side.process import free_port
from benchmarks.side_by_side.synapse import LOGGING
from benchmarks.side_by_side.synapse import Synapse as SynapseProcess

from tests.clients.running import RunningWeft
from weft.http.serve import Tls

#: Where Synapse is installed, the benchmarks' place.
VENV: Final = Path(__file__).parents[2] / ".bench" / "venv"
_GENEROUS: Final = {"per_second": 100_000, "burst_count": 100_000}


class Reachable(Protocol):
    """A server that people have accounts on."""

    #: Its name in identifiers.
    server_name: str
    #: Where clients reach it.
    url: str


class Homeserver(Reachable, Protocol):
    """A server that a test may stop and start again."""

    async def start(self) -> object: ...

    def stop(self) -> None: ...

    def log(self) -> str: ...


class Weft(RunningWeft):
    """`host` is what it is called, followed by its port."""

    def __init__(self, folder: Path, tls: Tls, host: str) -> None:
        port = free_port()
        sets = {
            "listeners.0.tls_certificate_file": str(tls.certificate),
            "listeners.0.tls_key_file": str(tls.key),
            "federation.enabled": "true",
            "federation.private_addresses": "true",
            "federation.extra_ca_files": f'["{tls.certificate}"]',
        }
        super().__init__(folder, sets, server_name=f"{host}:{port}", port=port)

    async def start(self) -> None:  # type: ignore[override]
        super().start()


class Synapse(SynapseProcess):
    """Clients reach it without TLS."""

    def __init__(self, folder: Path, tls: Tls, python: Path) -> None:
        super().__init__(folder, None, python)
        self._tls = tls
        # By which it knows identity servers.
        self.environment = {"SSL_CERT_FILE": str(tls.certificate)}
        self._federation_port = free_port()
        self.server_name = f"localhost:{self._federation_port}"
        self.url = f"http://127.0.0.1:{self.port}"

    def settings(self) -> dict[str, object]:
        client, *_ = super().settings()["listeners"]  # type: ignore[misc,attr-defined]
        federation = {
            "port": self._federation_port,
            "type": "http",
            "tls": True,
            "bind_addresses": ["127.0.0.1"],
            "resources": [{"names": ["federation"], "compress": False}],
        }
        return {
            **super().settings(),
            "server_name": self.server_name,
            "listeners": [client, federation],
            "tls_certificate_path": str(self._tls.certificate),
            "tls_private_key_path": str(self._tls.key),
            "federation_custom_ca_list": [str(self._tls.certificate)],
            "federation_domain_whitelist": None,
            "ip_range_blacklist": [],
            "federation_ip_range_blacklist": [],
            "room_list_publication_rules": [{"action": "allow"}],
            "allow_public_rooms_over_federation": True,
            "rc_federation": {"window_size": 1000, "sleep_limit": 100_000, "reject_limit": 100_000, "concurrent": 50},
            "rc_room_creation": _GENEROUS,
            "federation": {
                "destination_min_retry_interval": 500,
                "destination_retry_multiplier": 2,
                "destination_max_retry_interval": 2000,
                "max_short_retries": 1,
                "max_short_retry_delay": 200,
                "max_long_retries": 2,
                "max_long_retry_delay": 1000,
            },
        }

    def prepare(self) -> None:
        super().prepare()
        # What it makes of what it is sent is worth reading when a test fails.
        chatty = {**LOGGING, "root": {"level": "INFO", "handlers": ["output"]}}
        (self.folder / "logging.yaml").write_text(json.dumps(chatty))

    def log(self) -> str:
        return self.output.read_text(errors="replace") if self.output.exists() else ""


def trusting(tls: Tls) -> ssl.SSLContext:
    """How clients check the servers' certificates."""
    return ssl.create_default_context(cafile=str(tls.certificate))
