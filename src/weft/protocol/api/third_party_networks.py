"""What clients and application services say to each other of third-party networks, through this server.

https://spec.matrix.org/v1.19/client-server-api/#third-party-networks
https://spec.matrix.org/v1.19/application-service-api/#third-party-networks
"""

from __future__ import annotations

from typing import Any

from weft.protocol.api.endpoint import Struct


class FieldType(Struct):
    regexp: str
    placeholder: str


class Instance(Struct):
    """One network of a protocol. `instance_id` is given by this server, and names it in the room directory."""

    network_id: str
    desc: str
    fields: dict[str, Any]
    icon: str | None = None
    instance_id: str | None = None


class Protocol(Struct):
    user_fields: list[str]
    location_fields: list[str]
    icon: str
    field_types: dict[str, FieldType]
    instances: list[Instance]


class Location(Struct):
    """A room that is a place of a third-party network."""

    alias: str
    protocol: str
    fields: dict[str, Any]


class ThirdPartyUser(Struct):
    """A user who stands for one of a third-party network."""

    userid: str
    protocol: str
    fields: dict[str, Any]
