"""OAuth 2.0 as Matrix uses it, as pure rules: what clients say of themselves, where they are answered, what they ask.

    metadata = clients.read(body)                        # dynamic registration
    asked = requests.read(parameters, client)            # at the authorisation endpoint
    pkce.is_proof(verifier, asked.challenge)             # at the token endpoint

Nothing here keeps anything, or knows the time.

https://spec.matrix.org/v1.19/client-server-api/#oauth-20-api
"""

from __future__ import annotations

from weft.protocol.oauth.clients import ClientMetadata
from weft.protocol.oauth.errors import OAuthError
from weft.protocol.oauth.requests import AuthorizationRequest, RefusedRequest
from weft.protocol.oauth.scopes import Scope

__all__ = ["AuthorizationRequest", "ClientMetadata", "OAuthError", "RefusedRequest", "Scope"]
