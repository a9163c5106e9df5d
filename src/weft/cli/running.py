"""Talking to the server of these settings while it runs: over its own client listener, with its registration secret.

The endpoint is the one that existing tools use, `/_synapse/admin/v1/register`.
"""

from __future__ import annotations

import hashlib
import hmac
import http.client
import ipaddress
import socket
import ssl
import time
from collections.abc import Mapping

import orjson

from weft.cli.options import Refused
from weft.http import operator
from weft.protocol.api.synapse_admin.registration import SHARED_SECRET_REGISTER
from weft.server.config import Settings, read_secret
from weft.settings import Listener

_PROBE_SECONDS = 1.0
_ANSWER_SECONDS = 60.0


def find(settings: Settings) -> Listener | None:
    """The first client listener that something answers on."""
    return next((one for one in settings.listeners if "client" in one.resources and _answers(one)), None)


def create_user(settings: Settings, listener: Listener, localpart: str, password: str, *, admin: bool) -> str:
    """Makes an account on the first of the server's domains; returns its id."""
    secret = _secret(settings)
    nonce = str(_call(listener, "GET", None)["nonce"])
    request = {
        "nonce": nonce,
        "username": localpart,
        "password": password,
        "admin": admin,
        "mac": mac_of(secret, nonce, localpart, password, admin=admin),
        "inhibit_login": True,
    }
    return str(_call(listener, "POST", request)["user_id"])


def mac_of(secret: str, nonce: str, localpart: str, password: str, *, admin: bool) -> str:
    """The proof of knowing the secret, in hexadecimal."""
    parts = (nonce, localpart, password, "admin" if admin else "notadmin")
    return hmac.new(secret.encode(), "\0".join(parts).encode(), hashlib.sha1).hexdigest()


def _answers(listener: Listener) -> bool:
    try:
        socket.create_connection((_host(listener), listener.port), _PROBE_SECONDS).close()
    except OSError:
        return False
    return True


def ask(settings: Settings, listener: Listener, path: str) -> bytes:
    """What the running server tells its operator: the answer to a GET of a path with its query."""
    now_ms = time.time_ns() // 1_000_000
    proof = operator.proof(_secret(settings), method="GET", path=path, now_ms=now_ms)
    return _request(listener, "GET", path, None, {operator.HEADER: proof})


def _secret(settings: Settings) -> str:
    file = settings.registration.shared_secret_file
    if file is None:
        raise Refused("registration.shared_secret_file is not set: without it the running server can't know its owner")
    return read_secret(file)


def _call(listener: Listener, method: str, body: object) -> dict[str, object]:
    content = None if body is None else orjson.dumps(body)
    headers = {"Content-Type": "application/json"}
    answer = orjson.loads(_request(listener, method, SHARED_SECRET_REGISTER.path, content, headers))
    if not isinstance(answer, dict):
        raise Refused(f"what listens on {listener.address} port {listener.port} is not Weft")
    return answer


def _request(listener: Listener, method: str, path: str, body: bytes | None, headers: Mapping[str, str]) -> bytes:
    connection = _connection(listener)
    try:
        connection.request(method, path, body, dict(headers))
        response = connection.getresponse()
        answer = response.read()
        refusal = None if response.status == http.client.OK else orjson.loads(answer)
    except (OSError, http.client.HTTPException, orjson.JSONDecodeError) as error:
        raise Refused(f"what listens on {listener.address} port {listener.port} is not Weft: {error}") from error
    finally:
        connection.close()
    if refusal is not None:
        said = refusal.get("error") if isinstance(refusal, dict) else None
        raise Refused(f"the running server refused: {said or f'status {response.status}'}")
    return answer


def _connection(listener: Listener) -> http.client.HTTPConnection:
    host, port = _host(listener), listener.port
    if listener.tls_certificate_file is None:
        return http.client.HTTPConnection(host, port, timeout=_ANSWER_SECONDS)
    # It has to be the very certificate of these settings; its name is of no matter on the way to oneself.
    context = ssl.create_default_context(cafile=str(listener.tls_certificate_file))
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.check_hostname = False
    return http.client.HTTPSConnection(host, port, timeout=_ANSWER_SECONDS, context=context)


def _host(listener: Listener) -> str:
    """Where a listener on every address is reached from here."""
    address = ipaddress.ip_address(listener.address)
    if not address.is_unspecified:
        return listener.address
    return "127.0.0.1" if address.version == 4 else "::1"
