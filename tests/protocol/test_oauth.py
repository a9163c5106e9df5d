"""The rules of OAuth: what clients may register, where they may be answered, what they may ask for."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weft.protocol.oauth import (
    ClientMetadata,
    OAuthError,
    RefusedRequest,
    clients,
    pkce,
    redirects,
    requests,
    scopes,
)

ISSUER = "https://matrix.example.org/"
STABLE = "urn:matrix:client:api:* urn:matrix:client:device:ABCDEFGHIJ"


def metadata(**changes: Any) -> dict[str, Any]:
    return {
        "client_uri": "https://example.com/",
        "redirect_uris": ["https://example.com/callback"],
        "grant_types": ["authorization_code", "refresh_token"],
        **changes,
    }


# --- Redirect URIs ---------------------------------------------------------------------------------------------------

WEB = [
    "https://example.com/callback",
    "https://app.example.com/callback",
    "https://example.com:5173/?query=value",
    "https://EXAMPLE.com",
    "https://example.com/a%2Fb",
]
NATIVE = [
    "com.example.app:/callback",
    "com.example:/",
    "com.example:callback",
    "http://localhost/callback",
    "http://127.0.0.1/callback",
    "http://[::1]/callback",
    "http://localhost",
]
NEVER = [
    "https://example.com/callback#fragment",
    "http://example.com/callback",
    "example:/callback",
    "com.example.app://callback",
    "com.exampleapp:/callback",
    "comxexample.app:/",
    "https://localhost/callback",
    "http://localhost:1234/callback",
    "http://localhost.example.com/callback",
    "http://127.0.0.2/",
    "https://notexample.com/",
    "https://example.com.evil.org/",
    "https://example.com@evil.org/",
    "https://user:password@example.com/",
    "https://evil.org\\@example.com/",
    "https://evil.org/\\@example.com",
    "https://example.com\t/",
    " https://example.com/",
    "https://example.com/\n",
    "https://example.com:0/",
    "https://example.com:99999/",
    "https://example.com:/",
    "https://-example.com/",
    "https://éxample.com/",
    "https:///example.com/",
    "https:example.com",
    "//example.com/",
    "javascript:alert(1)",
    "javascript://example.com/%0aalert(1)",
    "data:text/html,<script>alert(1)</script>",
    "vbscript:x",
    "file:///etc/passwd",
    "",
    "https://example.com/" + "x" * 3000,
]


@pytest.mark.parametrize("uri", WEB)
def test_a_web_client_is_answered_on_its_own_hosts(uri: str) -> None:
    assert redirects.is_allowed(uri, "example.com", native=False)
    assert redirects.is_allowed(uri, "example.com", native=True)


@pytest.mark.parametrize("uri", NATIVE)
def test_a_native_client_is_answered_on_the_device(uri: str) -> None:
    assert redirects.is_allowed(uri, "example.com", native=True)
    assert not redirects.is_allowed(uri, "example.com", native=False)


@pytest.mark.parametrize("uri", NEVER)
def test_nobody_is_answered_elsewhere(uri: str) -> None:
    assert not redirects.is_allowed(uri, "example.com", native=True)
    with pytest.raises(OAuthError) as refused:
        clients.read(metadata(redirect_uris=[uri], application_type="native"))
    assert refused.value.error == "invalid_redirect_uri"


@pytest.mark.parametrize(
    ("uri", "base"),
    [
        ("https://evil.com/", "com"),
        ("javascript:alert(1)", "javascript"),
        ("data:x", "data"),
        ("https://1.127.0.0.1/", "127.0.0.1"),
        ("https://evil.localhost/", "localhost"),
    ],
)
def test_what_is_no_domain_has_nothing_below_it(uri: str, base: str) -> None:
    assert not redirects.is_allowed(uri, base, native=True)


@pytest.mark.parametrize(
    ("uri", "registered", "matches"),
    [
        ("https://example.com/callback", "https://example.com/callback", True),
        ("https://example.com/callback?x=1", "https://example.com/callback", False),
        ("https://example.com/callback/", "https://example.com/callback", False),
        ("https://example.com/CALLBACK", "https://example.com/callback", False),
        ("https://example.com:443/callback", "https://example.com/callback", False),
        ("https://example.com/%63allback", "https://example.com/callback", False),
        ("http://localhost:1234/callback", "http://localhost/callback", True),
        ("http://127.0.0.1:65535/callback", "http://127.0.0.1/callback", True),
        ("http://[::1]:1/callback?a", "http://[::1]/callback?a", True),
        ("http://localhost:0/callback", "http://localhost/callback", False),
        ("http://localhost:65536/callback", "http://localhost/callback", False),
        ("http://127.0.0.1:1234/callback", "http://localhost/callback", False),
        ("http://localhost:1234/other", "http://localhost/callback", False),
        ("http://localhost:1@evil.org/callback", "http://localhost/callback", False),
        ("https://localhost:1234/callback", "https://localhost/callback", False),
    ],
)
def test_a_redirect_uri_is_the_registered_one(uri: str, registered: str, matches: bool) -> None:
    assert redirects.is_registered(uri, (registered,)) is matches


@pytest.mark.parametrize(
    ("uri", "host", "source"),
    [
        ("https://App.example.com:8443/x?y", "app.example.com", "https://App.example.com:8443"),
        ("http://[::1]:4711/x", None, "http://[::1]:4711"),
        ("com.example.app:/x", None, "com.example.app:"),
    ],
)
def test_where_an_answer_goes(uri: str, host: str | None, source: str) -> None:
    assert redirects.destination_of(uri) == (host, source)


@given(st.text(max_size=80), st.booleans())
def test_what_is_allowed_is_a_uri_of_the_client(text: str, native: bool) -> None:
    for uri in (text, f"https://{text}", f"com.example.{text}", f"https://example.com{text}"):
        if redirects.is_allowed(uri, "example.com", native=native):
            parts = urlsplit(uri)
            assert not parts.fragment
            assert parts.username is None
            assert (parts.hostname or "example.com").endswith("example.com") or parts.scheme == "http"
            assert parts.scheme in ("https", "http") or parts.scheme.startswith("com.example")
            assert not set(redirects.destination_of(uri).source) & set(" ;,'\"\\")


def test_answers_in_the_query_and_in_the_fragment() -> None:
    parameters = {"code": "a b&c", "state": "ü"}
    assert redirects.answered("https://e.org/", "query", parameters) == "https://e.org/?code=a%20b%26c&state=%C3%BC"
    assert redirects.answered("https://e.org/?x=1", "query", {"a": "b"}) == "https://e.org/?x=1&a=b"
    assert redirects.answered("https://e.org/?x=1", "fragment", {"a": "b"}) == "https://e.org/?x=1#a=b"


# --- What a client says of itself ------------------------------------------------------------------------------------


def test_what_is_not_known_is_not_kept() -> None:
    read = clients.read(
        metadata(
            grant_types=["authorization_code", "implicit", "password"],
            response_types=["code", "token"],
            client_name="  Exa\u202emple\n\x00 app ",
            jwks_uri="https://example.com/keys",
        )
    )
    assert read.grant_types == ("authorization_code",)
    assert read.response_types == ("code",)
    assert read.client_name == "Exa mple app"
    assert (read.host, read.name, read.application_type) == ("example.com", "Exa mple app", "web")


def test_what_is_left_out() -> None:
    read = clients.read({"client_uri": "https://example.com", "redirect_uris": ["https://example.com/"]})
    assert (read.grant_types, read.response_types, read.name) == (("authorization_code",), ("code",), "example.com")


@pytest.mark.parametrize(
    "changes",
    [
        {"client_uri": None},
        {"client_uri": 1},
        {"client_uri": "http://example.com/"},
        {"client_uri": "https://user@example.com/"},
        {"client_uri": "javascript:alert(1)"},
        {"application_type": "browser"},
        {"token_endpoint_auth_method": "client_secret_basic"},
        {"grant_types": ["refresh_token"]},
        {"grant_types": "authorization_code"},
        {"grant_types": [1]},
        {"response_types": ["token"]},
        {"client_name": ["Example"]},
        {"logo_uri": "https://elsewhere.org/logo.png"},
        {"tos_uri": "javascript:alert(1)"},
        {"policy_uri": "http://example.com/policy"},
    ],
)
def test_what_no_client_may_say(changes: dict[str, Any]) -> None:
    with pytest.raises(OAuthError) as refused:
        clients.read(metadata(**changes))
    assert refused.value.error == "invalid_client_metadata"


@pytest.mark.parametrize("uris", [None, [], ["https://example.com/"] * 21])
def test_how_many_redirect_uris_there_are(uris: list[str] | None) -> None:
    with pytest.raises(OAuthError) as refused:
        clients.read(metadata(redirect_uris=uris))
    assert refused.value.error == "invalid_redirect_uri"


# --- Scopes and proofs -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "device_id", "granted"),
    [
        (STABLE, "ABCDEFGHIJ", STABLE),
        (f"openid {STABLE} profile", "ABCDEFGHIJ", f"openid {STABLE}"),
        (f"{STABLE} {STABLE}", "ABCDEFGHIJ", STABLE),
        (
            "urn:matrix:org.matrix.msc2967.client:api:* urn:matrix:org.matrix.msc2967.client:device:a.b-c_d~1",
            "a.b-c_d~1",
            "urn:matrix:org.matrix.msc2967.client:api:* urn:matrix:org.matrix.msc2967.client:device:a.b-c_d~1",
        ),
    ],
)
def test_scopes(text: str, device_id: str, granted: str) -> None:
    assert scopes.read(text)[:2] == (device_id, granted)
    assert scopes.read(granted).granted == granted


@pytest.mark.parametrize(
    "text",
    [
        "",
        "openid",
        "urn:matrix:client:api:*",
        "urn:matrix:client:device:ABC",
        "urn:matrix:client:api:* urn:matrix:client:device:",
        "urn:matrix:client:api:* urn:matrix:client:device:A/B",
        "urn:matrix:client:api:* urn:matrix:client:device:" + "x" * 256,
        "urn:matrix:client:api:* urn:matrix:client:device:A urn:matrix:client:device:B",
        STABLE + " x" * 1000,
    ],
)
def test_scopes_that_are_refused(text: str) -> None:
    with pytest.raises(OAuthError) as refused:
        scopes.read(text)
    assert refused.value.error == "invalid_scope"


def test_the_example_of_the_rfc() -> None:
    """https://www.rfc-editor.org/rfc/rfc7636#appendix-B"""
    verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
    assert pkce.challenge_of(verifier) == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
    assert pkce.is_proof(verifier, "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM")
    assert not pkce.is_proof(verifier + "x", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM")


@pytest.mark.parametrize("verifier", ["", "x" * 42, "x" * 129, "x" * 42 + "+", "x" * 43 + "\n", "é" * 43])
def test_what_is_no_verifier(verifier: str) -> None:
    assert not pkce.is_proof(verifier, pkce.challenge_of(verifier))


# --- Requests --------------------------------------------------------------------------------------------------------

CLIENT: ClientMetadata = clients.read(metadata())


def parameters(**changes: list[str] | None) -> dict[str, list[str]]:
    asked: dict[str, list[str] | None] = {
        "response_type": ["code"],
        "redirect_uri": ["https://example.com/callback"],
        "scope": [STABLE],
        "state": ["its state"],
        "code_challenge": [pkce.challenge_of("x" * 43)],
        "code_challenge_method": ["S256"],
        **changes,
    }
    return {name: values for name, values in asked.items() if values is not None}


def test_a_request() -> None:
    request = requests.read(
        parameters(prompt=["create login"], login_hint=["mxid:@a:b"], nonce=["n"]), "id", CLIENT, ISSUER
    )
    assert (request.create, request.login_hint, request.nonce) == (True, "@a:b", "n")
    assert request.answering.uri(code="c") == (
        "https://example.com/callback?code=c&state=its%20state&iss=https%3A%2F%2Fmatrix.example.org%2F"
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"redirect_uri": None},
        {"redirect_uri": ["https://example.com/other"]},
        {"redirect_uri": ["https://example.com/callback", "https://evil.org/"]},
    ],
)
def test_nobody_is_sent_where_the_client_is_not(changes: dict[str, Any]) -> None:
    with pytest.raises(OAuthError):
        requests.read(parameters(**changes), "id", CLIENT, ISSUER)


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"response_type": None}, "unsupported_response_type"),
        ({"response_type": ["token"]}, "unsupported_response_type"),
        ({"response_mode": ["form_post"]}, "invalid_request"),
        ({"response_mode": ["query", "fragment"]}, "invalid_request"),
        ({"code_challenge": None}, "invalid_request"),
        ({"code_challenge": ["short"]}, "invalid_request"),
        ({"code_challenge_method": None}, "invalid_request"),
        ({"code_challenge_method": ["plain"]}, "invalid_request"),
        ({"code_challenge_method": ["S256", "plain"]}, "invalid_request"),
        ({"scope": ["openid"]}, "invalid_scope"),
        ({"scope": None}, "invalid_scope"),
        ({"prompt": ["none"]}, "interaction_required"),
        ({"state": ["a", "b"]}, "invalid_request"),
        ({"state": ["x" * 5000]}, "invalid_request"),
        ({"nonce": ["x" * 5000]}, "invalid_request"),
    ],
)
def test_a_client_is_told_what_was_wrong(changes: dict[str, Any], error: str) -> None:
    with pytest.raises(RefusedRequest) as refused:
        requests.read(parameters(**changes), "id", CLIENT, ISSUER)
    told = parse_qs(urlsplit(refused.value.uri).query)
    assert told["error"] == [error]
    assert told["iss"] == [ISSUER]
    assert told.get("state") == (None if "state" in changes else ["its state"])


def test_a_client_that_registered_for_another_grant() -> None:
    client = clients.read(metadata(grant_types=[clients.DEVICE_GRANT]))
    with pytest.raises(RefusedRequest) as refused:
        requests.read(parameters(), "id", client, ISSUER)
    assert "error=unauthorized_client" in refused.value.uri
