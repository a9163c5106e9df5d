"""The grammar of every identifier: server names, user, room and event ids, aliases, keys, opaque ids and URIs.

`parse_…` returns the parts or raises `errors.InvalidParam`; `is_valid_…` answers the same question without
the parts. Nothing here says whether the thing named exists. A room id or event id that only serves to look
something up needs no grammar: an id that no grammar knows is simply not found.

Rules: https://spec.matrix.org/v1.19/appendices/#identifier-grammar
"""

from weft.protocol.identifiers.entities import (
    MAX_ID_BYTES,
    EventId,
    RoomAlias,
    RoomId,
    UserId,
    domain_of,
    is_compliant_user_id,
    is_valid_event_id,
    is_valid_localpart_for_registration,
    is_valid_room_alias,
    is_valid_room_id,
    is_valid_user_id,
    localpart_from,
    localpart_of,
    parse_event_id,
    parse_room_alias,
    parse_room_id,
    parse_user_id,
)
from weft.protocol.identifiers.media import Mxc, is_valid_mxc, parse_mxc
from weft.protocol.identifiers.opaque import (
    KeyId,
    is_namespaced_identifier,
    is_opaque_identifier,
    is_valid_client_secret,
    is_valid_device_id,
    is_valid_key_version,
    is_valid_transaction_id,
    parse_key_id,
)
from weft.protocol.identifiers.server_names import (
    ServerName,
    is_ip_literal,
    is_valid_server_name,
    parse_server_name,
)
from weft.protocol.identifiers.uris import (
    MatrixUri,
    format_matrix_to,
    format_matrix_uri,
    parse_matrix_to,
    parse_matrix_uri,
)

__all__ = [
    "MAX_ID_BYTES",
    "EventId",
    "KeyId",
    "MatrixUri",
    "Mxc",
    "RoomAlias",
    "RoomId",
    "ServerName",
    "UserId",
    "domain_of",
    "format_matrix_to",
    "format_matrix_uri",
    "is_compliant_user_id",
    "is_ip_literal",
    "is_namespaced_identifier",
    "is_opaque_identifier",
    "is_valid_client_secret",
    "is_valid_device_id",
    "is_valid_event_id",
    "is_valid_key_version",
    "is_valid_localpart_for_registration",
    "is_valid_mxc",
    "is_valid_room_alias",
    "is_valid_room_id",
    "is_valid_server_name",
    "is_valid_transaction_id",
    "is_valid_user_id",
    "localpart_from",
    "localpart_of",
    "parse_event_id",
    "parse_key_id",
    "parse_matrix_to",
    "parse_matrix_uri",
    "parse_mxc",
    "parse_room_alias",
    "parse_room_id",
    "parse_server_name",
    "parse_user_id",
]
