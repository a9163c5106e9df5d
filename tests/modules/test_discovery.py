"""What a server says of itself."""

from __future__ import annotations

from tests.modules.conftest import Start
from weft.testing import TestServer

WELL_KNOWN = "/.well-known/matrix"


async def test_versions(server: TestServer) -> None:
    told = (await server.client().get("/_matrix/client/versions")).ok()
    assert {"r0.6.1", "v1.1", "v1.19"} <= set(told["versions"])
    assert told["unstable_features"]["org.matrix.msc3440.stable"] is True
    assert all("." in feature for feature in told["unstable_features"])
    # A token that is no good any more is no reason not to answer.
    assert (await server.client("wrong").get("/_matrix/client/versions")).ok() == told


async def test_nothing_is_said_that_was_not_set(server: TestServer) -> None:
    for document in ("client", "server", "support", "policy_server"):
        (await server.client().get(f"{WELL_KNOWN}/{document}")).refused(404, "M_NOT_FOUND")


async def test_well_known_documents(start_server: Start) -> None:
    contact = {"role": "m.role.admin", "matrix_id": "@admin:weft.test"}
    server = await start_server(
        {
            "server": {"public_url": "https://matrix.weft.test"},
            "well_known": {
                "server": "matrix.weft.test:443",
                "identity_server": "https://identity.weft.test",
                "support_page": "https://weft.test/help",
                "contacts": [contact],
            },
        }
    )
    nobody = server.client()
    answer = await nobody.get(f"{WELL_KNOWN}/client")
    assert answer.ok() == {
        "m.homeserver": {"base_url": "https://matrix.weft.test"},
        "m.identity_server": {"base_url": "https://identity.weft.test"},
    }
    assert answer.headers["access-control-allow-origin"] == "*"
    assert (await nobody.get(f"{WELL_KNOWN}/server")).ok() == {"m.server": "matrix.weft.test:443"}
    support = (await nobody.get(f"{WELL_KNOWN}/support")).ok()
    assert support == {"contacts": [contact], "support_page": "https://weft.test/help"}


async def test_capabilities(start_server: Start) -> None:
    server = await start_server({"rooms": {"default_version": "11"}, "sessions": {"login_tokens": True}})
    admin, alice = await server.user("admin"), await server.user("alice")
    path = "/_matrix/client/v3/capabilities"
    told = (await alice.get(path)).ok()["capabilities"]
    assert told["m.room_versions"]["default"] == "11"
    assert told["m.room_versions"]["available"]["12"] == "stable"
    assert told["m.room_versions"]["available"]["I.1"] == "unstable"
    assert told["m.change_password"] == {"enabled": True}
    assert told["m.3pid_changes"] == {"enabled": False}
    assert told["m.get_login_token"] == {"enabled": True}
    assert "m.account_moderation" not in told
    moderation = (await admin.get(path)).ok()["capabilities"]["m.account_moderation"]
    assert moderation == {"suspend": True, "lock": True}
    (await server.client().get(path)).refused(401, "M_MISSING_TOKEN")


async def test_a_policy_server_tells_its_key(start_server: Start) -> None:
    server = await start_server({"policy_server": {"hook": "tests.federation.test_policy_servers:judge"}})
    key = server.server.engine.remote.policy.signing_key
    assert key is not None
    told = (await server.client().get(f"{WELL_KNOWN}/policy_server")).ok()
    assert told == {"public_keys": {"ed25519": key.verify_key.to_base64()}}
