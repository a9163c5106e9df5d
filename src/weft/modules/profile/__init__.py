"""Names, pictures and other fields of users. https://spec.matrix.org/v1.19/client-server-api/#profiles"""

from weft.modules.module import Module, Task
from weft.modules.profile.client_api import ClientApi
from weft.modules.profile.federation_api import FederationApi
from weft.modules.profile.propagation import Propagation
from weft.modules.profile.remote import RemoteProfiles
from weft.modules.profile.service import Profiles

__all__ = ["Profiles", "Propagation", "RemoteProfiles", "module"]


def module(profiles: Profiles, remote: RemoteProfiles, propagation: Propagation, *, shows_profiles: bool) -> Module:
    """`shows_profiles`: to other servers."""
    others = FederationApi(profiles, shows_profiles=shows_profiles)
    return Module(
        name="profile",
        routes=[*ClientApi(profiles, remote, propagation).routes(), *others.routes()],
        tasks=(Task(name="profile", every_seconds=60.0, run=propagation.take_up),),
        appliers=(profiles.apply,),
    )
