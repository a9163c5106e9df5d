"""Keys for end-to-end encryption: those of devices, those that are used once, and who has to hear of changes.

https://spec.matrix.org/v1.19/client-server-api/#end-to-end-encryption
"""

from weft.modules.devices import DevicesService
from weft.modules.events import Sharing, UserRooms
from weft.modules.keys.asking import Asking
from weft.modules.keys.client_api import ClientApi
from weft.modules.keys.cross_signing import CrossSigning
from weft.modules.keys.cross_signing_api import CrossSigningApi
from weft.modules.keys.device_keys import DeviceKeys
from weft.modules.keys.device_lists import DeviceLists
from weft.modules.keys.federation import KeysFederation
from weft.modules.keys.federation_api import FederationApi
from weft.modules.keys.one_time_keys import OneTimeKeys
from weft.modules.keys.one_time_store import forget_all
from weft.modules.keys.own_users import OwnUsers
from weft.modules.keys.remote_lists import RemoteLists
from weft.modules.keys.signatures import Signatures
from weft.modules.keys.sync import KeysSync
from weft.modules.keys.updates import DEVICE_LIST_UPDATE, SIGNING_KEY_UPDATE, Updates
from weft.modules.module import Module, Task
from weft.modules.ui_auth import UiAuthService
from weft.rooms.engine import Engine

__all__ = ["CrossSigning", "DeviceKeys", "OneTimeKeys", "forget_all", "module"]


def module(
    engine: Engine,
    devices: DevicesService,
    one_time_keys: OneTimeKeys,
    cross_signing: CrossSigning,
    *,
    ui_auth: UiAuthService,
    user_rooms: UserRooms,
    sharing: Sharing,
    shows_device_names: bool,
) -> Module:
    device_keys = DeviceKeys(engine)
    devices.on_deleted.append(device_keys.removed)
    own_users, remote_lists = OwnUsers(engine), RemoteLists(engine, user_rooms)
    updates = Updates(engine, remote_lists)
    asking = Asking(engine, own_users, remote_lists, one_time_keys)
    device_lists = DeviceLists(engine, user_rooms, sharing)
    federation = KeysFederation(engine, sharing, own_users, names=shows_device_names)
    return Module(
        name="keys",
        routes=[
            *ClientApi(engine, device_keys, asking, device_lists).routes(),
            *CrossSigningApi(engine, cross_signing, Signatures(engine), asking, ui_auth).routes(),
            *FederationApi(engine, own_users, one_time_keys, names=shows_device_names, asked=federation.asked).routes(),
        ],
        sync=KeysSync(engine, sharing, device_lists),
        starts=(one_time_keys.guard.start,),
        tasks=[
            *remote_lists.tasks,
            Task(name="who asked for device lists", every_seconds=3600, run=federation.forget_askers),
        ],
        edus={DEVICE_LIST_UPDATE: updates.take_device, SIGNING_KEY_UPDATE: updates.take_signing_keys},
        outgoing=(federation,),
        appliers=(one_time_keys.apply,),
    )
