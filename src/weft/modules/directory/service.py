"""Aliases and the public directory: who may change them, and what they say.

Nothing is kept in memory: look-ups are short reads by key, and uniqueness is the database's.

https://spec.matrix.org/v1.19/client-server-api/#room-aliases
https://spec.matrix.org/v1.19/client-server-api/#published-room-directory
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final, Literal

from weft.graph.build import Draft
from weft.http.call import Requester
from weft.modules.directory import store
from weft.modules.directory.remote import Located, RemoteDirectories
from weft.protocol.api.client.directory import PublicRoomsAsked, PublicRoomsResponse
from weft.protocol.application_services import NO_SERVICES, Registration, Registrations
from weft.protocol.errors import AuthRuleViolation, Forbidden, InvalidParam, MatrixError, NotFound, WeftError
from weft.protocol.identifiers import domain_of, is_valid_room_alias, is_valid_room_id
from weft.protocol.power_levels import PowerLevels
from weft.protocol.visibility import history_visibility
from weft.rooms.engine import Engine
from weft.rooms.room import Room
from weft.settings import Rooms as RoomSettings
from weft.storage.database import UniqueViolation

_CANONICAL: Final = "m.room.canonical_alias"
_TOKEN: Final = re.compile(r"([fb])([0-9]{1,12})-([0-9]{1,18})")
_DEFAULT_LIMIT: Final = 100
_MOST: Final = 500
#: How many rooms are brought up to date in one go.
_BATCH: Final = 200
_MOST_ALIASES: Final = 1000
#: How many aliases of other servers are looked up for one event.
_MOST_ASKED: Final = 10


class Directory:
    """Answers what aliases point to and which rooms are published, and changes both."""

    def __init__(
        self,
        engine: Engine,
        settings: RoomSettings,
        remote: RemoteDirectories,
        *,
        services: Registrations = NO_SERVICES,
        ask_service: Callable[[str], Awaitable[bool]] | None = None,
    ) -> None:
        """`ask_service` says whether an application service has just made an alias that is not known."""
        self._services = services
        self._ask_service = ask_service
        self._engine = engine
        engine.purging.tables |= {"room_aliases": "alias", "published_rooms": "room"}
        self._settings = settings
        self._remote = remote

    # -- aliases

    async def resolve(self, room_id_or_alias: str) -> str:
        """The room id that is meant. Raises `InvalidParam` for what is neither, `NotFound` for an unknown alias.

        Another server's alias is asked for there.
        """
        if room_id_or_alias.startswith("#"):
            if self._is_remote(room_id_or_alias):
                return (await self._remote.alias(room_id_or_alias)).room_id
            return (await self.alias(room_id_or_alias)).room_id
        if not is_valid_room_id(room_id_or_alias):
            raise InvalidParam("This is neither a room id nor a room alias.")
        return room_id_or_alias

    async def locate(self, room_id_or_alias: str) -> Located:
        """As `resolve`, with the servers that are in the room as far as is known; of most rooms' ids none are."""
        if self._is_remote(room_id_or_alias):
            room_id, named = await self._remote.alias(room_id_or_alias)
        else:
            room_id, named = await self.resolve(room_id_or_alias), []
        known = await self._engine.rooms.find(room_id)
        ours = await self.servers_of(room_id) if known is not None else []
        return Located(room_id, list(dict.fromkeys([*named, *ours])))

    def _is_remote(self, alias: str) -> bool:
        return is_valid_room_alias(alias) and not self._engine.is_local_domain(domain_of(alias))

    async def alias(self, alias: str) -> store.AliasRow:
        """What an alias points to. Raises `InvalidParam` or `NotFound`."""
        if not is_valid_room_alias(alias):
            raise InvalidParam("This is not a room alias.")
        found = await self._engine.database.get(store.alias, alias)
        if found is None and self._ask_service is not None and not self._is_remote(alias):
            made = await self._ask_service(alias)
            found = await self._engine.database.get(store.alias, alias) if made else None
        if found is None:
            raise NotFound(f"Room alias {alias} not found.")
        return found

    async def servers_of(self, room_id: str) -> list[str]:
        """The servers that are in a room, this one's domains first."""
        room = await self._engine.rooms.get(room_id)
        local = self._engine.server_names
        if room.counts["join"] == len(room.joined_local) and len(local) == 1:
            return list(local)
        present = {domain_of(user_id) for user_id, membership in room.memberships.items() if membership == "join"}
        return [name for name in local if name in present] + sorted(present.difference(local))

    async def aliases_of(self, requester: Requester, room_id: str) -> list[str]:
        """This server's aliases of a room, in alphabetical order, for those who are in it or may look into it."""
        room = await self._engine.rooms.find(room_id)
        if room is None or not await self._may_look(requester, room):
            raise Forbidden("You are not in that room.")
        return await self._engine.database.get(store.aliases_of, room.number)

    async def _may_look(self, requester: Requester, room: Room) -> bool:
        if requester.is_admin or room.membership(requester.user_id) == "join":
            return True
        event = await self._engine.rooms.state_event(room, "m.room.history_visibility")
        return history_visibility(event.content if event is not None else None) == "world_readable"

    def new_alias(self, requester: Requester, localpart: str) -> str:
        """The alias with that localpart on the user's own domain. Raises what forbids having it."""
        alias = f"#{localpart}:{domain_of(requester.user_id)}"
        if ":" in localpart:
            raise InvalidParam("The name in front of the domain must not contain a colon.")
        self.check_may_alias(requester, alias)
        return alias

    def check_may_alias(self, requester: Requester, alias: str) -> None:
        """Whether the user may make an alias of that name, whatever it is for.

        Raises `M_EXCLUSIVE` where the name is an application service's, or the service's user wants another's.
        """
        if not is_valid_room_alias(alias) or any(character.isspace() for character in alias):
            raise InvalidParam("This is not a room alias.")
        if not self._engine.is_local_domain(domain_of(alias)):
            raise InvalidParam("Aliases of other servers can't be changed here.")
        service = self._service_of(requester)
        if self._services.alias_is_taken(alias, by=requester.appservice_id) or (
            service is not None and not service.has_alias(alias)
        ):
            raise MatrixError(f"Room alias {alias} is not yours to make.", errcode="M_EXCLUSIVE")
        if self._settings.aliases == "administrators" and not requester.is_admin and service is None:
            raise Forbidden("Only administrators of this server may make room aliases.")

    def _service_of(self, requester: Requester) -> Registration | None:
        return self._services.get(requester.appservice_id) if requester.appservice_id is not None else None

    async def is_free(self, alias: str) -> bool:
        return await self._engine.database.get(store.alias, alias) is None

    async def add_alias(self, requester: Requester, alias: str, room_id: str) -> None:
        """Points a new alias to a room that the user is in."""
        self.check_may_alias(requester, alias)
        if not is_valid_room_id(room_id):
            raise InvalidParam("This is not a room id.")
        room = await self._engine.rooms.find(room_id)
        if room is None or (room.membership(requester.user_id) != "join" and not requester.is_admin):
            raise Forbidden("You must be in the room to make an alias for it.")
        try:
            await self._engine.database.write(store.add_alias, alias, room.number, requester.user_id)
        except UniqueViolation:
            raise MatrixError(f"Room alias {alias} already exists.", errcode="M_UNKNOWN", status=409) from None

    async def delete_alias(self, requester: Requester, alias: str) -> None:
        """Removes an alias, and takes it out of the room's canonical alias event where the user may."""
        if not is_valid_room_alias(alias) or not self._engine.is_local_domain(domain_of(alias)):
            raise InvalidParam("Aliases of other servers can't be changed here.")
        found = await self.alias(alias)
        room = await self._engine.rooms.get(found.room_id)
        service = self._service_of(requester)
        if self._services.alias_is_taken(alias, by=requester.appservice_id) and not requester.is_admin:
            raise MatrixError("Only the application service whose alias it is can delete it.", errcode="M_EXCLUSIVE")
        is_own = service is not None and service.has_alias(alias)
        may = is_own or found.creator == requester.user_id or await self._may_administer(requester, room)
        if not may:
            raise Forbidden("Only who made the alias or who may set the room's canonical alias can delete it.")
        if not await self._engine.database.write(store.delete_alias, alias, found.room):
            raise NotFound(f"Room alias {alias} not found.")
        await self._drop_canonical(requester.user_id, room.id, alias)

    async def check_canonical_alias(
        self, room_id: str | None, content: Mapping[str, Any], current: Mapping[str, Any], reserved: str | None = None
    ) -> None:
        """Raises `InvalidParam` or `M_BAD_ALIAS` unless each alias that `content` adds to `current` points to the room.

        `reserved` is an alias that is about to point there; `room_id` is None for a room that is not there yet.
        """
        known = set(_listed_aliases(current)) | {reserved}
        added = [alias for alias in _listed_aliases(content) if alias not in known]
        if not all(is_valid_room_alias(alias) for alias in added):
            raise InvalidParam("An alias in the event is not a room alias.")
        if not added:
            return
        targets = await self._targets(added)
        for alias in added:
            if room_id is None or targets.get(alias) != room_id:
                raise MatrixError(f"The alias {alias} does not point to this room.", errcode="M_BAD_ALIAS")

    async def _targets(self, aliases: Sequence[str]) -> Mapping[str, str]:
        """The rooms that some aliases lead to, as far as can be found out; of other servers' a few are asked for."""
        remote = [alias for alias in aliases if self._is_remote(alias)][:_MOST_ASKED]
        found = await asyncio.gather(*map(self._remote.alias, remote), return_exceptions=True)
        targets = {
            alias: one.room_id for alias, one in zip(remote, found, strict=True) if not isinstance(one, BaseException)
        }
        for one in found:
            if isinstance(one, BaseException) and not isinstance(one, WeftError):
                raise one
        return {**await self._engine.database.get(store.targets, aliases), **targets}

    async def _drop_canonical(self, user_id: str, room_id: str, alias: str) -> None:
        room = await self._engine.rooms.get(room_id)
        event = await self._engine.rooms.state_event(room, _CANONICAL)
        if event is None:
            return
        content = dict(event.content)
        if content.get("alias") == alias:
            del content["alias"]
        alternatives = content.get("alt_aliases")
        if isinstance(alternatives, list) and alias in alternatives:
            content["alt_aliases"] = [other for other in alternatives if other != alias]
        if content == event.content:
            return
        try:
            await self._engine.append.append(
                room_id, Draft(type=_CANONICAL, state_key="", sender=user_id, content=content)
            )
        except AuthRuleViolation:
            # The alias is gone all the same; who may set the event can follow.
            return

    # -- published rooms

    def is_ours(self, server_name: str) -> bool:
        """Whether the directory asked for is this server's: all its domains share one."""
        return self._engine.is_local_domain(server_name)

    async def is_published(self, room_id: str) -> bool:
        """Raises `NotFound` for a room that this server does not know."""
        room = await self._engine.rooms.get(room_id)
        return await self._engine.database.get(store.is_published, room.number)

    def check_may_publish(self, requester: Requester) -> None:
        """Whether the user may put rooms into the directory at all."""
        if self._settings.publishing == "nobody":
            raise Forbidden("This server does not publish rooms.")
        if self._settings.publishing == "administrators" and not requester.is_admin:
            raise Forbidden("Only administrators of this server may publish rooms.")

    async def set_visibility(
        self, requester: Requester, room_id: str, visibility: Literal["public", "private"]
    ) -> None:
        """Puts a room into the directory, or takes it out."""
        room = await self._engine.rooms.get(room_id)
        if not await self._may_administer(requester, room):
            raise Forbidden("Who changes the room's place in the directory must be able to set its canonical alias.")
        if visibility == "public":
            self.check_may_publish(requester)
            await self._engine.database.write(store.publish, room.number)
        else:
            await self._engine.database.write(store.unpublish, room.number)

    async def set_network_visibility(
        self, service_id: str, network_id: str, room_id: str, visibility: Literal["public", "private"]
    ) -> None:
        """Puts a room into an application service's directory of one network, or takes it out."""
        room = await self._engine.rooms.get(room_id)
        change = store.publish_in_network if visibility == "public" else store.unpublish_in_network
        await self._engine.database.write(change, room.number, store.Network(service_id, network_id))

    async def numbered_aliases(self, room: int) -> list[str]:
        """This server's aliases of a room, by its number."""
        return await self._engine.database.get(store.aliases_of, room)

    async def page_of(self, server: str | None, asked: PublicRoomsAsked) -> PublicRoomsResponse:
        """A page of a server's directory, ours if it is None."""
        if server is None or self.is_ours(server):
            return await self.page(asked)
        return await self._remote.page(server, asked)

    async def page(self, asked: PublicRoomsAsked, *, federated: bool = False) -> PublicRoomsResponse:
        """A page of the directory, the largest rooms first. Raises `InvalidParam` for a token that is not ours.

        `federated`: for somebody of another server.
        """
        if asked.third_party_instance_id is not None and asked.include_all_networks:
            raise InvalidParam("third_party_instance_id can't be used with include_all_networks.")
        mark, backwards = _parse(asked.since)
        words = asked.filter.generic_search_term if asked.filter else None
        wanted = store.Wanted(
            words=words.casefold() if words else None,
            room_types=asked.filter.room_types if asked.filter else None,
            federated=federated,
            network=_network(asked.third_party_instance_id),
            all_networks=asked.include_all_networks,
        )
        await self._refresh()
        most = min(asked.limit or _DEFAULT_LIMIT, _MOST)
        page = await self._engine.database.read(store.page, wanted, mark=mark, backwards=backwards, limit=most)
        return PublicRoomsResponse(
            chunk=page.chunk,
            next_batch=_spell("f", page.last) if page.more_after else None,
            prev_batch=_spell("b", page.first) if page.more_before else None,
            total_room_count_estimate=page.total,
        )

    async def _refresh(self) -> None:
        """Brings what is listed up to date with the rooms; usually there is nothing to do."""
        while rooms := await self._engine.database.read(store.outdated, _BATCH):
            await self._engine.database.write(store.save, rooms)
            if len(rooms) < _BATCH:
                return

    async def _may_administer(self, requester: Requester, room: Room) -> bool:
        """Whether the user may speak for the room: an administrator, or who may set its canonical alias."""
        if requester.is_admin:
            return True
        if room.membership(requester.user_id) != "join":
            return False
        create = await self._engine.rooms.state_event(room, "m.room.create")
        current = await self._engine.rooms.state_event(room, "m.room.power_levels")
        if create is None:
            return False
        levels = PowerLevels.of(current, create, room.version)
        return levels.user(requester.user_id) >= levels.event(_CANONICAL, is_state=True)


def _network(instance_id: str | None) -> store.Network | None:
    """The network that an instance names, as `/thirdparty/protocols` spells it; another is one without rooms."""
    if instance_id is None:
        return None
    service_id, _, network_id = instance_id.partition("|")
    return store.Network(service_id, network_id)


def _listed_aliases(content: Mapping[str, Any]) -> list[str]:
    """The aliases that an `m.room.canonical_alias` event names. Raises `InvalidParam` for other shapes."""
    alias, alternatives = content.get("alias"), content.get("alt_aliases")
    if alternatives is None:
        alternatives = []
    if not isinstance(alternatives, list) or not all(isinstance(one, str) for one in alternatives):
        raise InvalidParam("alt_aliases must be a list of room aliases.")
    if alias is not None and not isinstance(alias, str):
        raise InvalidParam("alias must be a room alias.")
    if len(alternatives) > _MOST_ALIASES:
        raise InvalidParam("There are too many aliases.")
    return [*([alias] if alias else []), *alternatives]


def _parse(token: str | None) -> tuple[store.Mark | None, bool]:
    if token is None:
        return None, False
    match = _TOKEN.fullmatch(token)
    if match is None:
        raise InvalidParam("The token is not one that this server made.")
    return store.Mark(int(match[2]), int(match[3])), match[1] == "b"


def _spell(direction: str, mark: store.Mark | None) -> str | None:
    return f"{direction}{mark.joined}-{mark.room}" if mark is not None else None
