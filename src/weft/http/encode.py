"""From a request value to what is sent: the mirror of `weft.http.decode`.

A path's parameters and the query are percent-encoded down to the unreserved characters, so that nothing on the way has
a reason to spell them otherwise: a signature covers the very text. What equals its default is left out unless its type
always sends it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Generic, NamedTuple, TypeVar
from urllib.parse import quote

import msgspec

from weft.http.fields import TEMPLATE, Field, snake
from weft.protocol.api.endpoint import Endpoint, In

Q = TypeVar("Q", bound=msgspec.Struct)


class Encoded(NamedTuple):
    """`target` is path and query as they go into the request line; `body` is None where there is none."""

    target: str
    headers: dict[str, str]
    body: bytes | None


class RequestEncoder(Generic[Q]):
    """Spells requests of one endpoint, by its first path. Safe to share."""

    def __init__(self, endpoint: Endpoint[Q, Any]) -> None:
        fields = [Field(info) for info in msgspec.structs.fields(endpoint.request)]
        self._path = endpoint.path
        self._names = [snake(name) for name in TEMPLATE.findall(endpoint.path)]
        self._query = [field for field in fields if field.place is In.QUERY]
        self._headers = [field for field in fields if field.place is In.HEADER]
        self._keys = [field for field in fields if field.place is None]
        self._whole = next((field for field in fields if field.place is In.BODY), None)
        self._has_body = endpoint.method != "GET"
        self._omits = endpoint.request.__struct_config__.omit_defaults

    def encode(self, request: Q) -> Encoded:
        values = (quote(str(getattr(request, name)), safe="") for name in self._names)
        target = TEMPLATE.sub(lambda _: next(values), self._path)
        query = "&".join(self._pairs(request))
        headers = {
            field.name.replace("_", "-"): str(value) for field, value in self._given(self._headers, request, omits=True)
        }
        return Encoded(f"{target}?{query}" if query else target, headers, self._body(request))

    def _pairs(self, request: Q) -> Iterator[str]:
        for field, value in self._given(self._query, request, omits=True):
            if isinstance(value, dict):
                yield from (f"{quote(key, safe='')}={quote(one, safe='')}" for key, one in value.items())
                continue
            for one in value if isinstance(value, list | tuple) else [value]:
                yield f"{quote(field.wire, safe='')}={quote(_text(one), safe='')}"

    def _body(self, request: Q) -> bytes | None:
        if not self._has_body:
            return None
        if self._whole is not None:
            value = getattr(request, self._whole.name)
            return value if isinstance(value, bytes) else msgspec.json.encode(value)
        given = self._given(self._keys, request, omits=self._omits)
        return msgspec.json.encode({field.wire: value for field, value in given})

    def _given(self, fields: list[Field], request: Q, *, omits: bool) -> Iterator[tuple[Field, Any]]:
        for field in fields:
            value = getattr(request, field.name)
            if not omits or field.info.required or value != _default(field):
                yield field, value


def _default(field: Field) -> Any:
    factory = field.info.default_factory
    return factory() if callable(factory) else field.info.default


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
