"""What is measured, and what is asked of Weft: the table of the design, as data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Row:
    """A number that both servers are measured by.

    `at_least` and `aim` say how many times better than Synapse Weft has to be: a rate so many times as high, or a time
    or size so many times as small. None where nothing is asked and the number is there to be seen.
    """

    title: str
    unit: str
    better: Literal["more", "less"]
    at_least: float | None = None
    aim: float | None = None

    def times_better(self, synapse: float, weft: float) -> float:
        """How many times better Weft is; under 1, it is worse."""
        return weft / synapse if self.better == "more" else synapse / weft


ROWS: dict[str, Row] = {
    "send_rate": Row("send, one sender", "messages/s", "more"),
    "send_p50": Row("send, one sender, p50", "ms", "less", 5, 10),
    "send_p99": Row("send, one sender, p99", "ms", "less"),
    "send_room": Row("send, 16 senders, one room", "messages/s", "more", 20, 40),
    "send_rooms": Row("send, 16 senders, a room each", "messages/s", "more", 20, 40),
    "create_room": Row("createRoom, 16 people", "rooms/s", "more", 20, 40),
    "join": Row("join, 16 people", "joins/s", "more", 20, 40),
    "sync_empty": Row("empty incremental sync", "syncs/s", "more", 8, 10),
    "sync_initial": Row("initial sync of ten rooms", "syncs/s", "more", 15, 30),
    "messages": Row("/messages, a page of 100", "pages/s", "more", 20, 40),
    "fan_out_20": Row("fan-out to 20 waiting clients", "deliveries/s", "more", 40, 100),
    "fan_out_20_steps": Row("the same, next message once all have the last", "deliveries/s", "more"),
    "fan_out_200": Row("fan-out to 200 waiting clients", "deliveries/s", "more", 40, 100),
    "fan_out_200_steps": Row("the same, next message once all have the last", "deliveries/s", "more"),
    "account_initial": Row("whole account, first sync, nothing cached", "ms", "less", 15, 30),
    "account_changes": Row("whole account, one new event a room, nothing cached", "ms", "less", 15, 30),
    "sliding_first": Row("sliding sync, 20 of many rooms, p50", "ms", "less"),
    "sliding_first_p95": Row("the same, p95", "ms", "less"),
    "sliding_empty": Row("sliding sync, nothing new", "syncs/s", "more"),
    "memory_idle": Row("memory, idle", "MB", "less", 1.5, 2),
    "memory_worked": Row("memory, after the same work", "MB", "less", 1.5, 2),
    "disk": Row("disk, the same rooms and messages", "MB", "less", 2, 3),
    "disk_empty": Row("disk, an empty server", "MB", "less"),
    "claims": Row("one-time keys, 16 claimants", "claims/s", "more", 15),
    "to_devices": Row("messages to 1,000 devices at once", "messages/s", "more", 15),
    "to_devices_p50": Row("messages to 1,000 devices at once, p50", "ms", "less"),
    "device_changes": Row("a device changes, until 20 waiting clients have heard", "changes/s", "more", 15),
    "taken_in": Row("events taken in over federation", "events/s", "more", 15),
    "join_2000": Row("joining a remote room of 2,000 members", "s", "less", 4),
    "join_20000": Row("joining a remote room of 20,000 members", "s", "less", 4),
    "upload": Row("upload of 1 MB, 4 people", "files/s", "more"),
    "download": Row("download of 1 MB, 4 people", "files/s", "more"),
    "thumbnail_p50": Row("a photo of 12 megapixels: upload and its thumbnail, p50", "ms", "less"),
    "start": Row("start to first answer", "s", "less"),
}
