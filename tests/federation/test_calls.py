"""Users of other servers join calls: their own server says who they are."""

from __future__ import annotations

from pathlib import Path

from tests.federation.kit import Kit
from tests.modules.test_voip import SECRET, TOKEN, asked, openid, read, written
from weft.modules.voip.livekit import hashed


async def test_a_user_of_another_server_joins_a_call(servers: Kit, tmp_path: Path) -> None:
    # Nobody listens there: a room is made for users of one's own server only.
    voip = {"livekit_url": "ws://127.0.0.1:9", "livekit_key": "weft", "livekit_secret_file": written(tmp_path, SECRET)}
    one = (await servers(1, voip=voip))[0]
    two = (await servers(1))[0]
    bob = await two.user("bob")
    token = await openid(bob)
    answer = (await one.client().post(TOKEN, asked(token, bob.user_id))).ok()
    assert read(answer["jwt"])["sub"] == hashed(bob.user_id, "DEVICE", "member")
    wrong = {**token, "access_token": "made up"}
    (await one.client().post(TOKEN, asked(wrong, bob.user_id))).refused(401, "M_UNAUTHORIZED")
