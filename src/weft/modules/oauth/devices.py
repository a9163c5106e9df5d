"""Devices as people see them on the pages."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from urllib.parse import urlencode

from weft.http.pages import Html, joined
from weft.modules.devices.store import DeviceRow
from weft.modules.oauth.signing_in import PAGES


def shown_devices(rows: Sequence[DeviceRow]) -> Html:
    """A list of devices, the one that was seen last first, each with a link to its own view."""
    if not rows:
        return PAGES.part("no_devices")
    items = [
        PAGES.part(
            "device_item",
            url="?" + urlencode({"action": "org.matrix.device_view", "device_id": row.device_id}),
            name=row.display_name or row.device_id,
            seen=_seen(row),
        )
        for row in sorted(rows, key=lambda row: -row.last_seen_ms)
    ]
    return PAGES.part("devices", items=joined(items))


def shown_device(row: DeviceRow) -> Html:
    """All that is known of a device."""
    return PAGES.part(
        "device_about",
        name=row.display_name or row.device_id,
        device=row.device_id,
        seen=_seen(row),
        agent=row.last_seen_user_agent or "unknown",
    )


def _seen(row: DeviceRow) -> str:
    if not row.last_seen_ms:
        return "not used yet"
    when = datetime.fromtimestamp(row.last_seen_ms / 1000, UTC)
    where = f" from {row.last_seen_ip}" if row.last_seen_ip else ""
    return f"last used {when.day} {when:%B %Y, %H:%M} UTC{where}"
