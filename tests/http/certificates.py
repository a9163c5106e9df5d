"""Self-signed certificates for tests, made by OpenSSL's command."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path


def make_certificate(folder: Path, *names: str, addresses: Sequence[str] = ()) -> tuple[Path, Path]:
    """A certificate and its key (PEM) for some host names and IP addresses; it is its own authority."""
    folder.mkdir()
    certificate, key = folder / "tls.crt", folder / "tls.key"
    alternatives = [*(f"DNS:{name}" for name in names), *(f"IP:{address}" for address in addresses)]
    subject = ["-subj", "/CN=test", "-addext", f"subjectAltName={','.join(alternatives)}"]
    files = ["-keyout", str(key), "-out", str(certificate)]
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    subprocess.run(["openssl", "req", "-x509", *curve, *files, *subject], check=True, capture_output=True, timeout=60)
    return certificate, key
