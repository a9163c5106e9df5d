"""Every kind of work that is measured, by the name that the command line knows it by."""

from __future__ import annotations

from benchmarks.side_by_side.encrypting import Claims, DeviceChanges, ToDevices
from benchmarks.side_by_side.federating import Federation
from benchmarks.side_by_side.media import Media
from benchmarks.side_by_side.scenarios import Account, FanOut20, FanOut200, Reading, Rooms, Scenario, Send
from benchmarks.side_by_side.sliding import Sliding

SCENARIOS: dict[str, type[Scenario]] = {
    "send": Send,
    "rooms": Rooms,
    "reading": Reading,
    "fanout20": FanOut20,
    "fanout200": FanOut200,
    "account": Account,
    "sliding": Sliding,
    "claims": Claims,
    "todevices": ToDevices,
    "devicechanges": DeviceChanges,
    "federation": Federation,
    "media": Media,
}
