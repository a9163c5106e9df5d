"""Messages from device to device. https://spec.matrix.org/v1.19/client-server-api/#send-to-device-messaging"""

from __future__ import annotations

from weft.modules.module import Module, Task
from weft.modules.to_device.client_api import ToDeviceApi
from weft.modules.to_device.federation import EDU, ToDeviceFederation
from weft.modules.to_device.service import ToDevice
from weft.modules.to_device.sync import ToDeviceSync
from weft.rooms.engine import Engine

__all__ = ["ToDevice", "module"]


def module(engine: Engine, to_device: ToDevice) -> Module:
    federation = ToDeviceFederation(engine, to_device)
    return Module(
        name="to_device",
        routes=ToDeviceApi(to_device).routes(),
        sync=ToDeviceSync(to_device),
        edus={EDU: federation.take},
        outgoing=(federation,),
        appliers=(to_device.apply,),
        tasks=(Task(name="messages that other servers have", every_seconds=60, run=to_device.prune),),
    )
