"""The endpoints that Weft declares are those of the specification: path, method, authentication, every field.

Where Weft differs on purpose a table below says why; a table's row that is no longer needed fails too.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, cast, get_type_hints

import msgspec
import pytest
from msgspec import inspect
from tests.spec import openapi

from weft.protocol.api import application_service, client, federation, identity, push_gateway, synapse_admin
from weft.protocol.api.client import account, login, push_rules, rendezvous, sync, thread_subscriptions
from weft.protocol.api.declared import ANSWERED, ASKED
from weft.protocol.api.endpoint import Api, Auth, Empty, Endpoint, In, Raw
from weft.protocol.api.rate_limits import RATE_LIMITS

AnyEndpoint = Endpoint[Any, Any]

needs_spec = pytest.mark.skipif(
    not openapi.available(), reason="the specification's files are not here (WEFT_SPEC names their folder)"
)

#: Single operations that are not declared under their own name.
NOT_DECLARED = {
    "peekEvents": "the same route as getEvents, told apart by its room_id",
    "inviteBy3PID": "the same route as inviteUser, told apart by its medium and address",
    "federation.getWellKnown": "getWellknownServer, beside the client's documents",
    "federation.queryInfo": "each kind of query is an operation of its own",
}

#: Endpoints that their API's OpenAPI files don't describe, and where they come from.
NOT_IN_OPENAPI = {
    "getWellknownServer": "getWellknown of the Server-Server API, whose name is taken by the client's",
    "getAuthFallback": "Client-Server API, 'Fallback' of user-interactive authentication",
    "postAuthFallback": "Client-Server API, 'Fallback' of user-interactive authentication",
    "getLoginFallback": "Client-Server API, 'Login Fallback'",
    "federation.sendJoinV1": "Server-Server API before v1.19, which dropped it",
    "federation.sendLeaveV1": "Server-Server API before v1.19, which dropped it",
    "federation.onBindThirdPartyIdentifierByPost": "what identity servers in use send in place of PUT",
    "getReports": "Weft's own",
    "showEmailConfirmation": "Weft's own: where the links in its e-mails lead",
    "confirmEmail": "Weft's own: where the links in its e-mails lead",
    "submitMsisdnToken": "Weft's own: the submit_url of codes in text messages",
    "beginSingleSignOn": "Weft's own: from its pages to a provider",
    "finishSingleSignOn": "Weft's own: where providers send people back",
    "continueSingleSignOn": "Weft's own: the forms that follow",
    "putDehydratedDevice": "MSC3814, which Element uses",
    "getDehydratedDevice": "MSC3814, which Element uses",
    "deleteDehydratedDevice": "MSC3814, which Element uses",
    "dehydratedDeviceEvents": "MSC3814, which Element uses",
    "getRtcTransports": "MSC4143, by which Element Call finds where calls are carried",
    "getLivekitToken": "MSC4195, as lk-jwt-service has it",
    "getLegacyLivekitToken": "MSC4195, as lk-jwt-service has it",
    "getDelayedEvents": "MSC4140, which Element Call uses",
    "updateDelayedEvent": "MSC4140, which Element Call uses",
    "updateDelayedEventByPath": "MSC4140, which Element Call uses",
    "getOpenidConfiguration": "OpenID Connect Discovery and RFC 8414, by which clients of that making find the same",
    "getAuthIssuer": "MSC2965 before it had /auth_metadata",
    "registerOauthClient": "OAuth 2.0 API, 'Client registration'",
    "showAuthorization": "OAuth 2.0 API, 'Authorisation code flow'",
    "decideAuthorization": "OAuth 2.0 API, 'Authorisation code flow'",
    "getOauthToken": "OAuth 2.0 API, 'Grant types'",
    "revokeOauthToken": "OAuth 2.0 API, 'Token revocation'",
    "getOauthKeys": "OpenID Connect, the keys of ID tokens",
    "authorizeDevice": "OAuth 2.0 API, 'Device authorisation flow'",
    "showLink": "OAuth 2.0 API, 'Device authorisation flow'",
    "decideLink": "OAuth 2.0 API, 'Device authorisation flow'",
    "showAccount": "OAuth 2.0 API, 'Account management'",
    "changeAccount": "OAuth 2.0 API, 'Account management'",
    **dict.fromkeys(
        [one.name for one in rendezvous.ENDPOINTS], "MSC4388 and MSC4108, by which clients sign each other in"
    ),
    "slidingSync": "MSC4186, by which Element X syncs",
    "drawRoom": "Weft's own",
    "compareRoom": "Weft's own",
}

NOT_IN_OPENAPI |= dict.fromkeys(
    [one.name for one in thread_subscriptions.ENDPOINTS], "MSC4306 and MSC4308, which are not merged"
)
NOT_IN_OPENAPI |= dict.fromkeys([one.name for one in synapse_admin.ENDPOINTS], "Synapse's administration API")

#: Fields whose being required is not what OpenAPI says.
REQUIRED_DIFFERS = {
    ("inviteUser", "user_id"): "inviteBy3PID, the same route, names an address instead",
    ("getRoomEvents", "dir"): "clients leave it out, and every server lets them",
    ("setRoomStateWithKey", "stateKey"): "a path without it means the empty state key",
    ("getRoomStateWithKey", "stateKey"): "a path without it means the empty state key",
    ("application_service.queryLocationByAlias", "alias"): "we always send it",
    ("application_service.queryUserByID", "userid"): "we always send it",
    ("federation.sendTransaction", "origin"): "the signature says it; we always send it",
    ("federation.sendTransaction", "origin_server_ts"): "nothing depends on it; we always send it",
    ("federation.sendTransaction", "pdus"): "none is as good as an empty list; we always send it",
}

#: Request fields that OpenAPI doesn't have.
MORE_FIELDS = {
    ("register", "type"): "how an application service registers a user (Application Service API)",
    ("register", "guest_access_token"): "how a guest gets a full account (Guest Access)",
    ("inviteUser", "id_server"): "inviteBy3PID, the same route",
    ("inviteUser", "id_access_token"): "inviteBy3PID, the same route",
    ("inviteUser", "medium"): "inviteBy3PID, the same route",
    ("inviteUser", "address"): "inviteBy3PID, the same route",
    ("joinRoom", "server_name"): "via, before v1.12",
    ("knockRoom", "server_name"): "via, before v1.12",
    ("sendMessage", "org.matrix.msc4140.delay"): "MSC4140, which Element Call uses",
    ("setRoomStateWithKey", "org.matrix.msc4140.delay"): "MSC4140, which Element Call uses",
    ("sendMessage", "org.matrix.msc4354.sticky_duration_ms"): "MSC4354, by which calls say who takes part",
    ("setRoomStateWithKey", "org.matrix.msc4354.sticky_duration_ms"): "MSC4354, the same",
    ("sendMessage", "ts"): "timestamp massaging (Application Service API)",
    ("setRoomStateWithKey", "ts"): "timestamp massaging (Application Service API)",
    ("redactEvent", "ts"): "timestamp massaging (Application Service API)",
    ("getMutualRooms", "batch_token"): "from, while it was unstable",
    ("reportEvent", "score"): "dropped in v1.19, still sent",
    ("sync", "org.matrix.msc4222.use_state_after"): "use_state_after, while it was unstable",
    ("getEvents", "room_id"): "peekEvents, the same route",
    ("roomInitialSync", "limit"): "how many messages to give; every server has it",
    ("federation.getServerKey", "keyId"): "old servers name the key that they look for",
    ("federation.perspectivesKeyQuery", "keyId"): "old servers name the key that they look for",
}

#: Fields of requests that are not what OpenAPI says.
FIELDS_DIFFER = {
    ("post3PIDs", "three_pid_creds"): "the session is this server's: what is for identity servers may be left out",
    ("postRoomKeysVersion", "algorithm"): "any: the server does not look into backups",
    ("putRoomKeysVersion", "algorithm"): "any: the server does not look into backups",
    ("putRoomKeysVersion", "version"): "in the path and in the body; the handler looks at the body's",
    **{
        (name, "kind"): "MSC4306 has one more kind of push rules" for name in [one.name for one in push_rules.ENDPOINTS]
    },
}

#: Requests whose body is taken whole, though OpenAPI names keys in it.
WHOLE_BODY = {
    "defineFilter": "kept as it came, with keys we don't know; weft.protocol.filters checks it",
    "setRoomTag": "kept as it came, with keys we don't know",
    "federation.sendJoinV2": "an event: its room's version says what it looks like",
    "federation.sendKnock": "an event: its room's version says what it looks like",
    "federation.sendLeaveV2": "an event: its room's version says what it looks like",
    "federation.sendInviteV1": "an event: its room's version says what it looks like",
    "federation.exchangeThirdPartyInvite": "a template of an event",
}

#: Answers that are given whole, though OpenAPI names keys in them.
WHOLE_ANSWER = {
    "getFilter": "what was stored",
    "getUserProfile": "free-form",
    "getUrlPreview": "whatever a page says of itself",
    "getUrlPreviewAuthed": "whatever a page says of itself",
    "getWellknown": "operators add keys of other projects",
    "getOneRoomEvent": "an event, spliced as bytes",
    "getOneEvent": "an event, spliced as bytes",
    "federation.getServerKey": "signed, so it stays as it is",
    "federation.queryProfile": "free-form",
}

ENDPOINTS: tuple[AnyEndpoint, ...] = (*ANSWERED, *ASKED)
DECLARED: dict[str, AnyEndpoint] = {endpoint.name: endpoint for endpoint in ENDPOINTS}
IN_OPENAPI = [endpoint for endpoint in ENDPOINTS if endpoint.name not in NOT_IN_OPENAPI]

all_endpoints = pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda endpoint: endpoint.name)
specified = pytest.mark.parametrize("endpoint", IN_OPENAPI, ids=lambda endpoint: endpoint.name)


# --- The whole -------------------------------------------------------------------------------------------------------


@needs_spec
def test_every_operation_is_declared() -> None:
    prefixes = {
        "client-server": "",
        "server-server": "federation.",
        "application-service": "application_service.",
        "push-gateway": "push_gateway.",
    }
    expected = {prefixes[row["api"]] + row["operationId"] for row in openapi.rows() if row["api"] in prefixes}
    # Of the Identity Service API, what is used: each is compared below.
    declared = {name for name, endpoint in DECLARED.items() if endpoint.api is not Api.IDENTITY}
    assert declared == (expected - NOT_DECLARED.keys()) | NOT_IN_OPENAPI.keys()
    assert NOT_DECLARED.keys() <= expected


def test_each_operation_is_declared_once() -> None:
    assert len(DECLARED) == len(ENDPOINTS)
    routes = [(one.method, re.sub(r"{\w+}", "{}", path)) for one in ENDPOINTS for path in one.paths]
    assert sorted(routes) == sorted(set(routes))


def test_an_endpoint_is_named_after_its_operation() -> None:
    apis = (client, federation, synapse_admin, application_service, identity, push_gateway)
    for module in [module for api in apis for module in vars(api).values()]:
        for name, value in vars(module).items() if hasattr(module, "ENDPOINTS") else ():
            if isinstance(value, Endpoint):
                assert name == re.sub(r"(?<=[a-z])(?=[A-Z])", "_", value.operation_id).upper()
                assert value in module.ENDPOINTS


# --- Each endpoint ---------------------------------------------------------------------------------------------------


@all_endpoints
def test_its_paths_name_its_path_fields(endpoint: AnyEndpoint) -> None:
    fields = fields_in(endpoint, In.PATH)
    required = {name for name, field in fields.items() if field.required}
    for path in endpoint.paths:
        names = re.findall(r"{(\w+)}", path)
        assert required <= set(names) <= set(fields), path
        assert len(names) == len(set(names)), path


@all_endpoints
def test_its_rate_limit_is_in_the_table(endpoint: AnyEndpoint) -> None:
    assert endpoint.rate_limit is None or endpoint.rate_limit in RATE_LIMITS


def test_every_rate_limit_is_used() -> None:
    assert {endpoint.rate_limit for endpoint in ENDPOINTS} - {None} == set(RATE_LIMITS)
    for limit in RATE_LIMITS.values():
        assert limit.per_second > 0
        assert limit.burst >= 1


@all_endpoints
def test_a_get_has_no_body(endpoint: AnyEndpoint) -> None:
    if endpoint.method == "GET":
        assert not fields_in(endpoint, None)
        assert not fields_in(endpoint, In.BODY)


@all_endpoints
def test_a_body_is_whole_or_made_of_keys(endpoint: AnyEndpoint) -> None:
    whole = len(fields_in(endpoint, In.BODY))
    assert whole + bool(fields_in(endpoint, None)) <= 1


@needs_spec
@specified
def test_its_route_is_the_specifications(endpoint: AnyEndpoint) -> None:
    operation = operation_of(endpoint)
    assert (endpoint.method, endpoint.path) == (operation.method, operation.path)
    assert endpoint.deprecated == operation.deprecated
    if operation.rate_limited:
        assert endpoint.rate_limit is not None


@needs_spec
@specified
def test_its_authentication_is_the_specifications(endpoint: AnyEndpoint) -> None:
    kinds = {
        Auth.NONE: "none",
        Auth.OPTIONAL: "access_token (optional)",
        Auth.SERVER: "federation signature (X-Matrix)",
        Auth.HS_TOKEN: "hs_token",
        Auth.APPLICATION_SERVICE: "as_token",
    }
    assert kinds.get(endpoint.auth, "access_token") == operation_of(endpoint).auth


@needs_spec
@specified
def test_its_parameters_are_the_specifications(endpoint: AnyEndpoint) -> None:
    operation = operation_of(endpoint)
    problems: list[str] = []
    for where in (In.PATH, In.QUERY):
        fields = fields_in(endpoint, where)
        expected = {one.name: one for one in operation.parameters if one.where == where.value}
        problems += [f"{name} is missing" for name in expected.keys() - fields.keys()]
        problems += unjustified(endpoint, fields.keys() - expected.keys())
        for name in expected.keys() & fields.keys():
            problems += compare_required(endpoint, fields[name], expected[name].required)
            if (endpoint.name, name) not in FIELDS_DIFFER:
                problems += compare(expected[name].schema, fields[name].type, name, strict=True)
    assert not problems


@needs_spec
@specified
def test_its_body_is_the_specifications(endpoint: AnyEndpoint) -> None:
    schema = operation_of(endpoint).body
    fields = fields_in(endpoint, None)
    if fields_in(endpoint, In.BODY):
        assert schema is not None
        assert bool(properties(schema)[0]) == (endpoint.name in WHOLE_BODY)
        return
    expected, required = properties(schema or {})
    for of in (fields, expected):
        for name in [name for name in of if (endpoint.name, name) in FIELDS_DIFFER]:
            del of[name]
    problems = [f"{name} is missing" for name in expected.keys() - fields.keys()]
    problems += unjustified(endpoint, fields.keys() - expected.keys())
    for name in expected.keys() & fields.keys():
        problems += compare_required(endpoint, fields[name], name in required)
        problems += compare(expected[name], fields[name].type, name, strict=True)
    assert not problems


@needs_spec
@specified
def test_its_answer_is_the_specifications(endpoint: AnyEndpoint) -> None:
    schema = operation_of(endpoint).responses[success_of(endpoint)]
    if endpoint.response is Raw:
        assert schema is None, "bytes are declared where JSON is specified"
        return
    assert schema is not None
    answer = inspect.type_info(endpoint.response)
    if isinstance(answer, inspect.RawType | inspect.DictType):
        assert bool(properties(schema)[0]) == (endpoint.name in WHOLE_ANSWER)
        return
    assert not list(compare(schema, answer, "answer", strict=False))


@needs_spec
@specified
def test_its_answer_holds_the_specifications_examples(endpoint: AnyEndpoint) -> None:
    """What the type reads it writes again, and what it writes is what the schema allows."""
    operation = operation_of(endpoint)
    for example in operation.examples[success_of(endpoint)]:
        read = msgspec.json.decode(json.dumps(example), type=endpoint.response)
        written = json.loads(msgspec.json.encode(read))
        openapi.validate_response(endpoint.operation_id, 200, written, endpoint.api.value)
        if isinstance(example, dict):
            assert {key for key, value in example.items() if value not in ({}, [], False)} <= written.keys()


def test_tables_name_what_there_is() -> None:
    names = {
        *WHOLE_BODY,
        *WHOLE_ANSWER,
        *NOT_IN_OPENAPI,
        *(operation for operation, _ in (*REQUIRED_DIFFERS, *MORE_FIELDS)),
    }
    assert names <= DECLARED.keys()
    for operation_id, name in (*REQUIRED_DIFFERS, *MORE_FIELDS):
        assert name in {field.encode_name for field in struct_fields(DECLARED[operation_id].request)}


# --- The comparison itself notices -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("schema", "of", "problem"),
    [
        ({"properties": {"a": {}}}, Empty, "answer.a is missing"),
        (
            {"properties": {"flows": {"type": "array"}}},
            login.GetLoginFlowsResponse,
            None,
        ),
        (
            {"properties": {"flows": {"type": "string"}}},
            login.GetLoginFlowsResponse,
            "answer.flows: array is not a string",
        ),
        (
            {"properties": {"device_id": {"type": "string"}}, "required": ["device_id"]},
            account.GetTokenOwnerResponse,
            "answer.device_id must always be sent",
        ),
        (
            {"properties": {"rooms": {"properties": {"join": {"patternProperties": {"^!": {"type": "string"}}}}}}},
            sync.SyncResponse,
            "answer.rooms.join.*: object is not a string",
        ),
        (
            {"allOf": [{"properties": {"user_id": {"type": "string"}}}, {"properties": {"x": {}}}]},
            account.GetTokenOwnerResponse,
            "answer.x is missing",
        ),
    ],
)
def test_the_comparison_finds_differences(schema: openapi.Json, of: type, problem: str | None) -> None:
    assert list(compare(schema, inspect.type_info(of), "answer", strict=False)) == ([problem] if problem else [])


# --- Comparing -------------------------------------------------------------------------------------------------------


def operation_of(endpoint: AnyEndpoint) -> openapi.Operation:
    return openapi.operation(endpoint.operation_id, endpoint.api.value)


def success_of(endpoint: AnyEndpoint) -> str:
    """The status of an answer that is none of an error: browsers are redirected by some."""
    return "200" if "200" in operation_of(endpoint).responses else "302"


def struct_fields(struct: type[msgspec.Struct]) -> tuple[inspect.Field, ...]:
    return cast("inspect.StructType", inspect.type_info(struct)).fields


def fields_in(endpoint: AnyEndpoint, where: In | None) -> dict[str, inspect.Field]:
    """The request's fields that travel in one place, by name on the wire; None: keys of the JSON body."""
    hints = get_type_hints(endpoint.request, include_extras=True)
    places = {
        name: next((m for m in getattr(hint, "__metadata__", ()) if isinstance(m, In)), None)
        for name, hint in hints.items()
    }
    return {field.encode_name: field for field in struct_fields(endpoint.request) if places[field.name] is where}


def unjustified(endpoint: AnyEndpoint, names: set[str]) -> Iterator[str]:
    for name in names:
        if (endpoint.name, name) not in MORE_FIELDS:
            yield f"{name} is not in OpenAPI"


def compare_required(endpoint: AnyEndpoint, field: inspect.Field, required: bool) -> Iterator[str]:
    differs = field.required != required
    if differs != ((endpoint.name, field.encode_name) in REQUIRED_DIFFERS):
        yield f"{field.encode_name}: required is {field.required}"


def compare(schema: openapi.Json, ours: inspect.Type, where: str, *, strict: bool) -> Iterator[str]:
    """What in our type is not what the schema says; `strict` (requests): both limit the same values."""
    ours = unwrap(ours)
    kind = KINDS.get(type(ours))
    if kind is None:
        return
    types = schema_types(schema)
    if types and not types & {kind, "number" if kind == "integer" else kind}:
        yield f"{where}: {kind} is not a {'|'.join(sorted(types))}"
    elif isinstance(ours, inspect.StructType):
        yield from compare_struct(schema, ours, where, strict=strict)
    elif isinstance(ours, inspect.ListType):
        yield from compare(schema.get("items", {}), ours.item_type, f"{where}[]", strict=strict)
    elif isinstance(ours, inspect.DictType):
        for value in values(schema):
            yield from compare(value, ours.value_type, f"{where}.*", strict=strict)
    elif isinstance(ours, inspect.LiteralType):
        if set(ours.values) != set(schema.get("enum", ours.values)):
            yield f"{where}: {ours.values} is not {schema['enum']}"
    elif strict and "enum" in schema:
        yield f"{where}: any {kind} is accepted"


def compare_struct(schema: openapi.Json, ours: inspect.StructType, where: str, *, strict: bool) -> Iterator[str]:
    expected, required = properties(schema)
    fields = {field.encode_name: field for field in ours.fields}
    for name, value in expected.items():
        if name not in fields:
            yield f"{where}.{name} is missing"
            continue
        if name in required and not fields[name].required and ours.cls.__struct_config__.omit_defaults:
            yield f"{where}.{name} must always be sent"
        yield from compare(value, fields[name].type, f"{where}.{name}", strict=strict)


KINDS: dict[type[inspect.Type], str] = {
    inspect.StructType: "object",
    inspect.DictType: "object",
    inspect.ListType: "array",
    inspect.StrType: "string",
    inspect.LiteralType: "string",
    inspect.IntType: "integer",
    inspect.FloatType: "number",
    inspect.BoolType: "boolean",
}


def unwrap(ours: inspect.Type) -> inspect.Type:
    """Without metadata, and without the null that stands for absent."""
    if isinstance(ours, inspect.Metadata):
        return unwrap(ours.type)
    if isinstance(ours, inspect.UnionType):
        others = [one for one in ours.types if not isinstance(one, inspect.NoneType)]
        return unwrap(others[0]) if len(others) == 1 else ours
    return ours


def schema_types(schema: openapi.Json) -> set[str]:
    named = schema.get("type", [])
    found = {named} if isinstance(named, str) else set(named)
    return found.union(*(schema_types(part) for key in ("allOf", "oneOf", "anyOf") for part in schema.get(key, [])))


def properties(schema: openapi.Json) -> tuple[dict[str, openapi.Json], set[str]]:
    """What a schema and its parts name, and what of it must be there."""
    names: dict[str, openapi.Json] = {}
    required = set(schema.get("required", []))
    for part in schema.get("allOf", []):
        of_part, required_of_part = properties(part)
        names |= of_part
        required |= required_of_part
    own = {name: value for name, value in schema.get("properties", {}).items() if name not in names or "type" in value}
    return names | own, required


def values(schema: openapi.Json) -> Iterator[openapi.Json]:
    """The schemas of the values of a map."""
    yield from schema.get("patternProperties", {}).values()
    more = schema.get("additionalProperties")
    if isinstance(more, dict):
        yield more
