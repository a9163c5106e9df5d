"""Whether the listeners' ports can be had, asked before anything else is started."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterable, Iterator

from weft.settings import Listener


def problems(listeners: Iterable[Listener]) -> Iterator[str]:
    """One line for each listener that can't listen."""
    for number, listener in enumerate(listeners):
        reason = _reason(listener)
        if reason:
            yield f"listeners.{number}: {reason}"


def _reason(listener: Listener) -> str | None:
    family = socket.AF_INET6 if ":" in listener.address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((listener.address, listener.port))
        except OSError as error:
            return _in_words(error, listener)
    return None


def _in_words(error: OSError, listener: Listener) -> str:
    match error.errno:
        case errno.EADDRINUSE:
            return f"port {listener.port} of {listener.address} is in use: stop what uses it, or choose another port"
        case errno.EADDRNOTAVAIL:
            return f"{listener.address} is not an address of this machine"
        case errno.EACCES:
            return f"port {listener.port} may be opened by root only: choose one from 1024 on, or use a reverse proxy"
        case _:
            return f"{listener.address} port {listener.port}: {error.strerror}"
