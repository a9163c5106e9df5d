"""Documents of servers' keys: what is good, and what is not."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weft.protocol import server_keys
from weft.protocol.errors import PeerError
from weft.protocol.server_keys import MAX_KEYS, OldKey
from weft.protocol.signatures import SigningKey, encode_base64, sign_json

ONE, TWO, OLD = (SigningKey(f"ed25519:{name}", name.encode().ljust(32)) for name in ("one", "two", "old"))


def document(**changes: Any) -> dict[str, Any]:
    """A document of two keys, changed and then signed."""
    made = server_keys.make("a.test", [ONE, TWO], [OldKey(OLD.verify_key, 7)], valid_until_ms=1_000)
    del made["signatures"]
    made.update(changes)
    made = {key: value for key, value in made.items() if value is not None}
    for key in (ONE, TWO):
        made = sign_json(made, "a.test", key)
    return made


def read(value: Any) -> server_keys.ServerKeys:
    return server_keys.parse(json.dumps(value).encode(), server_name="a.test")


def test_what_we_make_is_read() -> None:
    made = server_keys.make("a.test", [ONE, TWO], [OldKey(OLD.verify_key, 7)], valid_until_ms=1_000)
    found = read(made)
    assert found.server_name == "a.test"
    assert found.valid_until_ms == 1_000
    assert found.keys == {"ed25519:one": ONE.verify_key, "ed25519:two": TWO.verify_key}
    assert found.old_keys == {"ed25519:old": OldKey(OLD.verify_key, 7)}
    assert found.value == made


def test_one_signature_is_enough_and_a_wrong_one_too_much() -> None:
    made = document()
    del made["signatures"]["a.test"]["ed25519:two"]
    assert set(read(made).keys) == {"ed25519:one", "ed25519:two"}
    made["signatures"]["a.test"]["ed25519:two"] = made["signatures"]["a.test"]["ed25519:one"]
    with pytest.raises(PeerError):
        read(made)
    made["signatures"] = {"b.test": made["signatures"]["a.test"]}
    with pytest.raises(PeerError, match="did not sign"):
        read(made)


def test_what_else_it_says_is_of_no_matter() -> None:
    bad_old = {"ed25519:old": {"key": "??", "expired_ts": 1}, "ed25519:x": {}, "rsa:1": 5, "ed25519:y": {"key": 1}}
    found = read(document(tls_fingerprints=[], old_verify_keys=bad_old))
    assert found.old_keys == {}
    keys = {**document()["verify_keys"], "new:1": {"key": 17}}
    assert set(read(document(verify_keys=keys)).keys) == {"ed25519:one", "ed25519:two"}
    assert read(document(old_verify_keys=None)).old_keys == {}


@pytest.mark.parametrize(
    "changes",
    [
        {"server_name": "b.test"},
        {"server_name": 5},
        {"server_name": None},
        {"server_name": "not a name"},
        {"valid_until_ts": None},
        {"valid_until_ts": "1"},
        {"valid_until_ts": True},
        {"verify_keys": None},
        {"verify_keys": []},
        {"verify_keys": {}},
        {"verify_keys": {"ed25519:one": 5}},
        {"verify_keys": {"ed25519:one": {}}},
        {"verify_keys": {"ed25519:one": {"key": "AAAA"}}},
        {"verify_keys": {"ed25519:one": {"key": encode_base64(bytes(32))}}},
        {"verify_keys": {f"ed25519:{n}": {"key": encode_base64(bytes(32))} for n in range(MAX_KEYS + 1)}},
        {"old_verify_keys": []},
        {"old_verify_keys": {f"ed25519:{n}": {} for n in range(MAX_KEYS + 1)}},
    ],
)
def test_what_is_no_document_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(PeerError):
        read(document(**changes))


@pytest.mark.parametrize("data", [b"", b"[]", b"{", b"5", b"null", b"\xff", b'{"a":1.5}', b"[" * 10_000])
def test_what_is_no_object_is_refused(data: bytes) -> None:
    with pytest.raises(PeerError):
        server_keys.parse(data)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
)


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "server_name": JSON | st.just("a.test"),
            "valid_until_ts": JSON,
            "verify_keys": JSON | st.dictionaries(st.sampled_from(["ed25519:a", "x"]), JSON),
            "old_verify_keys": JSON,
            "signatures": JSON | st.dictionaries(st.just("a.test"), JSON),
        },
    )
)
def test_nothing_breaks_it(value: dict[str, Any]) -> None:
    with pytest.raises(PeerError):
        read(value)
