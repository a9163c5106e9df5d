"""What people do in rooms, and find."""

from __future__ import annotations

from typing import Annotated, Literal

from weft.settings.values import Doc, Duration, Section


class Rooms(Section, frozen=True, kw_only=True):
    """What holds for rooms made here."""

    default_version: Annotated[str, Doc(text="The version of rooms whose maker asked for none.")] = "12"
    publishing: Annotated[
        Literal["everyone", "administrators", "nobody"],
        Doc(text="Who may put a room into this server's public directory."),
    ] = "everyone"
    aliases: Annotated[
        Literal["everyone", "administrators"],
        Doc(text="Who may give a room an address (#name:domain) here."),
    ] = "everyone"


class Retention(Section, frozen=True, kw_only=True):
    """How long messages are kept. What is older is not shown, and removed from the database within hours; state stays.
    Other servers that are in the room keep what they have."""

    enabled: Annotated[
        bool,
        Doc(
            text="Whether messages expire: where a room's m.room.retention says so, or default_lifetime.",
            risk="What has been removed does not come back when this is turned off. Those who may change a room's "
            "state can have its messages removed here.",
        ),
    ] = False
    default_lifetime: Annotated[
        Duration | None, Doc(text="For rooms that say nothing of it; none: their messages are kept.", example='"365d"')
    ] = None
    shortest_lifetime: Annotated[
        Duration | None, Doc(text="Messages are kept for so long at least, whatever a room says.", example='"1d"')
    ] = None
    longest_lifetime: Annotated[
        Duration | None, Doc(text="Messages are kept for no longer, whatever a room's policy says.", example='"365d"')
    ] = None


class PolicyLists(Section, frozen=True, kw_only=True):
    """Moderation policy lists (ban lists) that this server enforces. Users and servers on them neither invite people
    of this server nor are invited by them; rooms on them can't be joined. Who is in a room already stays."""

    rooms: Annotated[
        tuple[str, ...],
        Doc(
            text="The ids of the lists' rooms. Somebody of this server has to be in each.",
            example='["!list:example.org"]',
            risk="Whoever may change a list says whom your users can meet.",
        ),
    ] = ()


class Presence(Section, frozen=True, kw_only=True):
    """Who is online."""

    enabled: Annotated[bool, Doc(text="Whether people see when others are online.")] = True


class ThreadSubscriptions(Section, frozen=True, kw_only=True):
    """Users follow the threads that concern them (MSC4306)."""

    enabled: Annotated[
        bool,
        Doc(
            text="Whether people are notified of messages in the threads that they subscribed to, and of those in "
            "others only where they are mentioned. Clients must know of it: with any other client somebody hears of "
            "threads by mentions alone."
        ),
    ] = False


class Search(Section, frozen=True, kw_only=True):
    """Full-text search in messages."""

    enabled: Annotated[
        bool,
        Doc(text="Whether messages are indexed. The index takes disk, and each message a little more time."),
    ] = True


class ServerNotices(Section, frozen=True, kw_only=True):
    """Messages from the server itself to its users."""

    localpart: Annotated[str, Doc(text="The account that they come from, without its domain.")] = "notices"
    display_name: Annotated[str, Doc(text="That account's name.")] = "Server notices"
    room_name: Annotated[str, Doc(text="The name of the room they arrive in.")] = "Server notices"
