"""Signed JSON: the specification's vectors, what a signature covers, and base64 in all its spellings."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weft.protocol import canonical_json, signatures
from weft.protocol.errors import BadJson, InvalidParam, PeerError
from weft.protocol.signatures import SigningKey, VerifyKey

VECTORS = json.loads((Path(__file__).parent.parent / "vectors" / "signed_json.json").read_text())
KEY = SigningKey.from_base64(VECTORS["key_id"], VECTORS["seed"])
NAME = VECTORS["server_name"]
OTHER = SigningKey("ed25519:other", bytes(32))


@pytest.mark.parametrize("case", VECTORS["json"], ids=lambda case: str(case["input"]))
def test_vectors_of_the_specification(case: dict[str, Any]) -> None:
    signed = signatures.sign_json(case["input"], NAME, KEY)
    assert signed == case["signed"]
    signatures.verify_json(signed, NAME, KEY.verify_key)


def test_event_vectors_whose_whole_content_is_signed() -> None:
    """The first event is minimal, so that redaction changes nothing and signing JSON is signing the event."""
    case = VECTORS["events"][0]
    event = case["input"]
    hashed = {key: value for key, value in event.items() if key not in ("hashes", "signatures", "unsigned")}
    digest = signatures.sha256_base64(canonical_json.encode(hashed))
    assert signatures.sign_json({**event, "hashes": {"sha256": digest}}, NAME, KEY) == case["signed"]


def test_the_example_object_of_the_appendices_keeps_what_is_not_covered() -> None:
    signed = signatures.sign_json({"name": "x", "unsigned": {"age": 1}, "signatures": {"a": {"b:c": "d"}}}, NAME, KEY)
    assert signed["unsigned"] == {"age": 1}
    assert signed["signatures"]["a"] == {"b:c": "d"}
    signatures.verify_json({**signed, "unsigned": {"age": 2}}, NAME, KEY.verify_key)
    signatures.verify_json(signatures.sign_json(signed, NAME, OTHER), NAME, KEY.verify_key)
    signatures.verify_json(signatures.sign_json(signed, "else", OTHER), "else", OTHER.verify_key)


def test_signing_leaves_the_original_alone() -> None:
    original: dict[str, Any] = {"a": 1, "signatures": {NAME: {"ed25519:old": "x"}}}
    signed = signatures.sign_json(original, NAME, KEY)
    assert original == {"a": 1, "signatures": {NAME: {"ed25519:old": "x"}}}
    assert set(signed["signatures"][NAME]) == {"ed25519:old", "ed25519:1"}


@pytest.mark.parametrize(
    "value",
    [
        {"a": 1},
        {"a": 1, "signatures": None},
        {"a": 1, "signatures": []},
        {"a": 1, "signatures": {NAME: 1}},
        {"a": 1, "signatures": {NAME: {}}},
        {"a": 1, "signatures": {NAME: {"ed25519:1": 1}}},
        {"a": 1, "signatures": {NAME: {"ed25519:1": ""}}},
        {"a": 1, "signatures": {NAME: {"ed25519:1": "?"}}},
        {"a": 1, "signatures": {NAME: {"ed25519:1": "AAAA"}}},
        {"a": 1, "signatures": {NAME: {"ed25519:1": "A" * 86}}},
        {"a": 1.5, "signatures": {NAME: {"ed25519:1": "A" * 86}}},
        {"a": 1, "signatures": {"other": signatures.sign_json({"a": 1}, NAME, KEY)["signatures"][NAME]}},
        {"a": 2, "signatures": signatures.sign_json({"a": 1}, NAME, KEY)["signatures"]},
        {"a": 1, "b": 1, "signatures": signatures.sign_json({"a": 1}, NAME, KEY)["signatures"]},
        {"a": 1, "signatures": signatures.sign_json({"a": 1}, NAME, SigningKey("ed25519:1", bytes(32)))["signatures"]},
    ],
    ids=str,
)
def test_bad_signatures_are_the_peers_fault(value: dict[str, Any]) -> None:
    with pytest.raises(PeerError):
        signatures.verify_json(value, NAME, KEY.verify_key)


@pytest.mark.parametrize("bad", [None, [], "x", {NAME: []}, {NAME: None}])
def test_signing_what_has_misshapen_signatures(bad: Any) -> None:
    with pytest.raises(BadJson):
        signatures.sign_json({"signatures": bad}, NAME, KEY)


def test_the_dialect_is_the_callers_choice() -> None:
    with pytest.raises(BadJson):
        signatures.sign_json({"a": 2**60}, NAME, KEY)
    signed = signatures.sign_json({"a": 2**60}, NAME, KEY, encode=canonical_json.encode_lax)
    signatures.verify_json(signed, NAME, KEY.verify_key, encode=canonical_json.encode_lax)
    with pytest.raises(PeerError):
        signatures.verify_json(signed, NAME, KEY.verify_key)


def test_key_ids_of() -> None:
    value = {"signatures": {NAME: {"ed25519:1": "a", "rsa:2": "b", "ed25519:3": 4}, "other": []}}
    assert signatures.key_ids_of(value, NAME) == ["ed25519:1", "ed25519:3"]
    assert signatures.key_ids_of(value, "other") == signatures.key_ids_of({"signatures": 1}, NAME) == []


def test_keys_are_written_and_read() -> None:
    assert SigningKey.from_base64(KEY.key_id, KEY.to_base64()) == KEY
    public = VerifyKey.from_base64(KEY.key_id, KEY.verify_key.to_base64())
    assert public == KEY.verify_key
    assert public.verifies(b"message", KEY.sign(b"message"))
    assert not public.verifies(b"massage", KEY.sign(b"message"))
    assert not public.verifies(b"message", OTHER.sign(b"message"))
    assert not public.verifies(b"message", KEY.sign(b"message") + b"\0")
    assert not VerifyKey("ed25519:1", b"\xff" * 32).verifies(b"message", KEY.sign(b"message"))


def test_secrets_do_not_show() -> None:
    assert KEY.to_base64() not in repr(KEY)
    assert repr(KEY.seed) not in repr(KEY)
    assert "_secret" not in repr(KEY)


@pytest.mark.parametrize("key_id", ["", "1", "rsa:1", "ed25519:", "ed25519:a-b", "ed25519:a b"])
def test_ids_that_no_signing_key_may_have(key_id: str) -> None:
    with pytest.raises(InvalidParam):
        SigningKey(key_id, bytes(32))


@pytest.mark.parametrize("text", ["", "AAAA", "?" * 43, "A" * 44, VECTORS["seed"] + "A", "é" * 43])
def test_texts_that_are_no_keys(text: str) -> None:
    with pytest.raises(InvalidParam):
        SigningKey.from_base64("ed25519:1", text)
    with pytest.raises(InvalidParam):
        VerifyKey.from_base64("ed25519:1", text)
    with pytest.raises(InvalidParam):
        VerifyKey.from_base64("curve25519:1", VECTORS["seed"])


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", ""),
        (b"f", "Zg"),
        (b"fo", "Zm8"),
        (b"foo", "Zm9v"),
        (b"foob", "Zm9vYg"),
        (b"fooba", "Zm9vYmE"),
        (b"foobar", "Zm9vYmFy"),
        (b"\xfb\xff", "+/8"),
    ],
)
def test_base64_of_the_appendices(data: bytes, text: str) -> None:
    assert signatures.encode_base64(data) == text
    for spelling in (text, text + "=" * (-len(text) % 4), text.replace("+", "-").replace("/", "_")):
        assert signatures.decode_base64(spelling) == data
    assert signatures.decode_base64(text, strict=True) == data


@pytest.mark.parametrize("text", ["A", "AAAAA", "A=A=", "AA\nAA", "AA AA", "é", "Zm9v!", "\ud800", "\0"])
def test_what_is_no_base64(text: str) -> None:
    for strict in (False, True):
        with pytest.raises(ValueError, match="base64"):
            signatures.decode_base64(text, strict=strict)


@pytest.mark.parametrize("text", ["Zg==", "-_8", "Zh", "+/9"])
def test_strict_base64_has_one_spelling(text: str) -> None:
    signatures.decode_base64(text)
    with pytest.raises(ValueError, match="base64"):
        signatures.decode_base64(text, strict=True)


@given(st.binary(max_size=100))
def test_base64_round_trip(data: bytes) -> None:
    assert signatures.decode_base64(signatures.encode_base64(data), strict=True) == data
    assert signatures.decode_base64(signatures.encode_base64_url_safe(data)) == data


@given(st.text(max_size=40) | st.text("ABab01+/-_= \n", max_size=12))
def test_any_text_is_base64_or_a_value_error(text: str) -> None:
    try:
        data = signatures.decode_base64(text)
    except ValueError:
        return
    assert signatures.decode_base64(signatures.encode_base64(data)) == data


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), json_values, max_size=4))
def test_whatever_was_signed_verifies(value: dict[str, Any]) -> None:
    try:
        signed = signatures.sign_json(value, NAME, KEY)
    except BadJson:
        return
    signatures.verify_json(signed, NAME, KEY.verify_key)
    with pytest.raises(PeerError):
        signatures.verify_json({**signed, "one more": True}, NAME, KEY.verify_key)


@given(json_values, json_values)
def test_hostile_signatures_are_peer_errors(whole: Any, of_server: Any) -> None:
    for value in (
        {"signatures": whole},
        {"signatures": {NAME: of_server}},
        {"signatures": {NAME: {KEY.key_id: whole}}},
    ):
        signatures.key_ids_of(value, NAME)
        with pytest.raises(PeerError):
            signatures.verify_json(value, NAME, KEY.verify_key)
