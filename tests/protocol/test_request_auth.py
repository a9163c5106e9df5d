"""The X-Matrix header in all its spellings, and what its signature covers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weft.protocol import canonical_json
from weft.protocol.request_auth import Credentials, Unauthorized, authorization, parse, signed_bytes
from weft.protocol.signatures import SigningKey, decode_base64

PLAIN = Credentials("a.example", "b.example:8448", "ed25519:k1", b"sig!")
SIG = "c2lnIQ"


@pytest.mark.parametrize(
    "header",
    [
        f'X-Matrix origin="a.example",destination="b.example:8448",key="ed25519:k1",sig="{SIG}"',
        f"X-Matrix origin=a.example,destination=b.example:8448,key=ed25519:k1,sig={SIG}",
        f"x-matrix sig={SIG},key=ed25519:k1,destination=b.example:8448,origin=a.example",
        f'X-MATRIX   ORIGIN="a.example" , \t Destination=b.example:8448\t,Key="ed25519:k1",  SIG="{SIG}"  ',
        f'X-Matrix origin="a\\.example",destination="b.example\\:8448",key="ed25519:k1",sig="{SIG}"',
        f'X-Matrix origin=a.example,,destination=b.example:8448, ,key=ed25519:k1,sig="{SIG}",',
        f'X-Matrix origin = a.example,destination= b.example:8448,key =ed25519:k1,sig="{SIG}=="',
        f'X-Matrix odd="a,\\"b=c",origin=a.example,destination=b.example:8448,key=ed25519:k1,sig={SIG},x=',
    ],
)
def test_every_spelling_means_the_same(header: str) -> None:
    assert parse(header) == PLAIN


def test_old_servers_leave_the_destination_out() -> None:
    assert parse(f"X-Matrix origin=a.example,key=ed25519:k1,sig={SIG}") == PLAIN._replace(destination=None)


@pytest.mark.parametrize("header", ["", "Bearer abc", "X-MatrixOther origin=a", "Basic X-Matrix origin=a"])
def test_other_schemes_are_not_ours(header: str) -> None:
    assert parse(header) is None


@pytest.mark.parametrize(
    "header",
    [
        "X-Matrix",
        "X-Matrix ",
        f"X-Matrix origin=a.example,key=ed25519:k1,sig={SIG},origin=b.example",
        f"X-Matrix key=ed25519:k1,sig={SIG}",
        f"X-Matrix origin=a.example,sig={SIG}",
        "X-Matrix origin=a.example,key=ed25519:k1",
        f"X-Matrix origin=,key=ed25519:k1,sig={SIG}",
        f'X-Matrix origin="a b",key=ed25519:k1,sig={SIG}',
        f'X-Matrix origin="a.example,key=ed25519:k1,sig={SIG}',
        f'X-Matrix origin="a.example"x,key=ed25519:k1,sig={SIG}',
        f"X-Matrix origin=a.example key=ed25519:k1,sig={SIG}",
        f"X-Matrix origin=a.example,key=rsa:k1,sig={SIG}",
        f"X-Matrix origin=a.example,key=ed25519,sig={SIG}",
        "X-Matrix origin=a.example,key=ed25519:k1,sig=!!!",
        "X-Matrix origin=a.example,key=ed25519:k1,sig=" + "A" * 5000,
        "X-Matrix =,=,=",
    ],
)
def test_what_is_no_such_header_is_refused(header: str) -> None:
    with pytest.raises(Unauthorized) as refused:
        parse(header)
    assert (refused.value.status, refused.value.errcode) == (401, "M_UNAUTHORIZED")


@given(st.text(max_size=200))
def test_nothing_breaks_it(text: str) -> None:
    for header in (text, f"X-Matrix {text}", f'X-Matrix origin=a.example,key=ed25519:k,sig=AA,x="{text}'):
        try:
            found = parse(header)
        except Unauthorized:
            continue
        assert found is None or found.origin


def test_a_long_run_of_nothing_is_read_quickly() -> None:
    with pytest.raises(Unauthorized):
        parse("X-Matrix " + " \t" * 2000 + '"')
    with pytest.raises(Unauthorized):
        parse('X-Matrix a="' + "\\" * 4000)


def test_what_we_write_is_what_we_read() -> None:
    key = SigningKey("ed25519:k1", bytes(32))
    content = canonical_json.canonical_lax(b'{"b": 1, "a": 1e2}')
    header = authorization(
        key, method="PUT", uri="/x?y=%21", origin="a.example", destination="[::1]:8448", content=content
    )
    found = parse(header)
    assert found is not None
    assert found[:3] == ("a.example", "[::1]:8448", "ed25519:k1")
    message = signed_bytes(
        method="PUT", uri="/x?y=%21", origin="a.example", destination="[::1]:8448", content=b'{"a":100,"b":1}'
    )
    assert message == (
        b'{"content":{"a":100,"b":1},"destination":"[::1]:8448","method":"PUT","origin":"a.example","uri":"/x?y=%21"}'
    )
    assert key.verify_key.verifies(message, found.signature)
    assert "\\" not in header
    assert header.startswith('X-Matrix origin="a.example",destination="')


def test_without_a_body_there_is_no_content() -> None:
    message = signed_bytes(method="GET", uri="/", origin="a", destination="b", content=None)
    assert message == b'{"destination":"b","method":"GET","origin":"a","uri":"/"}'


def test_base64_of_the_example() -> None:
    assert decode_base64(SIG) == b"sig!"
