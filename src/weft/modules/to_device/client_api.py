"""https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv3sendtodeviceeventtypetxnid"""

from __future__ import annotations

from typing import Any

from weft.http.call import Call, Route, route
from weft.modules.to_device.service import ToDevice
from weft.protocol.api.client import to_device as api
from weft.protocol.api.endpoint import Empty
from weft.storage.transaction_ids import TransactionKey


class ToDeviceApi:
    def __init__(self, to_device: ToDevice) -> None:
        self._to_device = to_device

    def routes(self) -> list[Route[Any, Any]]:
        return [route(api.SEND_TO_DEVICE, self.send_to_device)]

    async def send_to_device(self, call: Call[api.SendToDeviceRequest]) -> Empty:
        args, requester = call.args, call.requester
        endpoint = f"sendToDevice/{args.event_type}"
        key = TransactionKey(requester.user_id, requester.device_id or "", endpoint, args.txn_id)
        await self._to_device.send(requester.user_id, args.event_type, args.messages, transaction=key)
        return Empty()
