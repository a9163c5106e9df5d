"""Whose certificates are believed where this server opens a connection."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from functools import cache
from pathlib import Path


def trust(extra_cas: Sequence[Path] = (), *, verify: bool = True) -> ssl.SSLContext:
    """The system's certificate authorities, with those of some PEM files; without `verify` everybody is believed.

    Raises `OSError` (`ssl.SSLError` is one) for a file that can't be read.
    """
    if not verify:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context
    if not extra_cas:
        return _system()
    context = ssl.create_default_context()
    for file in extra_cas:
        context.load_verify_locations(cafile=file)
    return context


@cache
def _system() -> ssl.SSLContext:
    """One for everybody: reading the system's authorities takes longer than starting the rest of a server."""
    return ssl.create_default_context()
