"""Self-signed certificates for tests, made by OpenSSL's command."""

from __future__ import annotations

import subprocess
from pathlib import Path


def make_certificate(folder: Path, *names: str) -> tuple[Path, Path]:
    """A certificate and its key (PEM) for some host names; it is its own authority."""
    folder.mkdir()
    certificate, key = folder / "tls.crt", folder / "tls.key"
    subject = ["-subj", "/CN=test", "-addext", "subjectAltName=" + ",".join(f"DNS:{name}" for name in names)]
    files = ["-keyout", str(key), "-out", str(certificate)]
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    subprocess.run(["openssl", "req", "-x509", *curve, *files, *subject], check=True, capture_output=True, timeout=60)
    return certificate, key
