"""`m.direct_to_device`, told to other servers and told by them.

https://spec.matrix.org/v1.19/server-server-api/#send-to-device-messaging
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from weft.modules.to_device import store
from weft.modules.to_device.service import ToDevice
from weft.modules.to_device.store import KIND_OUT
from weft.protocol.errors import BadJson, Forbidden
from weft.protocol.identifiers import domain_of
from weft.rooms.engine import Engine
from weft.storage.positions import Entry, Vector

EDU = "m.direct_to_device"


class _Content(msgspec.Struct):
    sender: Annotated[str, Meta(max_length=255)]
    type: Annotated[str, Meta(min_length=1, max_length=255)]
    message_id: Annotated[str, Meta(min_length=1, max_length=255)]
    messages: dict[str, dict[str, dict[str, Any]]]


class ToDeviceFederation:
    """Implements `weft.federation.sender.Outgoing`, and takes in what others send."""

    kinds = frozenset({KIND_OUT})

    def __init__(self, engine: Engine, to_device: ToDevice) -> None:
        self._database = engine.database
        self._to_device = to_device

    async def take(self, origin: str, content: Mapping[str, Any]) -> None:
        """Raises `BadJson` and `Forbidden`."""
        try:
            edu = msgspec.convert(content, _Content)
        except msgspec.ValidationError as error:
            raise BadJson(f"The messages are not in their format: {error}") from None
        if domain_of(edu.sender) != origin:
            raise Forbidden(f"{origin} does not speak for {edu.sender}.")
        await self._to_device.receive(origin, edu.message_id, edu.sender, edu.type, edu.messages)

    async def servers(self, entry: Entry) -> Iterable[str]:
        return (entry.key,) if entry.key is not None else ()

    async def edus(self, server_name: str, entries: Sequence[Entry]) -> Sequence[dict[str, Any]]:
        return _edus(await self._database.read(store.at_positions, [entry.position for entry in entries]))

    async def missed(self, server_name: str, since: Vector) -> Sequence[dict[str, Any]]:
        return _edus(await self._database.read(store.owed, server_name, since))


def _edus(contents: Iterable[bytes]) -> list[dict[str, Any]]:
    return [{"edu_type": EDU, "content": msgspec.Raw(content)} for content in contents]
