"""What this server's own users may not put into an event's content, though the authorisation rules would let it pass.

These rules bind those who send through this server only: an event from elsewhere is never refused by them.

https://spec.matrix.org/v1.19/client-server-api/#server-access-control-lists-acls-for-rooms
https://github.com/matrix-org/matrix-spec-proposals/blob/main/proposals/1767-extensible-events.md
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from weft.protocol.errors import BadJson
from weft.protocol.room_versions import RoomVersion
from weft.protocol.server_acl import is_allowed

#: Types that rooms with extensible events have left behind, and what took their place.
_DEPRECATED: Final[Mapping[str, str]] = {"m.room.message": "m.message (or m.emote, m.file, m.image, m.video, m.audio)"}
_TEXT_BLOCKS: Final[Mapping[str, str]] = {
    "m.message": "m.text",
    "m.emote": "m.text",
    "org.matrix.msc1767.message": "org.matrix.msc1767.text",
    "org.matrix.msc1767.emote": "org.matrix.msc1767.text",
}


def check_content(version: RoomVersion, event_type: str, content: Mapping[str, Any]) -> None:
    """Raises `BadJson` for what does not belong into a room with extensible events. Any other room takes anything."""
    if not version.extensible_events:
        return
    if event_type in _DEPRECATED:
        raise BadJson(f"Rooms of this version have no {event_type}; send {_DEPRECATED[event_type]}.")
    block = _TEXT_BLOCKS.get(event_type)
    if block is None:
        return
    # The unstable type may come with the stable block.
    representations = content.get(block, content.get("m.text"))
    if not isinstance(representations, list) or not all(isinstance(one, dict) for one in representations):
        raise BadJson(f"{event_type} needs {block}: a list of objects with a body.")


def check_server_acl(content: Mapping[str, Any], server_names: Iterable[str]) -> None:
    """Raises `BadJson` for an access control list that is misshapen or shuts out one of the servers given."""
    for name in ("allow", "deny"):
        patterns = content.get(name, [])
        if not isinstance(patterns, list) or not all(isinstance(pattern, str) for pattern in patterns):
            raise BadJson(f"{name} must be a list of server names.")
    if not isinstance(content.get("allow_ip_literals", True), bool):
        raise BadJson("allow_ip_literals must be true or false.")
    for server_name in server_names:
        if not is_allowed(content, server_name):
            raise BadJson(f"This would shut {server_name}, the sender's own server, out of the room.")
