"""The endpoints of rendezvous sessions, and what they look like to clients that know MSC4108 alone."""

from __future__ import annotations

from email.utils import formatdate
from typing import Any, Final

import msgspec

from weft.http.call import Call, Route, route
from weft.modules.rendezvous.service import ConcurrentWrite, Rendezvous
from weft.modules.rendezvous.store import Session
from weft.protocol.api.client import rendezvous as api
from weft.protocol.api.endpoint import Empty, Raw
from weft.protocol.errors import Forbidden, InvalidParam, MissingParam

_TEXT: Final = "text/plain"
#: A message is for one device and one moment.
_NOT_KEPT: Final = {"Cache-Control": "no-store, no-transform", "Pragma": "no-cache"}


class RendezvousApi:
    """`base` is the address at which clients reach this server, without a slash at its end."""

    def __init__(self, rendezvous: Rendezvous, base: str) -> None:
        self._rendezvous = rendezvous
        self._base = base

    def routes(self) -> list[Route[Any, Any]]:
        return [
            route(api.DISCOVER_RENDEZVOUS, self.discover),
            route(api.CREATE_RENDEZVOUS, self.create),
            route(api.GET_RENDEZVOUS, self.get),
            route(api.UPDATE_RENDEZVOUS, self.update),
            route(api.REPEATABLE_UPDATE_RENDEZVOUS, self.update_repeatably),
            route(api.DELETE_RENDEZVOUS, self.delete),
            route(api.CREATE_TEXT_RENDEZVOUS, self.create_text),
            route(api.GET_TEXT_RENDEZVOUS, self.get_text),
            route(api.UPDATE_TEXT_RENDEZVOUS, self.update_text),
            route(api.DELETE_TEXT_RENDEZVOUS, self.delete_text),
        ]

    async def discover(self, call: Call[Empty]) -> api.DiscoverRendezvousResponse:
        return api.DiscoverRendezvousResponse(create_available=self._rendezvous.may_create(call.maybe_requester))

    async def create(self, call: Call[api.CreateRendezvousRequest]) -> api.CreateRendezvousResponse:
        session = await self._rendezvous.create(call.maybe_requester, call.args.data)
        return api.CreateRendezvousResponse(
            id=session.id, sequence_token=str(session.sequence), expires_in_ms=self._rendezvous.left_ms(session)
        )

    async def get(self, call: Call[api.GetRendezvousRequest]) -> api.GetRendezvousResponse:
        _check_not_shown(call.args)
        session = await self._rendezvous.get(call.args.id)
        return api.GetRendezvousResponse(
            data=session.data,
            sequence_token=str(session.sequence),
            expires_in_ms=self._rendezvous.left_ms(session),
        )

    async def update(self, call: Call[api.UpdateRendezvousRequest]) -> api.UpdateRendezvousResponse:
        return await self._update(call.args.id, call.args.sequence_token, call.args.data)

    async def update_repeatably(
        self, call: Call[api.RepeatableUpdateRendezvousRequest]
    ) -> api.UpdateRendezvousResponse:
        return await self._update(call.args.id, call.args.sequence_token, call.args.data)

    async def _update(self, id_: str, sequence_token: str, data: str) -> api.UpdateRendezvousResponse:
        session = await self._rendezvous.update(id_, _sequence(sequence_token), data)
        return api.UpdateRendezvousResponse(sequence_token=str(session.sequence))

    async def delete(self, call: Call[api.DeleteRendezvousRequest]) -> Empty:
        await self._rendezvous.delete(call.args.id)
        return Empty()

    # -- MSC4108

    async def create_text(self, call: Call[api.CreateTextRendezvousRequest]) -> Raw:
        session = await self._rendezvous.create(call.maybe_requester, _text(call.args.data, call.args.content_type))
        url = f"{self._base}{api.TEXT_PATH}/{session.id}"
        return Raw(body=msgspec.json.encode({"url": url}), status=201, headers=_headers(session))

    async def get_text(self, call: Call[api.GetTextRendezvousRequest]) -> Raw:
        _check_not_shown(call.args)
        session = await self._rendezvous.get(call.args.id)
        if call.args.if_none_match == _etag(session):
            return Raw(status=304, content_type="", headers=_headers(session))
        return Raw(body=session.data.encode(), content_type=_TEXT, headers=_headers(session))

    async def update_text(self, call: Call[api.UpdateTextRendezvousRequest]) -> Raw:
        args = call.args
        if args.if_match is None:
            raise MissingParam("The header If-Match says which message this one answers.")
        data = _text(args.data, args.content_type)
        try:
            session = await self._rendezvous.update(args.id, _sequence(args.if_match.strip('"')), data)
        except ConcurrentWrite as error:
            body = {
                "errcode": "M_UNKNOWN",
                "org.matrix.msc4108.errcode": "M_CONCURRENT_WRITE",
                "error": error.message,
            }
            return Raw(body=msgspec.json.encode(body), status=412, headers=_headers(error.session))
        return Raw(status=202, content_type=_TEXT, headers=_headers(session))

    async def delete_text(self, call: Call[api.DeleteRendezvousRequest]) -> Raw:
        await self._rendezvous.delete(call.args.id)
        return Raw(status=204, content_type="")


def _sequence(token: str) -> int:
    """The write that a token is of; one that nobody was given is of none."""
    return int(token) if token.isascii() and token.isdigit() and len(token) < 10 else -1


def _etag(session: Session) -> str:
    return f'"{session.sequence}"'


def _headers(session: Session) -> dict[str, str]:
    return {
        **_NOT_KEPT,
        "ETag": _etag(session),
        "Expires": formatdate(session.expires_ms / 1000, usegmt=True),
        "Last-Modified": formatdate(session.changed_ms / 1000, usegmt=True),
        "Access-Control-Expose-Headers": "ETag",
    }


def _text(data: bytes, content_type: str | None) -> str:
    if content_type is None or content_type.split(";")[0].strip().lower() != _TEXT:
        raise InvalidParam("A message is sent as text/plain.")
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise InvalidParam("A message is UTF-8.") from None


def _check_not_shown(request: api.GetRendezvousRequest | api.GetTextRendezvousRequest) -> None:
    """Refuses what a browser asks for to show it: nobody shall be led to a page that others have filled."""
    if (
        request.sec_fetch_dest not in (None, "empty")
        or request.sec_fetch_mode == "navigate"
        or request.sec_fetch_site == "none"
        or request.sec_fetch_user == "?1"
    ):
        raise Forbidden("Sessions are read by clients, not shown in browsers.")
