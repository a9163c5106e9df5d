"""A user's devices.

https://spec.matrix.org/v1.19/client-server-api/#device-management
"""

from __future__ import annotations

from weft.modules.devices.client_api import DevicesApi
from weft.modules.devices.service import DevicesService, check_device_id
from weft.modules.module import Module
from weft.modules.ui_auth import UiAuthService

__all__ = ["DevicesService", "check_device_id", "module"]


def module(devices: DevicesService, ui_auth: UiAuthService) -> Module:
    return Module(name="devices", routes=DevicesApi(devices, ui_auth).routes())
