"""From a request's parts to its request type.

A `RequestDecoder` is made once for each endpoint from the type's annotations; a mistake in them is a `TypeError` at
start-up. The errors are the specification's:

* `M_NOT_JSON`: the body is not JSON (or not UTF-8);
* `M_BAD_JSON`: it is JSON of the wrong shape, or nests too deep;
* `M_MISSING_PARAM`: a key of the body or a query parameter is missing;
* `M_INVALID_PARAM`: a value of the path, query or headers is not of its type.

An empty body counts as `{}` where no key is required, because clients send such requests. Unknown keys are ignored.

https://spec.matrix.org/v1.19/client-server-api/#standard-error-response
"""

from __future__ import annotations

import functools
import re
import typing
from collections.abc import Iterable, Mapping
from typing import Any, Final, Generic, TypeVar

import msgspec

from weft.http.fields import TEMPLATE, Field, alternatives, snake
from weft.http.percent import percent_decoded
from weft.protocol.api.endpoint import Endpoint, In
from weft.protocol.errors import BadJson, InvalidParam, MatrixError, MissingParam, NotJson
from weft.protocol.nesting import check_nesting

Q = TypeVar("Q", bound=msgspec.Struct)
S = TypeVar("S", bound=msgspec.Struct)
D = TypeVar("D")

#: Bytes of a query; room for a filter spelled out in it.
MAX_QUERY: Final = 65_536

HeaderPairs = Iterable[tuple[bytes, bytes]]


@functools.lru_cache(maxsize=1024)
def decoder_of(endpoint: Endpoint[Any, Any]) -> RequestDecoder[Any]:
    """An endpoint's decoder, made once: looking through the types of all endpoints takes a tenth of a second."""
    return RequestDecoder(endpoint)


#: Parameters that say who asks, whatever the endpoint.
_OF_EVERY_REQUEST: Final = frozenset({"access_token", "user_id", "device_id"})


class RequestDecoder(Generic[Q]):
    """Builds requests of one type. Safe to share; holds no state between requests."""

    def __init__(self, endpoint: Endpoint[Q, Any]) -> None:
        self._type: type[Q] = endpoint.request
        fields = [Field(info) for info in msgspec.structs.fields(self._type)]
        outside = [field for field in fields if field.place is not None and field.place is not In.BODY]
        inside = [field for field in fields if field.place is None]
        whole = [field for field in fields if field.place is In.BODY]
        if (inside and whole) or len(whole) > 1:
            raise TypeError(f"{self._type.__name__} has more than one idea of what its body is")
        _check_paths(endpoint, outside)
        self._by_name = {info.name: info.encode_name for info in msgspec.structs.fields(self._type)}
        #: The fields all come from outside the body, or all are keys of it: one step makes the request.
        self._only_outside = len(outside) == len(fields)
        self._only_inside = len(inside) == len(fields)
        #: Whether what comes from outside the body is converted, under its names on the wire: those are told of faults.
        self._by_wire = self._only_outside or not all(field.is_plain_text for field in outside)
        queried = [field for field in outside if field.place is In.QUERY]
        self._query = {field.wire: self._slot(field) for field in queried if not field.is_mapping}
        self._others = next((self._slot(field)[0] for field in queried if field.is_mapping), None)
        self._headers = {
            field.name.replace("_", "-").encode(): self._slot(field)[0] for field in outside if field.place is In.HEADER
        }
        self._outside = _struct("Outside", outside, wire=True) if self._by_wire else None
        self._body = _body_part(endpoint, inside, whole) if inside or whole else None
        self.reads_body = self._body is not None

    def path_names(self, template: str) -> tuple[str, ...]:
        """The keys under which the parameters of a path go into `decode`, in their order."""
        names = [snake(name) for name in TEMPLATE.findall(template)]
        return tuple(self._by_name[name] if self._by_wire else name for name in names)

    def decode(self, values: dict[str, Any], query: bytes, headers: HeaderPairs, body: bytes) -> Q:
        """`values` are the path's parameters by `path_names`; it is filled further."""
        if self._only_inside and self._body is not None:
            return typing.cast(Q, self._body.decode(body))
        if query and (self._query or self._others is not None):
            self._read_query(query, values)
        if self._headers:
            self._read_headers(headers, values)
        if self._only_outside:
            return _convert(values, self._type)
        if self._outside is not None:
            values = msgspec.structs.asdict(_convert(values, self._outside))
        if self._body is not None:
            values |= self._body.fields(body)
        return self._build(values)

    def _build(self, values: dict[str, Any]) -> Q:
        try:
            return self._type(**values)
        except (ValueError, TypeError) as error:  # what a type's own check of its fields raises
            raise BadJson(str(error)) from None

    def _slot(self, field: Field) -> tuple[str, bool]:
        """The key of a field in `decode`'s values, and whether it takes every repetition."""
        return (field.wire if self._by_wire else field.name), field.is_list

    def _read_query(self, query: bytes, values: dict[str, Any]) -> None:
        if len(query) > MAX_QUERY:
            raise InvalidParam("The query is too long.", status=414)
        text = _text(query)
        encoded = "%" in text or "+" in text
        for pair in text.split("&"):
            name, _, value = pair.partition("=")
            name = _plain(name) if encoded else name
            slot = self._query.get(name)
            if slot is None:
                if self._others is not None and name not in _OF_EVERY_REQUEST:
                    values.setdefault(self._others, {}).setdefault(name, _plain(value) if encoded else value)
                continue
            key, is_list = slot
            if is_list:
                values.setdefault(key, []).append(_plain(value) if encoded else value)
            elif key not in values:
                values[key] = _plain(value) if encoded else value

    def _read_headers(self, headers: HeaderPairs, values: dict[str, Any]) -> None:
        for name, value in headers:
            key = self._headers.get(name)
            if key is not None and key not in values:
                values[key] = value.decode("latin-1")


class _ObjectBody:
    """A body that is an object with known keys."""

    def __init__(self, shape: type[msgspec.Struct], *, is_measured: bool) -> None:
        self._decoder: msgspec.json.Decoder[msgspec.Struct] = msgspec.json.Decoder(shape)
        self._is_measured = is_measured
        self._may_be_empty = not any(info.required for info in msgspec.structs.fields(shape))

    def decode(self, body: bytes) -> msgspec.Struct:
        return _json(self._decoder, body or (b"{}" if self._may_be_empty else b""), is_measured=self._is_measured)

    def fields(self, body: bytes) -> dict[str, Any]:
        return msgspec.structs.asdict(self.decode(body))


class _WholeBody:
    """A body that is one value."""

    def __init__(self, field: Field) -> None:
        self._name = field.name
        self._optional = not field.info.required
        self._decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(field.info.type)

    def decode(self, body: bytes) -> Any:
        return _json(self._decoder, body)

    def fields(self, body: bytes) -> dict[str, Any]:
        if not body and self._optional:
            return {}
        return {self._name: self.decode(body)}


class _BytesBody(_WholeBody):
    """A body taken as it is."""

    def decode(self, body: bytes) -> bytes:
        return body


def _body_part(endpoint: Endpoint[Any, Any], inside: list[Field], whole: list[Field]) -> _ObjectBody | _WholeBody:
    if whole:
        is_bytes = bytes in alternatives(whole[0].info.type)
        return _BytesBody(whole[0]) if is_bytes else _WholeBody(whole[0])
    is_all = len(inside) == len(endpoint.request.__struct_fields__)
    shape = endpoint.request if is_all else _struct("Body", inside, wire=True)
    return _ObjectBody(shape, is_measured=not endpoint.deep_body)


def _json(decoder: msgspec.json.Decoder[D], body: bytes, *, is_measured: bool = True) -> D:
    try:
        if not body.isascii():
            body.decode()  # what is skipped is not checked by the decoder, but may be kept
        if is_measured:
            check_nesting(body)
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        raise _wrong_shape(body, error) from None
    except RecursionError:
        raise BadJson("The body nests too deep.") from None
    except ValueError:
        raise NotJson("The body is not JSON." if body else "The request has no body.") from None


def _wrong_shape(body: bytes, error: msgspec.ValidationError) -> MatrixError:
    """The decoder stops at the first wrong type; whether all of it is JSON has to be looked at again."""
    try:
        msgspec.json.decode(body)
    except msgspec.ValidationError:
        pass  # a number out of range: still JSON
    except (ValueError, RecursionError):
        return NotJson("The body is not JSON.")
    missing = _MISSING.fullmatch(str(error))
    return MissingParam(f"Missing required key {missing[1]}.") if missing else BadJson(f"{error}.")


def _convert(values: Mapping[str, Any], shape: type[S]) -> S:
    try:
        return msgspec.convert(values, shape, strict=False)
    except msgspec.ValidationError as error:
        missing = _MISSING.fullmatch(str(error))
        if missing:
            raise MissingParam(f"Missing required parameter {missing[1]}.") from None
        raise InvalidParam(f"{error}.") from None


def _text(query: bytes) -> str:
    try:
        text = query.decode()
    except UnicodeDecodeError:
        raise InvalidParam("The query is not UTF-8.") from None
    if "\0" in text:
        raise InvalidParam("The query holds a NUL.")
    return text


def _plain(part: str) -> str:
    text = percent_decoded(part, plus=True)
    if text is None:
        raise InvalidParam("The query is not valid percent-encoded UTF-8.")
    return text


def _struct(name: str, fields: list[Field], *, wire: bool = False) -> type[msgspec.Struct]:
    """A type of some fields of another one; with `wire`, by their names on the wire."""
    rename = {field.name: field.wire for field in fields} if wire else None
    return msgspec.defstruct(name, [_definition(field.info) for field in fields], kw_only=True, rename=rename)


def _definition(info: msgspec.structs.FieldInfo) -> tuple[str, Any] | tuple[str, Any, Any]:
    if info.default_factory is not msgspec.NODEFAULT:
        return info.name, info.type, msgspec.field(default_factory=info.default_factory)
    if info.default is not msgspec.NODEFAULT:
        return info.name, info.type, info.default
    return info.name, info.type


def _check_paths(endpoint: Endpoint[Any, Any], outside: list[Field]) -> None:
    """Every parameter of a path has its field, and every required path field is in every path."""
    known = {field.name: field.info.required for field in outside if field.place is In.PATH}
    needed = {name for name, required in known.items() if required}
    for template in endpoint.paths:
        names = {snake(name) for name in TEMPLATE.findall(template)}
        if not needed <= names <= set(known):
            raise TypeError(f"{endpoint.request.__name__} does not fit the path {template}")


_MISSING: Final = re.compile(r"Object missing required field (`[^`]*`)")
