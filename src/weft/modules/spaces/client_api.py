"""The endpoint that walks a space.

A page's token says how many rooms came before it, and with which choices: the walk is made anew for each page, so
nothing is kept between two of them.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from weft.http.call import Call, Route, route
from weft.modules.spaces.hierarchy import MAX_DEPTH, MAX_ROOMS, Hierarchy
from weft.protocol.api.client import room_summary as api
from weft.protocol.errors import InvalidParam

_DEFAULT_PAGE: Final = 50
_MAX_PAGE: Final = 100
_TOKEN_PARTS: Final = 3


class _Page(NamedTuple):
    """Where a page begins, in the walk with these choices."""

    skipped: int
    max_depth: int
    suggested_only: int

    def spell(self) -> str:
        return "h" + "-".join(map(str, self))


class SpacesApi:
    def __init__(self, hierarchy: Hierarchy) -> None:
        self._hierarchy = hierarchy

    def routes(self) -> list[Route[Any, Any]]:
        return [route(api.GET_SPACE_HIERARCHY, self.get_space_hierarchy)]

    async def get_space_hierarchy(self, call: Call[api.GetSpaceHierarchyRequest]) -> api.GetSpaceHierarchyResponse:
        args = call.args
        if args.limit == 0:
            raise InvalidParam("limit must be greater than zero.")
        limit = min(args.limit or _DEFAULT_PAGE, _MAX_PAGE)
        page = _page(args)
        rooms, more = await self._hierarchy.walk(
            args.room_id,
            call.user_id,
            skipped=page.skipped,
            limit=limit,
            max_depth=page.max_depth,
            suggested_only=bool(page.suggested_only),
        )
        following = page._replace(skipped=page.skipped + len(rooms)).spell() if more else None
        return api.GetSpaceHierarchyResponse(rooms=rooms, next_batch=following)


def _page(args: api.GetSpaceHierarchyRequest) -> _Page:
    asked = _Page(0, MAX_DEPTH if args.max_depth is None else min(args.max_depth, MAX_DEPTH), int(args.suggested_only))
    if args.from_ is None:
        return asked
    parts = args.from_.removeprefix("h").split("-")
    if not args.from_.startswith("h") or len(parts) != _TOKEN_PARTS or not all(map(_is_number, parts)):
        raise InvalidParam("The token is not one that this server made.")
    page = _Page(*map(int, parts))
    if page[1:] != asked[1:]:
        raise InvalidParam("suggested_only and max_depth can't change between pages.")
    return page._replace(skipped=min(page.skipped, MAX_ROOMS))


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= len(str(MAX_ROOMS))
