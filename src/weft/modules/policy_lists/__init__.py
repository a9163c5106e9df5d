"""Moderation policy lists that this server enforces.

https://spec.matrix.org/v1.19/client-server-api/#moderation-policy-lists
"""

from __future__ import annotations

from collections.abc import Sequence

from weft.modules.membership import Memberships
from weft.modules.module import Module
from weft.modules.policy_lists.service import PolicyLists
from weft.rooms.engine import Engine

__all__ = ["PolicyLists", "module"]


def module(engine: Engine, rooms: Sequence[str], memberships: Memberships) -> Module:
    """`rooms` are the ids of the lists' rooms."""
    lists = PolicyLists(engine, rooms)
    if not rooms:
        return Module(name="policy_lists")
    memberships.closed.append(lists.check_room)
    memberships.unwelcome.append(lists.check_invite)
    return Module(name="policy_lists", starts=[lists.load], stops=[lists.close], appliers=[lists.apply])
