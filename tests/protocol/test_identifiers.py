"""The grammar of identifiers: tables of valid and invalid ones, and what must hold of any text."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weft.protocol import identifiers as ids
from weft.protocol.errors import InvalidParam
from weft.protocol.identifiers import MatrixUri, ServerName
from weft.protocol.room_versions import EventIdFormat

HASH = "acR1l0raoZnm60CBwAVgqbZqoO_mYU81xysh1u7XcJk"
STANDARD_HASH = "acR1l0raoZnm60CBwAVgqbZqoO/mYU81xysh1u7XcJk"

SERVER_NAMES: dict[str, ServerName] = {
    "matrix.org": ServerName("matrix.org", None),
    "matrix.org:8888": ServerName("matrix.org", 8888),
    "1.2.3.4": ServerName("1.2.3.4", None),
    "1.2.3.4:1234": ServerName("1.2.3.4", 1234),
    "[1234:5678::abcd]": ServerName("[1234:5678::abcd]", None),
    "[1234:5678::abcd]:5678": ServerName("[1234:5678::abcd]", 5678),
    "[::]": ServerName("[::]", None),
    "[::ffff:1.2.3.4]:1": ServerName("[::ffff:1.2.3.4]", 1),
    "localhost": ServerName("localhost", None),
    "MATRIX.org:0080": ServerName("MATRIX.org", 80),
    "255.255.255.255": ServerName("255.255.255.255", None),
    "1.2.3.4.5": ServerName("1.2.3.4.5", None),
    "a" * 255 + ":65535": ServerName("a" * 255, 65535),
}
NOT_SERVER_NAMES = [
    "",
    ":80",
    "example.org:",
    "example.org:port",
    "example.org:65536",
    "example.org:123456",
    "example.org:٣",
    "example.org:8\n",
    "example.org\n",
    "exa mple.org",
    "exämple.org",
    "exa_mple.org",
    "user@example.org",
    "example.org/path",
    "example.org:80:80",
    "[]",
    "[::1",
    "::1",
    "[:::1]",
    "[1234]",
    "[fe80::1%eth0]",
    "[1.2.3.4]",
    "[" + "1" * 46 + "]",
    "256.1.1.1",
    "1.2.3.1000",
    "0000.0.0.0",
    "\ud800.org",
    "a" * 256,
]


@pytest.mark.parametrize("name", SERVER_NAMES)
def test_server_names(name: str) -> None:
    assert ids.parse_server_name(name) == SERVER_NAMES[name]
    assert ids.is_valid_server_name(name)


@pytest.mark.parametrize("name", NOT_SERVER_NAMES)
def test_what_is_no_server_name(name: str) -> None:
    assert not ids.is_valid_server_name(name)
    with pytest.raises(InvalidParam):
        ids.parse_server_name(name)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("matrix.org", False),
        ("matrix.org:8448", False),
        ("1.2.3.4", True),
        ("1.2.3.4:80", True),
        ("1.2.3.4.5", False),
        ("4.example.org", False),
        ("[::1]", True),
        ("[::1]:8448", True),
    ],
)
def test_ip_literals(name: str, expected: bool) -> None:
    assert ids.is_ip_literal(name) is expected


USERS = [
    # id, strictly valid, compliant, merely acceptable
    ("@alice:example.org", True, True, True),
    ("@alice:example.org:8448", True, True, True),
    ("@a.b_c=d-e/f+1:[::1]:8448", True, True, True),
    ("@Alice:example.org", False, True, True),
    ("@!~:example.org", False, True, True),
    ("@al ice:example.org", False, False, True),
    ("@älice:example.org", False, False, True),
    ("@:example.org", False, False, True),
    ("@\n\x7f:example.org", False, False, True),
    ("@" + "a" * 242 + ":example.org", True, True, True),
    ("@" + "a" * 243 + ":example.org", False, False, False),
    ("@" + "é" * 121 + ":example.org", False, False, True),
    ("@" + "é" * 122 + ":example.org", False, False, False),
    ("@alice", False, False, False),
    ("@alice:", False, False, False),
    ("alice:example.org", False, False, False),
    ("!alice:example.org", False, False, False),
    ("@al\0ice:example.org", False, False, False),
    ("@al\ud800ice:example.org", False, False, False),
    ("@alice:exa mple.org", False, False, False),
    ("@alice:bob:example.org", False, False, False),
    ("", False, False, False),
    ("@", False, False, False),
    (":", False, False, False),
]


@pytest.mark.parametrize(("identifier", "strict", "compliant", "acceptable"), USERS)
def test_user_ids(identifier: str, strict: bool, compliant: bool, acceptable: bool) -> None:
    assert ids.is_valid_user_id(identifier, strict=True) is strict
    assert ids.is_compliant_user_id(identifier) is compliant
    assert ids.is_valid_user_id(identifier) is acceptable
    for wanted, is_strict in ((strict, True), (acceptable, False)):
        if wanted:
            user = ids.parse_user_id(identifier, strict=is_strict)
            assert f"@{user.localpart}:{user.domain}" == identifier
            assert (user.localpart, user.domain) == (ids.localpart_of(identifier), ids.domain_of(identifier))
        else:
            with pytest.raises(InvalidParam):
                ids.parse_user_id(identifier, strict=is_strict)


@pytest.mark.parametrize(
    ("localpart", "expected"),
    [
        ("alice", True),
        ("0", True),
        ("a" * 242, True),
        ("a" * 243, False),
        ("", False),
        ("Alice", False),
        ("alice:", False),
        ("@alice", False),
        ("ali ce", False),
        ("alice\n", False),
        ("alicé", False),
    ],
)
def test_localparts_for_registration(localpart: str, expected: bool) -> None:
    assert ids.is_valid_localpart_for_registration(localpart, "example.org") is expected


@pytest.mark.parametrize(
    ("text", "expected"), [("Alice", "alice"), ("#", "=23"), ("á", "=c3=a1"), ("a=b", "a=3db"), ("x/y+z", "x/y+z")]
)
def test_localparts_from_other_names(text: str, expected: str) -> None:
    assert ids.localpart_from(text) == expected


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=30))
def test_any_name_maps_to_a_localpart(text: str) -> None:
    assert ids.is_valid_localpart_for_registration(ids.localpart_from(text), "a.b")


@pytest.mark.parametrize(
    ("identifier", "domain"),
    [
        ("!abc:example.org", "example.org"),
        ("!ab c/ü\n:example.org:1", "example.org:1"),
        (f"!{HASH}", None),
        (f"!{HASH}:example.org", "example.org"),
    ],
)
def test_room_ids(identifier: str, domain: str | None) -> None:
    assert ids.parse_room_id(identifier).domain == domain
    assert ids.is_valid_room_id(identifier)
    assert ids.is_valid_room_id(identifier, is_create_hash=domain is None)
    assert not ids.is_valid_room_id(identifier, is_create_hash=domain is not None)


@pytest.mark.parametrize(
    "identifier",
    [
        "",
        "!",
        "!abc",
        "!:example.org",
        "!abc:",
        f"!{HASH}a",
        f"!{HASH[:-1]}",
        f"!{HASH}\n",
        f"!{STANDARD_HASH}",
        f"${HASH}",
        "!a\0:example.org",
        "!" + "a" * 243 + ":example.org",
    ],
)
def test_what_is_no_room_id(identifier: str) -> None:
    assert not ids.is_valid_room_id(identifier)
    with pytest.raises(InvalidParam):
        ids.parse_room_id(identifier)


@pytest.mark.parametrize(
    ("identifier", "expected"),
    [
        ("#room:example.org", True),
        ("#ein raum, größer:example.org", True),
        ("#" + "a" * 242 + ":example.org", True),
        ("#" + "a" * 243 + ":example.org", False),
        ("#:example.org", False),
        ("#room", False),
        ("room:example.org", False),
        ("#ro\0om:example.org", False),
        ("#ro:om:example.org", False),
        ("#ro\udc00om:example.org", False),
    ],
)
def test_room_aliases(identifier: str, expected: bool) -> None:
    assert ids.is_valid_room_alias(identifier) is expected
    if expected:
        alias = ids.parse_room_alias(identifier)
        assert f"#{alias.localpart}:{alias.domain}" == identifier
    else:
        with pytest.raises(InvalidParam):
            ids.parse_room_alias(identifier)


V1, V3, V4 = EventIdFormat.SERVER_ASSIGNED, EventIdFormat.BASE64, EventIdFormat.URL_SAFE_BASE64


@pytest.mark.parametrize(
    ("identifier", "formats"),
    [
        ("$abc:example.org", {V1}),
        ("$0:domain", {V1}),
        (f"${STANDARD_HASH}", {V3}),
        (f"${HASH}", {V4}),
        (f"${'a' * 43}", {V3, V4}),
        ("$abc", set()),
        ("$", set()),
        ("", set()),
        ("abc:example.org", set()),
        (f"${HASH}=", set()),
        (f"${HASH[:-1]}", set()),
        (f"${HASH}\n", set()),
        ("$a:b c", set()),
        ("$" + "a" * 255 + ":example.org", set()),
    ],
)
def test_event_ids(identifier: str, formats: set[EventIdFormat]) -> None:
    assert {each for each in EventIdFormat if ids.is_valid_event_id(identifier, each)} == formats
    if formats:
        assert (ids.parse_event_id(identifier).domain is None) is (V1 not in formats)
    else:
        with pytest.raises(InvalidParam):
            ids.parse_event_id(identifier)


@pytest.mark.parametrize(
    ("check", "valid", "invalid"),
    [
        (
            ids.is_namespaced_identifier,
            ["m.room.message", "a", "com.example.x-y_z.1", "a" * 255],
            ["", "A", "1a", ".a", "m.Room", "m.room message", "é", "a" * 256, "a\n"],
        ),
        (ids.is_opaque_identifier, ["a", "A.b_c~d-9", "a" * 255], ["", "a b", "a/b", "é", "a" * 256, "a\n"]),
        (
            lambda value: ids.is_opaque_identifier(value, longest=64),
            ["a" * 64],
            ["a" * 65],
        ),
        (ids.is_valid_key_version, ["1", "a_RXGa", "auto"], ["", "a-b", "a:b", "é", "a" * 256, "a\n"]),
        (ids.is_valid_client_secret, ["a.=_-B9", "a" * 255], ["", "a b", "a" * 256, "a~", "a\n"]),
        (ids.is_valid_device_id, ["JLAFKJWSCS", "my device", "ü"], ["", "a" * 256, "a\0", "a\nb", "\ud800"]),
        (ids.is_valid_transaction_id, ["m1700000000.1", "a" * 255], ["", "a" * 256, "a\0"]),
        (
            ids.is_valid_mxc,
            ["mxc://example.org/abc", "mxc://[::1]:80/A-z_9", "mxc://example.org/" + "a" * 255],
            [
                "",
                "mxc://",
                "mxc://example.org",
                "mxc://example.org/",
                "mxc:///abc",
                "MXC://example.org/abc",
                "http://example.org/abc",
                "mxc://127.0.0.1/../../../some_service/etc/passwd",
                "mxc://example.org/a/b",
                "mxc://example.org/a%2fb",
                "mxc://example.org/a.b",
                "mxc://../abc/def",
                "mxc://exa mple/abc",
                "mxc://example.org/abc?x",
                "mxc://example.org/" + "a" * 256,
                "example.org/abc",
            ],
        ),
    ],
)
def test_small_grammars(check: Callable[[str], bool], valid: list[str], invalid: list[str]) -> None:
    assert [value for value in valid if not check(value)] == []
    assert [value for value in invalid if check(value)] == []


def test_mxc_parts_and_back() -> None:
    mxc = ids.parse_mxc("mxc://example.org:80/abc")
    assert mxc == ("example.org:80", "abc")
    assert str(mxc) == "mxc://example.org:80/abc"


@pytest.mark.parametrize(
    ("identifier", "algorithm", "version"),
    [
        ("ed25519:1", "ed25519", "1"),
        ("ed25519:a_RXGa", "ed25519", "a_RXGa"),
        ("signed_curve25519:AAAAHQ", "signed_curve25519", "AAAAHQ"),
        ("ed25519:my device", "ed25519", "my device"),
        ("ed25519:a:b", "ed25519", "a:b"),
    ],
)
def test_key_ids(identifier: str, algorithm: str, version: str) -> None:
    assert ids.parse_key_id(identifier) == (algorithm, version)


@pytest.mark.parametrize("identifier", ["", ":", "ed25519", "ed25519:", ":1", "ED:1", "e d:1", "ed25519:" + "a" * 255])
def test_what_is_no_key_id(identifier: str) -> None:
    with pytest.raises(InvalidParam):
        ids.parse_key_id(identifier)


LINKS = [
    (
        "matrix:r/somewhere:example.org",
        "https://matrix.to/#/%23somewhere:example.org",
        MatrixUri("#somewhere:example.org"),
    ),
    (
        "matrix:roomid/somewhere:example.org?via=elsewhere.ca",
        "https://matrix.to/#/!somewhere:example.org?via=elsewhere.ca",
        MatrixUri("!somewhere:example.org", via=("elsewhere.ca",)),
    ),
    (
        "matrix:roomid/somewhere:example.org/e/event?via=elsewhere.ca",
        "https://matrix.to/#/!somewhere:example.org/$event?via=elsewhere.ca",
        MatrixUri("!somewhere:example.org", "$event", ("elsewhere.ca",)),
    ),
    (
        "matrix:u/alice:example.org",
        "https://matrix.to/#/@alice:example.org",
        MatrixUri("@alice:example.org"),
    ),
    (
        f"matrix:roomid/{HASH}/e/{STANDARD_HASH.replace('/', '%2F')}?via=%5B%3A%3A1%5D:80&via=b.c".replace("%3A", ":"),
        f"https://matrix.to/#/!{HASH}/${STANDARD_HASH.replace('/', '%2F')}?via=%5B::1%5D:80&via=b.c",
        MatrixUri(f"!{HASH}", f"${STANDARD_HASH}", ("[::1]:80", "b.c")),
    ),
]


@pytest.mark.parametrize(("matrix", "matrix_to", "link"), LINKS)
def test_links_are_read_and_written(matrix: str, matrix_to: str, link: MatrixUri) -> None:
    assert ids.parse_matrix_uri(matrix) == link == ids.parse_matrix_to(matrix_to)
    assert ids.format_matrix_uri(link) == matrix
    assert ids.format_matrix_to(link) == matrix_to


@pytest.mark.parametrize(
    ("uri", "link"),
    [
        ("MATRIX:u/alice:example.org?action=chat", MatrixUri("@alice:example.org", action="chat")),
        ("matrix:u/alice:example.org?action=join", MatrixUri("@alice:example.org")),
        ("matrix:r/a:b?action=join&x=y&via=&via=no/server", MatrixUri("#a:b", action="join")),
        ("matrix:user/alice:example.org", MatrixUri("@alice:example.org")),
        ("matrix:room/a:b/event/x#frag?via=c", MatrixUri("#a:b", "$x")),
        ("matrix://authority/r/a:b?via=c", MatrixUri("#a:b", via=("c",))),
        ("matrix:r/gr%C3%B6%C3%9Fe:b", MatrixUri("#größe:b")),
    ],
)
def test_other_matrix_uris_that_are_read(uri: str, link: MatrixUri) -> None:
    assert ids.parse_matrix_uri(uri) == link


@pytest.mark.parametrize(
    ("uri", "link"),
    [
        ("https://matrix.to/#/#somewhere:example.org", MatrixUri("#somewhere:example.org")),
        ("https://matrix.to/#/%21a%3Ab/%24event%3Ab?via=c", MatrixUri("!a:b", "$event:b", ("c",))),
        (f"https://matrix.to/#/!a:b/${STANDARD_HASH}", MatrixUri("!a:b", f"${STANDARD_HASH}")),
        ("https://matrix.to/#/@alice:b?action=chat", MatrixUri("@alice:b")),
    ],
)
def test_other_matrix_to_links_that_are_read(uri: str, link: MatrixUri) -> None:
    assert ids.parse_matrix_to(uri) == link


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "matrix:",
        "matrix:r",
        "matrix:r/",
        "matrix:x/a:b",
        "matrix:r/a:b/x/y",
        "matrix:r/a:b/e/",
        "matrix:u/a:b/e/x",
        "matrix:r/a:b/e/x/e/y",
        "matrix:r/%ff:b",
        "matrix:r/a:b?via=%ff",
        "matrix:r/a%00:b",
        "matrix://a:b",
        "http:r/a:b",
        "matrix:r/" + "a" * 300 + ":b",
        "matrix:roomid/a:b/e/" + "a" * 300,
        "matrix:roomid/a:b/e/%00",
        "matrix:r/a:b?" + "x" * 9000,
    ],
)
def test_what_is_no_matrix_uri(uri: str) -> None:
    with pytest.raises(InvalidParam):
        ids.parse_matrix_uri(uri)


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "https://matrix.to/#/",
        "https://matrix.to/#/alice",
        "https://matrix.to/#/+group:b",
        "https://matrix.to/#/$event",
        "https://matrix.to/#/!a:b/event",
        "https://matrix.to/#/@a:b/$event",
        "http://matrix.to/#/@a:b",
        "https://matrix.to/@a:b",
        "https://matrix.to/#/%ff",
        "https://matrix.to/#/@a:b?" + "x" * 9000,
    ],
)
def test_what_is_no_matrix_to_link(uri: str) -> None:
    with pytest.raises(InvalidParam):
        ids.parse_matrix_to(uri)


anything = st.text() | st.text("@!$#:/?&=%.mxc-[]0aà\0", max_size=40)
names = st.sampled_from(["example.org", "a", "[::1]:80", "1.2.3.4"])
localparts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters=":\0"), min_size=1, max_size=40)


@given(st.sampled_from("@!#"), localparts, names, st.none() | localparts, st.lists(names, max_size=3))
def test_links_survive_writing_and_reading(
    sigil: str, local: str, name: str, event: str | None, via: list[str]
) -> None:
    event_id = None if event is None or sigil == "@" else f"${event}"
    link = MatrixUri(f"{sigil}{local}:{name}", event_id, tuple(via))
    assert ids.parse_matrix_uri(ids.format_matrix_uri(link)) == link
    assert ids.parse_matrix_to(ids.format_matrix_to(link)) == link


PARSERS: list[Callable[[str], object]] = [
    ids.parse_user_id,
    ids.parse_room_id,
    ids.parse_room_alias,
    ids.parse_event_id,
    ids.parse_server_name,
    ids.parse_mxc,
    ids.parse_key_id,
    ids.parse_matrix_uri,
    ids.parse_matrix_to,
]


@given(st.sampled_from(["", "@", "!", "$", "#", "mxc://", "matrix:r/", "https://matrix.to/#/"]), anything)
def test_parsers_answer_or_refuse(prefix: str, text: str) -> None:
    for parse in PARSERS:
        with contextlib.suppress(InvalidParam):
            assert parse(prefix + text)


@given(anything)
def test_what_is_valid_is_short_utf8_without_nul(text: str) -> None:
    for sigil, check in (("@", ids.is_valid_user_id), ("#", ids.is_valid_room_alias), ("!", ids.is_valid_room_id)):
        if check(f"{sigil}{text}:example.org"):
            assert len(f"{sigil}{text}:example.org".encode()) <= ids.MAX_ID_BYTES
            assert "\0" not in text
            assert ":" not in text
