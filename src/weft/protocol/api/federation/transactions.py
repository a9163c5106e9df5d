"""Transactions: how events and ephemeral messages get from one server to another.

https://spec.matrix.org/v1.19/server-server-api/#transactions
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta, field

from weft.protocol.api.endpoint import Api, Auth, Endpoint, Path, Struct, federation
from weft.protocol.api.federation.types import MAX_EDUS, MAX_PDUS, MAX_TRANSACTION, Pdu
from weft.protocol.api.types import TransactionId


class Edu(Struct):
    """An ephemeral message."""

    edu_type: str
    content: dict[str, Any]


class SendTransactionRequest(Struct, omit_defaults=False):
    """Each of `edus` is an `Edu`, to be decoded one by one: a bad one does not spoil the rest."""

    txn_id: Path[TransactionId] = field(name="txnId")
    origin: str = ""
    origin_server_ts: int = 0
    pdus: Annotated[list[Pdu], Meta(max_length=MAX_PDUS)] = field(default_factory=list)
    edus: Annotated[list[msgspec.Raw], Meta(max_length=MAX_EDUS)] = field(default_factory=list)


class PduResult(Struct):
    """`error` is why an event was not taken; without it the event is dealt with."""

    error: str | None = None


class SendTransactionResponse(Struct, omit_defaults=False):
    pdus: dict[str, PduResult] = field(default_factory=dict)


SEND_TRANSACTION = Endpoint(
    operation_id="sendTransaction",
    method="PUT",
    paths=federation("/send/{txnId}"),
    request=SendTransactionRequest,
    response=SendTransactionResponse,
    auth=Auth.SERVER,
    api=Api.FEDERATION,
    max_body=MAX_TRANSACTION,
)

ENDPOINTS = (SEND_TRANSACTION,)
