"""The endpoints by which other servers' users get into our rooms, and ours are invited into theirs.

https://spec.matrix.org/v1.19/server-server-api/#joining-rooms and the sections that follow it
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec
import orjson

from weft.http.call import Call, Route, route
from weft.modules.membership.admitting import Admitting, Entered, template_json
from weft.modules.membership.binding import Binding
from weft.protocol.api.endpoint import Empty, Raw
from weft.protocol.api.federation import inviting, joining, knocking, leaving, third_party_invites
from weft.protocol.errors import NotJson

#: What a version 1 invite is of: such rooms have one event format.
_OLDEST: Final = "1"


class FederationApi:
    def __init__(self, admitting: Admitting, binding: Binding) -> None:
        self._admitting = admitting
        self._binding = binding

    def routes(self) -> Sequence[Route[Any, Any]]:
        return [
            route(joining.MAKE_JOIN, self.make_join),
            route(joining.SEND_JOIN_V1, self.send_join_v1),
            route(joining.SEND_JOIN_V2, self.send_join_v2),
            route(leaving.MAKE_LEAVE, self.make_leave),
            route(leaving.SEND_LEAVE_V1, self.send_leave_v1),
            route(leaving.SEND_LEAVE_V2, self.send_leave_v2),
            route(knocking.MAKE_KNOCK, self.make_knock),
            route(knocking.SEND_KNOCK, self.send_knock),
            route(inviting.SEND_INVITE_V1, self.send_invite_v1),
            route(inviting.SEND_INVITE_V2, self.send_invite_v2),
            route(third_party_invites.EXCHANGE_THIRD_PARTY_INVITE, self.exchange_third_party_invite),
            route(third_party_invites.ON_BIND_THIRD_PARTY_IDENTIFIER, self.on_bind_third_party_identifier),
            route(third_party_invites.ON_BIND_THIRD_PARTY_IDENTIFIER_BY_POST, self.on_bind_third_party_identifier),
        ]

    async def make_join(self, call: Call[joining.MakeJoinRequest]) -> joining.MakeJoinResponse:
        args = call.args
        version, pdu = await self._admitting.make_join(call.origin, args.room_id, args.user_id, args.ver)
        return joining.MakeJoinResponse(room_version=version.identifier, event=template_json(pdu))

    async def send_join_v2(self, call: Call[joining.SendJoinV2Request]) -> Raw:
        args = call.args
        entered = await self._admitting.send_join(
            call.origin, args.room_id, args.event_id, args.event, omit_members=args.omit_members
        )
        return Raw(body=_joined_json(entered))

    async def send_join_v1(self, call: Call[joining.SendJoinV1Request]) -> Raw:
        args = call.args
        entered = await self._admitting.send_join(call.origin, args.room_id, args.event_id, args.event)
        return Raw(body=b"[200,%s]" % _joined_json(entered))

    async def make_leave(self, call: Call[leaving.MakeLeaveRequest]) -> leaving.MakeLeaveResponse:
        version, pdu = await self._admitting.make_leave(call.origin, call.args.room_id, call.args.user_id)
        return leaving.MakeLeaveResponse(room_version=version.identifier, event=template_json(pdu))

    async def send_leave_v2(self, call: Call[leaving.SendLeaveV2Request]) -> Empty:
        await self._admitting.send_leave(call.origin, call.args.room_id, call.args.event_id, call.args.event)
        return Empty()

    async def send_leave_v1(self, call: Call[leaving.SendLeaveV1Request]) -> tuple[int, Empty]:
        await self._admitting.send_leave(call.origin, call.args.room_id, call.args.event_id, call.args.event)
        return 200, Empty()

    async def make_knock(self, call: Call[knocking.MakeKnockRequest]) -> knocking.MakeKnockResponse:
        args = call.args
        version, pdu = await self._admitting.make_knock(call.origin, args.room_id, args.user_id, args.ver)
        return knocking.MakeKnockResponse(room_version=version.identifier, event=template_json(pdu))

    async def send_knock(self, call: Call[knocking.SendKnockRequest]) -> knocking.SendKnockResponse:
        args = call.args
        preview = await self._admitting.send_knock(call.origin, args.room_id, args.event_id, args.event)
        return knocking.SendKnockResponse(knock_room_state=preview)

    async def send_invite_v2(self, call: Call[inviting.SendInviteV2Request]) -> inviting.SendInviteV2Response:
        args = call.args
        signed = await self._admitting.take_invite(
            call.origin, args.room_id, args.event_id, args.room_version, args.event, args.invite_room_state
        )
        return inviting.SendInviteV2Response(event=msgspec.Raw(signed))

    async def send_invite_v1(
        self, call: Call[inviting.SendInviteV1Request]
    ) -> tuple[int, inviting.SendInviteV2Response]:
        args = call.args
        state = _unsigned_state(args.event)
        signed = await self._admitting.take_invite(call.origin, args.room_id, args.event_id, _OLDEST, args.event, state)
        return 200, inviting.SendInviteV2Response(event=msgspec.Raw(signed))

    async def exchange_third_party_invite(
        self, call: Call[third_party_invites.ExchangeThirdPartyInviteRequest]
    ) -> Empty:
        await self._admitting.exchange_third_party_invite(call.origin, call.args)
        return Empty()

    async def on_bind_third_party_identifier(
        self, call: Call[third_party_invites.OnBindThirdPartyIdentifierRequest]
    ) -> Empty:
        await self._binding.bound(call.args)
        return Empty()


class _Unsigned(msgspec.Struct):
    invite_room_state: list[msgspec.Raw] = msgspec.field(default_factory=list)


class _Invite(msgspec.Struct):
    unsigned: _Unsigned = msgspec.field(default_factory=_Unsigned)


def _unsigned_state(pdu: msgspec.Raw) -> list[msgspec.Raw]:
    try:
        return msgspec.json.decode(pdu, type=_Invite).unsigned.invite_room_state
    except msgspec.ValidationError:
        return []
    except (ValueError, RecursionError):
        raise NotJson("The event is not JSON.") from None


def _joined_json(entered: Entered) -> bytes:
    parts = [
        b'"auth_chain":' + entered.auth_chain,
        b'"state":' + entered.state,
        b'"event":' + entered.event,
        b'"members_omitted":' + (b"true" if entered.members_omitted else b"false"),
    ]
    if entered.members_omitted:
        parts.append(b'"servers_in_room":' + orjson.dumps(entered.servers))
    return b"{%s}" % b",".join(parts)
