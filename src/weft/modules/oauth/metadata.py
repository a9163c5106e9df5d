"""What clients are told of this server as an authorisation server.

https://spec.matrix.org/v1.19/client-server-api/#server-metadata-discovery
https://spec.matrix.org/v1.19/client-server-api/#oauth-20-account-management
"""

from __future__ import annotations

from weft.modules.oauth.account import ACTIONS
from weft.modules.oauth.id_tokens import ALGORITHM
from weft.protocol.api.client import oauth as api
from weft.protocol.oauth import clients, pkce, requests, scopes


def issuer_of(base: str) -> str:
    return f"{base}/"


def metadata(base: str, *, can_register: bool) -> api.GetAuthMetadataResponse:
    """`base` is the server's address without a slash at its end."""
    return api.GetAuthMetadataResponse(
        issuer=issuer_of(base),
        authorization_endpoint=base + api.AUTHORIZE,
        token_endpoint=base + api.TOKEN,
        revocation_endpoint=base + api.REVOKE,
        registration_endpoint=base + api.REGISTER,
        response_types_supported=["code"],
        device_authorization_endpoint=base + api.DEVICE,
        grant_types_supported=[*clients.GRANTS],
        response_modes_supported=[*requests.RESPONSE_MODES],
        code_challenge_methods_supported=[pkce.METHOD],
        prompt_values_supported=[requests.CREATE] if can_register else None,
        account_management_uri=base + api.ACCOUNT,
        account_management_actions_supported=[*ACTIONS],
        jwks_uri=base + api.KEYS,
        scopes_supported=[*scopes.SUPPORTED],
        subject_types_supported=["public"],
        id_token_signing_alg_values_supported=[ALGORITHM],
        token_endpoint_auth_methods_supported=[clients.NO_SECRET],
        revocation_endpoint_auth_methods_supported=[clients.NO_SECRET],
        authorization_response_iss_parameter_supported=True,
    )
