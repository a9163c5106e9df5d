"""A provider, as OpenID Connect has it: where people are sent, and what their code is good for.

Every provider has a callback of its own, and what it sends back has to name it where it says that it does: so the code
of one is never shown to another (https://www.rfc-editor.org/rfc/rfc9700#section-4.4).

https://openid.net/specs/openid-connect-core-1_0.html#CodeFlowAuth
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import quote_plus, urlencode, urlsplit

from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey, RSAKey

from weft.http.client import HttpClient
from weft.protocol.errors import InvalidParam, PeerError
from weft.protocol.oauth import pkce
from weft.protocol.single_sign_on import Identity, NotValid, check_claims, subject_of, text_claim
from weft.protocol.third_party_ids import canonical_email
from weft.settings import IdentityProvider

#: Only signatures of which the provider alone has the key: a secret that is shared, or none at all, proves nothing.
ALGORITHMS: Final = (
    "RS256",
    "RS384",
    "RS512",
    "PS256",
    "PS384",
    "PS512",
    "ES256",
    "ES384",
    "ES512",
    "EdDSA",
    "Ed25519",
)
#: How long a provider's documents are believed.
_DOCUMENTS_MS: Final = 60 * 60 * 1000
#: How soon its keys are read anew because of a key that is not among them.
_KEYS_AGAIN_MS: Final = 60 * 1000
_MOST_BYTES: Final = 1 << 18
_MOST_KEYS: Final = 50
_KEYS: Final[dict[str, type[RSAKey] | type[ECKey] | type[OKPKey]]] = {"RSA": RSAKey, "EC": ECKey, "OKP": OKPKey}
_SECONDS: Final = 15.0
_FORM: Final = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}

Key = RSAKey | ECKey | OKPKey


class Provider:
    """`secret`: empty where this server has none. `callback`: where the provider sends people back."""

    def __init__(
        self, settings: IdentityProvider, secret: str, http: HttpClient, callback: str, now_ms: Callable[[], int]
    ) -> None:
        self.settings = settings
        self._secret = secret
        self._http = http
        self._callback = callback
        self._now_ms = now_ms
        self._metadata: tuple[int, dict[str, Any]] | None = None
        self._keys: tuple[int, list[Key]] | None = None

    async def authorization(self, *, state: str, nonce: str, verifier: str, creates: bool) -> str:
        """Where a browser is sent. Raises `PeerError`, `Unreachable`. `creates`: the person wants a new account."""
        metadata = await self._read_metadata()
        asked = {
            "response_type": "code",
            "client_id": self.settings.client_id,
            "redirect_uri": self._callback,
            "scope": " ".join(dict.fromkeys(("openid", *self.settings.scopes))),
            "state": state,
            "nonce": nonce,
            "code_challenge": pkce.challenge_of(verifier),
            "code_challenge_method": pkce.METHOD,
        }
        prompts = metadata.get("prompt_values_supported")
        if creates and isinstance(prompts, list) and "create" in prompts:
            asked["prompt"] = "create"
        endpoint = self._endpoint(metadata, "authorization_endpoint")
        return f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(asked)}"

    async def check_issuer(self, told: str | None) -> None:
        """Whether an answer comes from this provider (RFC 9207). Raises `NotValid`, `PeerError`, `Unreachable`."""
        if told is None and (await self._read_metadata()).get("authorization_response_iss_parameter_supported") is True:
            raise NotValid("the answer does not say of which provider it is")
        if told is not None and told != self.settings.issuer:
            raise NotValid("the answer is of another provider")

    async def identify(self, code: str, *, nonce: str, verifier: str) -> Identity:
        """Who has come back with a code. Raises `NotValid`, `PeerError`, `NotNow`, `Unreachable`."""
        metadata = await self._read_metadata()
        answer = await self._redeem(metadata, code, verifier)
        token = answer.get("id_token")
        if not isinstance(token, str):
            raise NotValid("there is no ID token")
        claims = await self._verified(metadata, token)
        subject = check_claims(
            claims,
            issuer=self.settings.issuer,
            client_id=self.settings.client_id,
            nonce=nonce,
            now=self._now_ms() / 1000,
        )
        claims = await self._with_user_info(metadata, claims, subject, answer.get("access_token"))
        return Identity(
            subject,
            text_claim(claims, self.settings.localpart_claim),
            text_claim(claims, self.settings.display_name_claim),
            self._email(claims),
        )

    def _email(self, claims: dict[str, Any]) -> str | None:
        text = text_claim(claims, self.settings.email_claim)
        if text is None or claims.get("email_verified") is not True:
            return None
        try:
            return canonical_email(text)
        except InvalidParam:
            return None

    async def _redeem(self, metadata: dict[str, Any], code: str, verifier: str) -> dict[str, Any]:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._callback,
            "code_verifier": verifier,
        }
        headers = dict(_FORM)
        methods = metadata.get("token_endpoint_auth_methods_supported")
        if self._secret and (not isinstance(methods, list) or "client_secret_basic" in methods):
            pair = f"{quote_plus(self.settings.client_id)}:{quote_plus(self._secret)}"
            headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
        else:
            form["client_id"] = self.settings.client_id
            if self._secret:
                form["client_secret"] = self._secret
        endpoint = self._endpoint(metadata, "token_endpoint")
        return await self._ask("POST", endpoint, headers, urlencode(form).encode())

    async def _with_user_info(
        self, metadata: dict[str, Any], claims: dict[str, Any], subject: str, access_token: object
    ) -> dict[str, Any]:
        """The claims, with those that only the endpoint for them tells."""
        settings = self.settings
        wanted = {settings.localpart_claim, settings.display_name_claim, settings.email_claim} - {""}
        if wanted <= claims.keys() or "userinfo_endpoint" not in metadata or not isinstance(access_token, str):
            return claims
        headers = {"Authorization": f"Bearer {access_token}", "Accept": "application/json"}
        if not access_token.isascii() or not access_token.isprintable():
            raise NotValid("its access token is none")
        told = await self._ask("GET", self._endpoint(metadata, "userinfo_endpoint"), headers)
        if subject_of(told) != subject:
            raise NotValid("the information is about another subject")
        return {**told, **claims}

    # -- the provider's documents

    async def _read_metadata(self) -> dict[str, Any]:
        now_ms = self._now_ms()
        if self._metadata is None or now_ms > self._metadata[0] + _DOCUMENTS_MS:
            address = f"{self.settings.issuer.rstrip('/')}/.well-known/openid-configuration"
            told = await self._ask("GET", address, {"Accept": "application/json"})
            if told.get("issuer") != self.settings.issuer:
                raise PeerError(f"the document at {address} is of another issuer")
            self._metadata = now_ms, told
        return self._metadata[1]

    def _endpoint(self, metadata: dict[str, Any], name: str) -> str:
        """An address that the provider names: as safe as its own is."""
        url = metadata.get(name)
        try:
            parts = urlsplit(url) if isinstance(url, str) and url.isascii() and url.isprintable() else None
        except ValueError:
            parts = None
        schemes = ("https", "http") if self.settings.issuer.startswith("http:") else ("https",)
        if parts is None or parts.scheme not in schemes or not parts.hostname or parts.fragment or " " in str(url):
            raise PeerError(f"{self.settings.issuer} names no {name}")
        return str(url)

    async def _verified(self, metadata: dict[str, Any], token: str) -> dict[str, Any]:
        """The claims of a token that one of the provider's keys has signed."""
        try:
            header = jws.extract_compact(token.encode()).headers()
        except (JoseError, ValueError) as error:
            raise NotValid("the ID token is none") from error
        if header.get("alg") not in ALGORITHMS:
            raise NotValid("the ID token is not signed by a key of its own")
        for again in (False, True):
            for key in await self._read_keys(metadata, again=again):
                if self._fits(key, header):
                    try:
                        return dict(jwt.decode(token, key, algorithms=list(ALGORITHMS)).claims)
                    except (JoseError, ValueError, TypeError):
                        continue
        raise NotValid("the ID token's signature is wrong")

    def _fits(self, key: Key, header: dict[str, Any]) -> bool:
        told = key.as_dict(private=False)
        return header.get("kid") in (None, told.get("kid")) and told.get("alg") in (None, header["alg"])

    async def _read_keys(self, metadata: dict[str, Any], *, again: bool) -> list[Key]:
        now_ms = self._now_ms()
        lasts_ms = _KEYS_AGAIN_MS if again else _DOCUMENTS_MS
        if self._keys is None or now_ms > self._keys[0] + lasts_ms:
            told = await self._ask("GET", self._endpoint(metadata, "jwks_uri"), {"Accept": "application/json"})
            self._keys = now_ms, _keys(told.get("keys"))
        return self._keys[1]

    async def _ask(self, method: str, url: str, headers: dict[str, str], body: bytes | None = None) -> dict[str, Any]:
        reply = await self._http.request(
            method, url, headers=headers, body=body, timeout=_SECONDS, max_bytes=_MOST_BYTES
        )
        return reply.check().json_object()


def _keys(told: object) -> list[Key]:
    """Those of a key set with which signatures can be checked."""
    found: list[Key] = []
    for each in told[:_MOST_KEYS] if isinstance(told, list) else []:
        kind = _KEYS.get(str(each.get("kty"))) if isinstance(each, dict) and each.get("use", "sig") == "sig" else None
        if kind is None:
            continue
        try:
            found.append(kind.import_key(each))
        except (JoseError, ValueError, TypeError, KeyError):
            continue
    return found
