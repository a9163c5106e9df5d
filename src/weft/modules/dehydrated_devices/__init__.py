"""Devices that nobody is logged in on. https://github.com/matrix-org/matrix-spec-proposals/pull/3814"""

from __future__ import annotations

from weft.modules.dehydrated_devices.client_api import DehydratedDevicesApi
from weft.modules.dehydrated_devices.service import DehydratedDevices
from weft.modules.module import Module

__all__ = ["DehydratedDevices", "module"]


def module(dehydrated: DehydratedDevices) -> Module:
    return Module(name="dehydrated_devices", routes=DehydratedDevicesApi(dehydrated).routes())
