"""Requests made at random from what an endpoint declares: right ones, nearly right ones, and nothing like it."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, get_args, get_origin, get_type_hints
from urllib.parse import quote

import msgspec

from weft.protocol.api.endpoint import Endpoint, In

#: Strings that have broken servers before.
HOSTILE_STRINGS = (
    "",
    " ",
    ".",
    "..",
    "../../etc/passwd",
    "\x00",
    "a\x00b",
    "\ud800",
    "\U0010ffff",
    "ﷺ" * 50,
    "'; DROP TABLE events; --",
    '"',
    "%",
    "%00",
    "%s%n",
    "\\",
    "{}",
    "[]",
    "null",
    "-1",
    "1e400",
    "9" * 400,
    "x" * 300,
    "x" * 70_000,
    "!:",
    "@:",
    "#:",
    "$",
    "!a:b:c:d",
    "@user:[::1]:8448",
    "@ünï:weft.test",
    "#alias:weft.test",
    "s0.0",
    "s1.99999999999",
    "s9999999.1",
    "t1-1",
    "t0-0-1.1",
    "t99999999999999999999-1-1.1",
    "m.room.member",
    "m.room.create",
    "m.room.power_levels",
    "<script>alert(1)</script>",
    "http://127.0.0.1:1/",
    "mxc://",
)
HOSTILE_VALUES: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    -1,
    1,
    2**31,
    2**53,
    2**63,
    2**64,
    -(2**70),
    0.5,
    1e308,
    float("inf"),
    float("nan"),
    [],
    {},
    [[]],
    [None],
    {"": {}},
    {"a": {"b": {"c": {}}}},
    ["x"] * 2_000,
    {str(n): n for n in range(500)},
)


@dataclass(frozen=True)
class World:
    """What is there, so that a request may be about something real."""

    #: Values that mean something, by the name of the parameter.
    known: Mapping[str, Sequence[str]]
    #: JSON that would be right as it is, by its key in a body.
    samples: Mapping[str, Sequence[Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class Made:
    path: str
    query: dict[str, Any]
    body: bytes | None


class Generator:
    def __init__(self, seed: int, world: World) -> None:
        self.random = random.Random(seed)
        self.world = world

    def request(self, endpoint: Endpoint[Any, Any]) -> Made:
        """One request to an endpoint."""
        wrongness = self.random.choice([0.0, 0.0, 0.1, 0.3])
        path = self.random.choice(endpoint.paths)
        query: dict[str, Any] = {}
        keys: dict[str, Any] = {}
        whole: Any = None
        names = {f.name: f.encode_name for f in msgspec.structs.fields(endpoint.request)}
        required = {f.name for f in msgspec.structs.fields(endpoint.request) if f.required}
        for name, hint in get_type_hints(endpoint.request, include_extras=True).items():
            if name not in names:
                continue
            place, kind = _place(hint)
            wire = names[name]
            if place is In.PATH:
                path = path.replace(f"{{{wire}}}", quote(self._text(wire, wrongness), safe="", errors="surrogatepass"))
            elif (name not in required and self.random.random() < 0.4) or self.random.random() < wrongness / 3:
                continue
            elif place is In.QUERY:
                query[wire] = self._query_value(wire, kind, wrongness)
            elif place is In.BODY:
                whole = self._value(wire, kind, wrongness)
            elif place is None:
                keys[wire] = self._value(wire, kind, wrongness)
        return Made(path, query, self._body(endpoint, keys, whole))

    def _body(self, endpoint: Endpoint[Any, Any], keys: dict[str, Any], whole: Any) -> bytes | None:
        if endpoint.method == "GET":
            return None
        chance = self.random.random()
        if chance < 0.01:
            return b"[" * 100_000
        if chance < 0.02:
            return self.random.randbytes(50)
        if chance < 0.03:
            return b'{"a":' * 5_000 + b"1" + b"}" * 5_000
        if chance < 0.04:
            return b""
        value = keys if whole is None else whole
        if chance < 0.06:
            value = self.random.choice(HOSTILE_VALUES)
        return json.dumps(value, ensure_ascii=self.random.random() < 0.5).encode("utf-8", errors="surrogatepass")

    def _text(self, name: str, wrongness: float) -> str:
        known = self.world.known.get(name)
        if known and self.random.random() >= wrongness:
            return self.random.choice(known)
        if self.random.random() < 0.2:
            return self.random.choice(self.random.choice(list(self.world.known.values())))
        return self.random.choice(HOSTILE_STRINGS)[:2_000]

    def _query_value(self, name: str, kind: Any, wrongness: float) -> Any:
        value = self._value(name, kind, wrongness)
        value = json.dumps(value) if isinstance(value, dict | list) else value
        return value.encode("utf-8", "replace").decode() if isinstance(value, str) else value

    def _value(self, name: str, kind: Any, wrongness: float, depth: int = 0) -> Any:
        if self.random.random() < wrongness:
            return self.random.choice([self.random.choice(HOSTILE_VALUES), self.random.choice(HOSTILE_STRINGS)])
        samples = self.world.samples.get(name)
        if samples and self.random.random() < 0.7:
            sample = copy.deepcopy(self.random.choice(samples))
            if isinstance(sample, dict) and self.random.random() < wrongness * 2:
                self.spoil(sample)
            return sample
        return self._of_type(name, msgspec.inspect.type_info(kind), wrongness, depth)

    def spoil(self, value: dict[str, Any]) -> None:
        """Changes something at some depth."""
        key = self.random.choice([*value, self.random.choice(HOSTILE_STRINGS[:12])])
        inner = value.get(key)
        chance = self.random.random()
        if isinstance(inner, dict) and inner and chance < 0.6:
            self.spoil(inner)
        elif isinstance(inner, list) and inner and chance < 0.4:
            value[key] = inner * self.random.choice([2, 30])
        elif chance < 0.5:
            value.pop(key, None)
        else:
            value[key] = self.random.choice([self.random.choice(HOSTILE_VALUES), self.random.choice(HOSTILE_STRINGS)])

    def _of_type(self, name: str, info: Any, wrongness: float, depth: int) -> Any:
        inspect = msgspec.inspect
        choose = self.random.choice
        if isinstance(info, inspect.UnionType):
            return self._of_type(name, choose(info.types), wrongness, depth)
        if isinstance(info, inspect.LiteralType):
            return choose(info.values)
        if isinstance(info, inspect.StrType):
            known = self.world.known.get(name)
            return choose(known) if known and self.random.random() < 0.8 else choose(HOSTILE_STRINGS)[:2_000]
        if isinstance(info, inspect.BoolType):
            return choose([True, False])
        if isinstance(info, inspect.IntType):
            return choose([0, 1, 5, 100, 10_000, 1_700_000_000_000, 2**53 - 1])
        if isinstance(info, inspect.FloatType):
            return choose([0, 0.25, 1.0])
        if isinstance(info, inspect.ListType | inspect.VarTupleType | inspect.SetType):
            count = self.random.randrange(3)
            return [self._of_type(name, info.item_type, wrongness, depth + 1) for _ in range(count)]
        if isinstance(info, inspect.DictType):
            return {
                choose(self._keys(name)): self._of_type(name, info.value_type, wrongness, depth + 1)
                for _ in range(self.random.randrange(3))
            }
        if isinstance(info, inspect.StructType):
            return self._struct(info, wrongness, depth)
        if isinstance(info, inspect.CustomType | inspect.RawType | inspect.AnyType):
            return self._anything(depth)
        return None

    def _struct(self, info: Any, wrongness: float, depth: int) -> dict[str, Any]:
        made: dict[str, Any] = {}
        for member in info.fields:
            if member.required or (depth < 4 and self.random.random() < 0.5):
                if self.random.random() < wrongness:
                    made[member.encode_name] = self.random.choice(HOSTILE_VALUES)
                else:
                    made[member.encode_name] = self._of_type(member.encode_name, member.type, wrongness, depth + 1)
        return made

    def _keys(self, name: str) -> Sequence[str]:
        return [*self.world.known.get(name, ()), "key", *HOSTILE_STRINGS[:12]]

    def _anything(self, depth: int) -> Any:
        chance = self.random.random()
        if chance < 0.4 or depth > 4:
            return self.random.choice(HOSTILE_VALUES)
        if chance < 0.7:
            return self.random.choice(HOSTILE_STRINGS)
        names = (
            "body",
            "msgtype",
            "membership",
            "users",
            "m.relates_to",
            "event_id",
            "rel_type",
            "name",
            "alias",
            "tags",
        )
        return {self.random.choice(names): self._anything(depth + 1) for _ in range(self.random.randrange(4))}


def _place(hint: Any) -> tuple[In | None, Any]:
    """Where a field travels, and its type."""
    if get_origin(hint) is Annotated:
        inner, *notes = get_args(hint)
        for note in notes:
            if isinstance(note, In):
                return note, inner
    return None, hint
