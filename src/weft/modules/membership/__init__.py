"""Getting into rooms and out of them; who is in a room; what those see of it who are not."""

from __future__ import annotations

from weft.modules.membership.admitting import Admitting
from weft.modules.membership.binding import Binding
from weft.modules.membership.client_api import AddressInvites, MembershipApi
from weft.modules.membership.elsewhere import Elsewhere
from weft.modules.membership.federation_api import FederationApi
from weft.modules.membership.identity_keys import IdentityKeys
from weft.modules.membership.members import Members
from weft.modules.membership.service import Memberships, member_profile
from weft.modules.membership.stripped_state import StrippedStates
from weft.modules.membership.viewing import Viewing
from weft.modules.module import Module

__all__ = [
    "Admitting",
    "Binding",
    "Elsewhere",
    "IdentityKeys",
    "Members",
    "Memberships",
    "StrippedStates",
    "Viewing",
    "member_profile",
    "module",
]


def module(
    memberships: Memberships,
    members: Members,
    stripped_states: StrippedStates,
    admitting: Admitting,
    binding: Binding,
    by_address: AddressInvites,
) -> Module:
    return Module(
        name="membership",
        routes=[*MembershipApi(memberships, members, by_address).routes(), *FederationApi(admitting, binding).routes()],
        appliers=(stripped_states.apply,),
    )
