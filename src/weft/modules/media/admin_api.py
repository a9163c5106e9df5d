"""The endpoints by which administrators look after media: Synapse's, whose tools are in use.

https://element-hq.github.io/synapse/latest/admin_api/media_admin_api.html
"""

from __future__ import annotations

from typing import Any

from weft.http.call import Call, Route, route
from weft.modules.media.administration import Administration
from weft.modules.media.service import checked_mxc
from weft.modules.media.store import Medium
from weft.protocol.api.endpoint import Empty
from weft.protocol.api.synapse_admin import media as api
from weft.rooms.engine import Engine


class AdminApi:
    def __init__(self, engine: Engine, administration: Administration) -> None:
        self._engine = engine
        self._administration = administration

    def routes(self) -> list[Route[Any, Any]]:
        return [
            route(api.GET_MEDIA_INFO, self.info),
            route(api.DELETE_MEDIA, self.delete),
            route(api.DELETE_MEDIA_BY_DATE, self.delete_by_date),
            route(api.DELETE_MEDIA_OF_SERVER_BY_DATE, self.delete_by_date),
            route(api.GET_USER_MEDIA, self.of_user),
            route(api.DELETE_USER_MEDIA, self.delete_of_user),
            route(api.GET_ROOM_MEDIA, self.in_room),
            route(api.QUARANTINE_MEDIA, self.quarantine),
            route(api.UNQUARANTINE_MEDIA, self.release),
            route(api.QUARANTINE_ROOM_MEDIA, self.quarantine_room),
            route(api.QUARANTINE_USER_MEDIA, self.quarantine_user),
            route(api.PROTECT_MEDIA, self.protect),
            route(api.UNPROTECT_MEDIA, self.unprotect),
            route(api.PURGE_MEDIA_CACHE, self.purge),
        ]

    async def info(self, call: Call[api.MediaRequest]) -> api.MediaInfoResponse:
        medium, location = await self._administration.info(checked_mxc(call.args.server_name, call.args.media_id))
        return api.MediaInfoResponse(media_info=_info(medium, location))

    # -- deleting

    async def delete(self, call: Call[api.MediaRequest]) -> api.DeletedMediaResponse:
        mxc = checked_mxc(call.args.server_name, call.args.media_id)
        await self._administration.delete(mxc)
        return _deleted([mxc.media_id])

    async def delete_by_date(self, call: Call[Any]) -> api.DeletedMediaResponse:
        args: api.DeleteMediaByDateRequest = call.args
        return _deleted(
            await self._administration.delete_unused(args.before_ts, args.size_gt, keep_pictures=args.keep_profiles)
        )

    async def delete_of_user(self, call: Call[api.UserMediaRequest]) -> api.DeletedMediaResponse:
        media, _ = await self._page(call.args)
        return _deleted(await self._administration.delete_many(media))

    async def purge(self, call: Call[api.PurgeMediaCacheRequest]) -> api.PurgedResponse:
        return api.PurgedResponse(deleted=await self._administration.purge_copies(call.args.before_ts))

    # -- looking

    async def of_user(self, call: Call[api.UserMediaRequest]) -> api.UserMediaResponse:
        media, total = await self._page(call.args)
        upto = call.args.from_ + len(media)
        return api.UserMediaResponse(
            media=[_of_user(medium) for medium in media],
            total=total,
            next_token=upto if media and upto < total else None,
        )

    async def _page(self, args: api.UserMediaRequest) -> tuple[list[Medium], int]:
        return await self._administration.of_user(
            args.user_id, order=args.order_by, direction=args.dir, start=args.from_, limit=min(args.limit, 1000)
        )

    async def in_room(self, call: Call[api.RoomMediaRequest]) -> api.RoomMediaResponse:
        found = await self._administration.in_room(call.args.room_id)
        return api.RoomMediaResponse(
            local=[str(mxc) for mxc in found if self._engine.is_local_domain(mxc.server_name)],
            remote=[str(mxc) for mxc in found if not self._engine.is_local_domain(mxc.server_name)],
        )

    # -- quarantine

    async def quarantine(self, call: Call[api.MediaRequest]) -> Empty:
        mxc = checked_mxc(call.args.server_name, call.args.media_id)
        await self._administration.quarantine(mxc, call.user_id)
        return Empty()

    async def release(self, call: Call[api.MediaRequest]) -> Empty:
        await self._administration.release(checked_mxc(call.args.server_name, call.args.media_id))
        return Empty()

    async def quarantine_room(self, call: Call[api.RoomMediaRequest]) -> api.QuarantinedResponse:
        count = await self._administration.quarantine_room(call.args.room_id, call.user_id)
        return api.QuarantinedResponse(num_quarantined=count)

    async def quarantine_user(self, call: Call[api.QuarantineUserMediaRequest]) -> api.QuarantinedResponse:
        count = await self._administration.quarantine_user(call.args.user_id, call.user_id)
        return api.QuarantinedResponse(num_quarantined=count)

    async def protect(self, call: Call[api.OwnMediaRequest]) -> Empty:
        await self._administration.protect(call.args.media_id, True)
        return Empty()

    async def unprotect(self, call: Call[api.OwnMediaRequest]) -> Empty:
        await self._administration.protect(call.args.media_id, False)
        return Empty()


def _deleted(media_ids: list[str]) -> api.DeletedMediaResponse:
    return api.DeletedMediaResponse(deleted_media=media_ids, total=len(media_ids))


def _of_user(medium: Medium) -> api.UserMedia:
    return api.UserMedia(
        media_id=medium.media_id,
        media_type=medium.content_type,
        media_length=medium.size,
        upload_name=medium.file_name,
        created_ts=medium.created_ms,
        last_access_ts=medium.used_ms,
        quarantined_by=medium.quarantined_by,
        safe_from_quarantine=medium.protected,
    )


def _info(medium: Medium, location: str | None) -> api.MediaInfo:
    return api.MediaInfo(
        media_origin=medium.server_name,
        media_id=medium.media_id,
        user_id=medium.user_id,
        media_type=medium.content_type,
        media_length=medium.size,
        upload_name=medium.file_name,
        created_ts=medium.created_ms,
        filesystem_id=location,
        url_cache=None,
        last_access_ts=medium.used_ms,
        quarantined_by=medium.quarantined_by,
        authenticated=medium.authenticated,
        safe_from_quarantine=medium.protected,
        sha256=medium.hash,
    )
