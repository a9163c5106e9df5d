"""The machine-readable half of the Matrix specification, loaded for tests.

What it gives: every operation of the OpenAPI files with its `$ref`s resolved (`operations`), and a check of an answer
against the schema of its operation (`validate_response`), which the typed test client calls for each answer it gets.

The specification is not part of this repository. It is looked for where the environment's `WEFT_SPEC` points, else
in `../shared/spec` beside the repository. Without it `validate_response` checks nothing and `available` is False.

Everything is cached for the life of the process: a file is parsed once, a validator is built once.

https://github.com/matrix-org/matrix-spec/blob/main/openapi_extensions.md
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator, FormatChecker
from jsonschema.exceptions import best_match
from referencing.jsonschema import EMPTY_REGISTRY

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of a path, query string or header."""

    name: str
    where: str
    required: bool
    schema: Json


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One operation: a row of `endpoints.json` joined with its OpenAPI description."""

    api: str
    operation_id: str
    method: str
    path: str
    #: "none", "access_token", "access_token (optional)", "as_token", …
    auth: str
    module: str
    summary: str
    added_in: str | None
    deprecated: bool
    rate_limited: bool
    parameters: tuple[Parameter, ...]
    #: The schema of the JSON body, if it has one.
    body: Json | None
    body_required: bool
    #: Status → schema of the JSON answer; None where the answer is not JSON.
    responses: Mapping[str, Json | None]
    #: Status → the examples given for it.
    examples: Mapping[str, tuple[object, ...]]


def root() -> Path:
    """Where the specification is, or would be."""
    configured = os.environ.get("WEFT_SPEC")
    return Path(configured) if configured else Path(__file__).parents[3] / "shared" / "spec"


@cache
def available() -> bool:
    return (root() / "endpoints.json").is_file()


@cache
def rows() -> tuple[Json, ...]:
    """`endpoints.json` as it is: one row for each operation of the five APIs."""
    loaded: list[Json] = json.loads((root() / "endpoints.json").read_bytes())
    return tuple(loaded)


@cache
def operation(operation_id: str, api: str = "client-server") -> Operation:
    """The operation with its references resolved. KeyError if there is none."""
    return _operation(_row(api, operation_id))


def operations(api: str = "client-server") -> Iterator[Operation]:
    """All operations of one API, in the order of the specification's files."""
    return (operation(row["operationId"], api) for row in rows() if row["api"] == api)


def validate_response(operation_id: str, status: int, body: object, api: str = "client-server") -> None:
    """AssertionError, naming the place, if `body` is not what the specification says `operation_id` answers.

    An operation or a status which the specification doesn't describe is checked for the shape of an error alone.
    """
    if not available():
        return
    validator = _validator(api, operation_id, str(status))
    if validator is None:
        return
    worst = best_match(validator.iter_errors(_as_once(operation_id, body)))
    if worst is not None:
        raise AssertionError(f"{operation_id} {status}: {worst.message} at {worst.json_path} (in {_shorten(body)})")


#: A 401 that has no stages: the Application Service API adds it where a service shows no good token.
_WITHOUT_STAGES = ("M_MISSING_TOKEN", "M_UNKNOWN_TOKEN")
#: Whose schemas still ask for the `origin` that events no longer have.
_WITH_ORIGIN = frozenset({"sendInviteV1", "sendInviteV2"})


def _as_once(operation_id: str, body: Any) -> Any:
    """The body with what the event format has given up since the operation's schema was written."""
    if operation_id == "register" and isinstance(body, dict) and body.get("errcode") in _WITHOUT_STAGES:
        return {"flows": [], **body}
    if operation_id not in _WITH_ORIGIN:
        return body
    if isinstance(body, list):
        return [_as_once(operation_id, one) for one in body]
    if isinstance(body, dict) and isinstance(body.get("event"), dict):
        return {**body, "event": {"origin": "", **body["event"]}}
    return body


# --- Reading ---------------------------------------------------------------------------------------------------------


@cache
def _rows_by_id() -> dict[tuple[str, str], Json]:
    return {(row["api"], row["operationId"]): row for row in rows()}


def _row(api: str, operation_id: str) -> Json:
    return _rows_by_id()[api, operation_id]


@cache
def load(file: Path) -> Any:
    """A YAML or JSON file of the specification; dates stay strings, as they are in JSON."""
    if file.suffix == ".json":
        return json.loads(file.read_bytes())
    return yaml.load(file.read_bytes(), Loader=_Loader)


class _Loader(yaml.CSafeLoader):
    """The safe loader without YAML's dates."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, regexp) for tag, regexp in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.CSafeLoader.yaml_implicit_resolvers.items()
}


def resolve(node: Any, file: Path) -> Any:
    """`node` of `file` with every `$ref` replaced by what it points to. Keys beside a `$ref` win over its target's."""
    if isinstance(node, list):
        return [resolve(item, file) for item in node]
    if not isinstance(node, dict):
        return node
    if not isinstance(node.get("$ref"), str):
        return {key: value if key in _NOT_SCHEMA else resolve(value, file) for key, value in node.items()}
    target = _target(file, node["$ref"])
    beside = {key: resolve(value, file) for key, value in node.items() if key != "$ref"}
    return {**target, **beside} if beside else target


#: Keys whose values are examples: a `$ref` there points to data.
_NOT_SCHEMA = frozenset({"example", "examples"})


def _target(file: Path, reference: str) -> Any:
    name, _, fragment = reference.partition("#")
    return _resolved((file.parent / name).resolve() if name else file, fragment)


@cache
def _resolved(file: Path, fragment: str) -> Any:
    return resolve(_follow(load(file), fragment), file)


def _follow(node: Any, fragment: str) -> Any:
    for step in filter(None, fragment.split("/")):
        node = node[step.replace("~1", "/").replace("~0", "~")]
    return node


def _operation(row: Json) -> Operation:
    file = root() / Path(row["file"]).relative_to("data")
    path_item, described = _find(file, row["operationId"], row["method"])
    body = described.get("requestBody", {})
    answers = {status: _json_content(answer) for status, answer in described["responses"].items()}
    return Operation(
        api=row["api"],
        operation_id=row["operationId"],
        method=row["method"],
        path=row["path"],
        auth=row["auth"],
        module=row["module"],
        summary=row["summary"],
        added_in=row["added_in"],
        deprecated=row["deprecated"],
        rate_limited=row["rate_limited"],
        parameters=tuple(_parameters(path_item, described)),
        body=_json_content(body).get("schema"),
        body_required=bool(body.get("required")),
        responses={status: content.get("schema") for status, content in answers.items()},
        examples={
            status: tuple(_example(example, file) for example in content.get("examples", {}).values())
            for status, content in answers.items()
        },
    )


def _find(file: Path, operation_id: str, method: str) -> tuple[Json, Json]:
    for path_item in load(file)["paths"].values():
        found = path_item.get(method.lower())
        if found is not None and found["operationId"] == operation_id:
            return path_item, resolve(found, file)
    raise KeyError(operation_id)


def _parameters(path_item: Json, described: Json) -> Iterator[Parameter]:
    for parameter in [*path_item.get("parameters", []), *described.get("parameters", [])]:
        required = bool(parameter.get("required"))
        yield Parameter(parameter["name"], parameter["in"], required, parameter.get("schema", {}))


def _json_content(described: Json) -> Json:
    content: Json = described.get("content", {}).get("application/json", {})
    return content


def _example(example: Json, file: Path) -> object:
    """The value of an example, which may be in another file, which may itself extend others."""
    return _example_value(example["value"] if "value" in example and example.keys() <= _EXAMPLE_KEYS else example, file)


_EXAMPLE_KEYS = frozenset({"summary", "description", "value"})


def _example_value(value: object, file: Path) -> object:
    if isinstance(value, list):
        return [_example_value(item, file) for item in value]
    if not isinstance(value, dict):
        return value
    reference = value.get("$ref")
    if not isinstance(reference, str):
        return {key: _example_value(item, file) for key, item in value.items()}
    name, _, fragment = reference.partition("#")
    target = (file.parent / name).resolve() if name else file
    base = _example(_follow(load(target), fragment), target)
    rest = {key: _example_value(item, file) for key, item in value.items() if key != "$ref"}
    return {**base, **rest} if isinstance(base, dict) else base


# --- Checking --------------------------------------------------------------------------------------------------------

_ERROR: Json = {
    "type": "object",
    "required": ["errcode", "error"],
    "properties": {"errcode": {"type": "string", "pattern": "^[A-Z0-9_.]+$"}, "error": {"type": "string"}},
}

_FORMATS = FormatChecker(formats=())


def _format(name: str, pattern: str) -> None:
    whole = re.compile(pattern, re.DOTALL).fullmatch
    _FORMATS.checks(name)(lambda value: not isinstance(value, str) or whole(value) is not None)


for _name, _pattern in {
    "mx-user-id": r"@[^\x00]*:.+",
    "mx-event-id": r"\$.+",
    "mx-room-id": r"!.+",
    "mx-room-alias": r"#[^\x00]*:.+",
    "mx-server-name": r"[^\s/@#!$]+",
    "mx-mxc-uri": r"mxc://[^/]+/[^/]+",
    "mx-unpadded-base64": r"[A-Za-z0-9+/]*",
    "mx-urlsafe-unpadded-base64": r"[A-Za-z0-9_-]*",
    "uri": r"[A-Za-z][A-Za-z0-9+.-]*:.*",
    "email": r"[^@\s]+@[^@\s]+",
}.items():
    _format(_name, _pattern)


@cache
def _validator(api: str, operation_id: str, status: str) -> Draft202012Validator | None:
    """None where the answer isn't JSON."""
    if (api, operation_id) not in _rows_by_id():
        return _compile(_ERROR) if status[0] in "45" else None
    responses = operation(operation_id, api).responses
    schema = responses.get(status, responses.get(f"{status[0]}XX"))
    if status[0] in "45" and status != "401":
        return _compile(_ERROR if schema is None else {"allOf": [_ERROR, schema]})
    return None if schema is None else _compile(_without_slip(schema))


def _without_slip(schema: Json) -> Json:
    """State is "one of" an object and an event: but an event is an object too, so that no event could pass."""
    alternatives = schema.get("oneOf", ())
    return {"anyOf": alternatives} if {"type": "object"} in alternatives else schema


def _compile(schema: Json) -> Draft202012Validator:
    return Draft202012Validator(schema, format_checker=_FORMATS, registry=EMPTY_REGISTRY)


def _shorten(body: object) -> str:
    text = json.dumps(body, ensure_ascii=False)
    return text if len(text) < 400 else text[:400] + "…"
