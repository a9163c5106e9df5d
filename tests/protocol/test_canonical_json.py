"""Canonical JSON: the specification's vectors, the strict and the lax dialect, and hostile documents."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from weft.protocol import canonical_json
from weft.protocol.errors import BadJson, NotJson

VECTORS = json.loads((Path(__file__).parent.parent / "vectors" / "canonical_json.json").read_text())["cases"]
LIMIT = canonical_json.MAX_INTEGER

text = st.text(st.characters(exclude_categories=["Cs"]))
integers = st.integers(-LIMIT, LIMIT)


def trees(leaves: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.recursive(leaves, lambda inner: st.lists(inner) | st.dictionaries(text, inner), max_leaves=20)


def reference(value: Any) -> bytes:
    """The definition that the appendices give."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True).encode()


@pytest.mark.parametrize("case", VECTORS, ids=lambda case: case["canonical"][:30])
def test_vectors_of_the_specification(case: dict[str, Any]) -> None:
    canonical = case["canonical"].encode()
    assert canonical_json.encode_lax(canonical_json.decode_lax(case["input"])) == canonical
    if case.get("lax_only"):
        with pytest.raises(BadJson):
            canonical_json.decode(case["input"])
    else:
        assert canonical_json.encode(canonical_json.decode(case["input"])) == canonical


@given(trees(st.none() | st.booleans() | integers | text))
def test_strict_form_is_the_reference_form_and_reads_back(value: Any) -> None:
    data = canonical_json.encode(value)
    assert data == reference(value) == canonical_json.encode_checked(value)
    assert canonical_json.decode(data) == value
    canonical_json.check(value)


@given(trees(st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | text))
def test_lax_form_is_the_reference_form_and_reads_back(value: Any) -> None:
    data = canonical_json.encode_lax(value)
    assert data == reference(value)
    assert canonical_json.decode_lax(data) == value
    assert canonical_json.encode_lax(canonical_json.decode_lax(data)) == data
    canonical_json.check_lax(value)


@given(st.binary(max_size=60) | st.text(alphabet='{}[]",:0123456789.eE-+ \\ud8aftnrls').map(str.encode))
def test_hostile_bytes_are_read_or_refused(data: bytes) -> None:
    for read, write in (
        (canonical_json.decode, canonical_json.encode),
        (canonical_json.decode_lax, canonical_json.encode_lax),
    ):
        try:
            value = read(data)
        except (NotJson, BadJson):
            continue
        assert read(write(value)) == value


def test_keys_are_sorted_by_code_point() -> None:
    keys = ["\U00010000", "\ue000", "é", "z", "a", "", "A", "\x7f", "\x1f"]
    assert list(orjson.loads(canonical_json.encode(dict.fromkeys(keys)))) == sorted(keys)


def test_escapes_are_the_shortest() -> None:
    assert canonical_json.encode('\x00\b\t\n\x0b\f\r\x1f"\\/\x7f\u2028é') == (
        b'"\\u0000\\b\\t\\n\\u000b\\f\\r\\u001f\\"\\\\/\x7f' + "\u2028é".encode() + b'"'
    )


@pytest.mark.parametrize("value", [LIMIT + 1, -LIMIT - 1, 2**64, 1.5, 1.0, -0.0, 1e300])
def test_numbers_that_only_the_lax_dialect_takes(value: float) -> None:
    for wrapped in (value, [value], {"a": {"b": [0, value]}}):
        with pytest.raises(BadJson):
            canonical_json.encode(wrapped)
        with pytest.raises(BadJson):
            canonical_json.check(wrapped)
        with pytest.raises(BadJson):
            canonical_json.decode(reference(wrapped))
        canonical_json.check_lax(wrapped)
        assert canonical_json.encode_lax(wrapped) == reference(wrapped)
        assert canonical_json.decode_lax(reference(wrapped)) == wrapped


@pytest.mark.parametrize("value", [LIMIT, -LIMIT, 0])
def test_the_ends_of_the_range_are_inside(value: int) -> None:
    assert canonical_json.decode(canonical_json.encode([value])) == [value]


@pytest.mark.parametrize(
    "value",
    [
        float("nan"),
        float("inf"),
        -float("inf"),
        "\ud800",
        "a\udfffb",
        {"\ud800": 1},
        {1: 2},
        {None: 1},
        {"a": {b"b": 1}},
        {"a": {"c"}},
        (1, 2),
        b"bytes",
        frozenset(),
    ],
    ids=repr,
)
def test_values_without_any_form(value: Any) -> None:
    for function in (
        canonical_json.encode,
        canonical_json.encode_lax,
        canonical_json.check,
        canonical_json.check_lax,
    ):
        with pytest.raises(BadJson):
            function([value])
        with pytest.raises(BadJson):
            function([2**70, 0.5, value])


@pytest.mark.parametrize("value", ["\ud800", {"\ud800": 1}, {1: 2}, frozenset()], ids=repr)
def test_the_trusting_encoder_still_refuses_what_it_meets(value: Any) -> None:
    with pytest.raises(BadJson):
        canonical_json.encode_checked(value)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[1,]",
        b"NaN",
        b"[Infinity]",
        b'"\\ud800"',
        b'"\xed\xa0\x80"',
        b"\xff",
        b"[01]",
        b"'a'",
        b'"\x00"',
        b"[1e999]",
        b"\xef\xbb\xbf1",
        b"[" * 5000 + b"]" * 5000,
    ],
)
def test_documents_that_are_not_json(data: bytes) -> None:
    for read in (canonical_json.decode, canonical_json.decode_lax):
        with pytest.raises(NotJson):
            read(data)


@pytest.mark.parametrize("data", [b"[" + b"9" * 1001 + b"]", b"[" + b"9" * 400 + b"]", b"[1.5, " + b"9" * 5000 + b"]"])
def test_endless_numbers_are_bounded(data: bytes) -> None:
    with pytest.raises((BadJson, NotJson)):
        canonical_json.decode(data)
    if len(data) > 1000:
        with pytest.raises((BadJson, NotJson)):
            canonical_json.decode_lax(data)


def test_a_long_integer_reads_exactly() -> None:
    assert canonical_json.decode_lax(b"[" + b"9" * 300 + b"]") == [int("9" * 300)]


def test_encoding_an_endless_number_is_refused() -> None:
    with pytest.raises(BadJson):
        canonical_json.encode_lax([10**5000])


@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
def test_depth_is_limited(opening: bytes) -> None:
    closing = b"]" if opening == b"[" else b"}"

    def nested(depth: int) -> bytes:
        return opening * depth + b"1" + closing * depth

    deepest = canonical_json.decode(nested(canonical_json.MAX_DEPTH))
    assert canonical_json.encode(deepest) == nested(canonical_json.MAX_DEPTH)
    too_deep = nested(canonical_json.MAX_DEPTH + 1)
    for read in (canonical_json.decode, canonical_json.decode_lax):
        with pytest.raises(BadJson):
            read(too_deep)
    for take in (canonical_json.encode, canonical_json.encode_lax, canonical_json.check):
        with pytest.raises(BadJson):
            take(orjson.loads(too_deep))


def test_the_last_of_duplicate_keys_counts() -> None:
    assert canonical_json.decode(b'{"a":1,"a":2}') == {"a": 2}
    assert canonical_json.decode_lax(b'{"a":1,"a":2.5}') == {"a": 2.5}


def test_fragments_are_spliced() -> None:
    assert canonical_json.encode_checked({"b": orjson.Fragment(b'{"x":1}'), "a": 1}) == b'{"a":1,"b":{"x":1}}'


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ('{"b": 1, "a": "\\u00e9"}', '{"a":"é","b":1}'),
        ('{"b": 12345678901234567890123, "a": 1.50}', '{"a":1.5,"b":12345678901234567890123}'),
        ('[1e2, -0, "\\/"]', '[100,0,"/"]'),
        ('{"a":1,"a":2}', '{"a":2}'),
    ],
)
def test_a_text_is_made_canonical_in_one_go(text: str, canonical: str) -> None:
    assert canonical_json.canonical_lax(text) == canonical.encode()
    assert canonical_json.encode_lax(canonical_json.decode_lax(text)) == canonical.encode()


@pytest.mark.parametrize("text", ["", "{", "[1e999]", '"\\ud800"', "[" * 300 + "]" * 300])
def test_a_text_without_a_canonical_form(text: str) -> None:
    with pytest.raises((NotJson, BadJson)):
        canonical_json.canonical_lax(text)
