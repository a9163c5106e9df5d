"""`weft graph` and `weft rooms`: looking into a room, on a running server or a stopped one."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from urllib.parse import quote, urlencode

import click
import msgspec

from weft.cli import running
from weft.cli.assembled import assembly
from weft.cli.options import Commands, Refused, Source, settings_options
from weft.protocol.api.client.room_inspection import (
    COMPARE_ROOM,
    DRAW_ROOM,
    MAX_DRAWN,
    MAX_SERVERS,
    CompareRoomResponse,
    ServerComparison,
)
from weft.server.config import Settings


@click.command()
@click.argument("room_id", metavar="ROOM")
@click.option(
    "--limit",
    type=click.IntRange(1, MAX_DRAWN),
    default=200,
    show_default=True,
    help="How many of the newest events to draw.",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The file to write; by default, one named after the room.",
)
@settings_options
def graph(source: Source, room_id: str, limit: int, output: Path | None) -> None:
    """Draw a room's event graph as an SVG file.

    ROOM is a room id. Forks part and merges meet; what was rejected or soft-failed is drawn apart, and so is what
    events build on that this server does not have.
    """
    svg = asyncio.run(_draw(source.load(), room_id, limit))
    output = output or Path(f"{_file_name(room_id)}.svg")
    output.write_text(svg, encoding="utf-8")
    click.echo(f"{output} shows the room. Open it in a browser; pointing at an event tells more of it.")


@click.group(cls=Commands)
def rooms() -> None:
    """Look into rooms."""


@rooms.command()
@click.argument("room_id", metavar="ROOM")
@click.argument("servers", metavar="[SERVER]...", nargs=-1)
@settings_options
@click.pass_context
def compare(context: click.Context, source: Source, room_id: str, servers: tuple[str, ...]) -> None:
    """Ask other servers for a room's state, and say whether and where it differs from ours.

    Without a SERVER, those with most members in the room are asked. Ends with code 1 if a state differs, and with 2 if
    none differs but some could not be compared.
    """
    if len(servers) > MAX_SERVERS:
        raise Refused(f"name at most {MAX_SERVERS} servers at a time")
    found = asyncio.run(_compare(source.load(), room_id, servers))
    for line in describe(found):
        click.echo(line)
    if any(one.same is False for one in found.servers):
        context.exit(1)
    if any(one.same is None for one in found.servers):
        context.exit(2)


def describe(found: CompareRoomResponse) -> list[str]:
    """A comparison in lines to read."""
    ends = ", ".join(found.ends)
    lines = [f"{found.room_id} (room version {found.room_version}). Our copy ends with {ends}."]
    if not found.servers:
        lines.append("No other server is in the room.")
    for one in found.servers:
        lines.extend(_describe_one(one))
    return lines


def _describe_one(one: ServerComparison) -> list[str]:
    lines = []
    if one.same is None:
        lines.append(f"{one.server_name}: could not be compared: {one.error}.")
    elif one.same:
        lines.append(f"{one.server_name}: the same state.")
    else:
        count = len(one.differences) + one.more
        lines.append(f"{one.server_name}: DIFFERS in {count} place{'s' if count != 1 else ''} of the state.")
    lines += [f"    its copy ends with {end.event_id}, which is {_HERE[end.here]}" for end in one.ends]
    lines += [f"    compared before {event_id}" for event_id in one.compared_before]
    for place in one.differences:
        theirs = f"{place.theirs} (which is {_HERE[place.their_event_here]})" if place.their_event_here else "nothing"
        lines.append(f"    {place.type} {place.state_key!r}: ours {place.ours or 'nothing'}, theirs {theirs}")
    if one.more:
        lines.append(f"    … and {one.more} more")
    return lines


_HERE = {
    "accepted": "in our copy",
    "soft-failed": "in our copy, soft-failed",
    "rejected": "rejected here",
    "outlier": "known here, without its place in the graph",
    "unknown": "not here",
}


async def _draw(settings: Settings, room_id: str, limit: int) -> str:
    listener = running.find(settings)
    if listener is not None:
        path = f"{_path(DRAW_ROOM.path, room_id)}?{urlencode({'limit': limit})}"
        return running.ask(settings, listener, path).decode()
    async with assembly().inspection(settings) as inspection:
        return await inspection.graph.draw(room_id, limit)


async def _compare(settings: Settings, room_id: str, servers: tuple[str, ...]) -> CompareRoomResponse:
    listener = running.find(settings)
    if listener is not None:
        path = _path(COMPARE_ROOM.path, room_id)
        if servers:
            path = f"{path}?{urlencode([('server', one) for one in servers])}"
        return msgspec.json.decode(running.ask(settings, listener, path), type=CompareRoomResponse)
    async with assembly().inspection(settings) as inspection:
        return await inspection.comparison.compare(room_id, servers)


def _path(template: str, room_id: str) -> str:
    return template.replace("{roomId}", quote(room_id, safe=""))


def _file_name(room_id: str) -> str:
    """A room id without what a shell or a file system takes for something else."""
    kept = "".join(letter if letter.isalnum() or letter in "-_." else "-" for letter in room_id.lstrip("!"))
    return os.path.basename(kept) or "room"
