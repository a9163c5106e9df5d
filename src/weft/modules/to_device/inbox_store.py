"""The rows of messages that wait for devices here. What arrives for a user appends one log entry of kind `to_device`.

What one request sends to the devices of one user is written once, however many those are. A narrow row beside it names
the devices that have not acknowledged it yet; both go when none is left.

A device's messages are told in the order of `stamp`, which is the order of arrival: an entry has a higher stamp than
every entry that its process knew of. One writer's entries have it in the order of their positions, so that a vector
parts what a device has from what it has not.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

import msgspec
import orjson

from weft.storage.database import Transaction, WriteTransaction
from weft.storage.positions import Vector, ranges_between, ranges_beyond

#: Something arrived for a user's devices.
KIND: Final = "to_device"
#: Every device of a user.
ALL_DEVICES: Final = "*"
#: How many contents are read at a time: together they may be far larger than what one answer holds.
_AT_ONCE: Final = 10
#: Stands before and behind each device's id.
_BREAK: Final = "\n"
#: Between two strings of a list, and nowhere within one.
_COMMA: Final = '","'
_NEXT: Final = f'"{_BREAK}"'


class Arrived(NamedTuple):
    """What a request sends to some devices of a user. `json` is made by `encoded`."""

    user_id: str
    devices: Sequence[str]
    position: int
    stamp: int
    json: bytes


class Message(NamedTuple):
    """A message that waits. `json` is the event that its device is told."""

    position: int
    sender: str
    json: bytes


class _Sent(msgspec.Struct):
    sender: str
    type: str
    #: By device id.
    messages: dict[str, msgspec.Raw]


_SENT: Final = msgspec.json.Decoder(_Sent)


def encoded(sender: str, event_type: str, messages: Mapping[str, Mapping[str, Any] | msgspec.Raw]) -> bytes:
    """What is kept of a user's messages; those are by device id, as they are or as JSON."""
    return msgspec.json.encode({"sender": sender, "type": event_type, "messages": messages})


def put(tx: WriteTransaction, arrived: Sequence[Arrived]) -> None:
    """Has messages wait."""
    tx.many(
        "INSERT INTO to_device_messages (position, json) VALUES (:position, :json)",
        [{"position": one.position, "json": one.json} for one in arrived],
    )
    tx.many(
        """INSERT INTO to_device_waiting (user_id, position, stamp, devices)
           VALUES (:user_id, :position, :stamp, :devices)""",
        [
            {
                "user_id": one.user_id,
                "position": one.position,
                "stamp": one.stamp,
                "devices": _spelled(one.devices),
            }
            for one in arrived
        ],
    )


def next_ones(
    tx: Transaction, user_id: str, device_id: str, since: Vector, upto: Vector, *, most: int, most_bytes: int
) -> tuple[list[Message], bool]:
    """What a device is to be told next, the oldest first; and whether that is all between the two vectors."""
    waiting: list[tuple[int, int]] = []
    for stretch in _stretches(user_id, device_id, since, upto):
        waiting += tx.all(
            f"SELECT stamp, position FROM to_device_waiting WHERE {_WAITING} ORDER BY position LIMIT :most",
            most=most + 1,
            **stretch,
        )
    positions = [position for _, position in sorted(waiting)]
    found: list[Message] = []
    size = 0
    for start in range(0, len(positions), _AT_ONCE):
        for message in _messages(tx, device_id, positions[start : start + _AT_ONCE]):
            if found and (len(found) == most or size + len(message.json) > most_bytes):
                return found, False
            found.append(message)
            size += len(message.json)
    return found, True


def _messages(tx: Transaction, device_id: str, positions: Sequence[int]) -> list[Message]:
    """What a device is sent at some positions, in their order."""
    rows = tx.all("SELECT position, json FROM to_device_messages WHERE position IN :positions", positions=positions)
    found = {position: _message(position, bytes(json), device_id) for position, json in rows}
    return [found[position] for position in positions]


def _message(position: int, json: bytes, device_id: str) -> Message:
    sent = _SENT.decode(json)
    content = sent.messages[device_id if device_id in sent.messages else ALL_DEVICES]
    event = {"content": content, "sender": sent.sender, "type": sent.type}
    return Message(position, sent.sender, msgspec.json.encode(event))


def is_waiting(tx: Transaction, user_id: str, device_id: str, since: Vector, upto: Vector | None = None) -> bool:
    """Whether anything waits for a device that is beyond a vector, and in another where one is given."""
    return any(
        tx.one(f"SELECT 1 FROM to_device_waiting WHERE {_WAITING} LIMIT 1", **stretch)
        for stretch in _stretches(user_id, device_id, since, upto)
    )


def remove(tx: WriteTransaction, user_id: str, device_id: str, since: Vector, upto: Vector | None = None) -> None:
    """Has nothing wait for a device that is beyond a vector, and in another where one is given."""
    for stretch in _stretches(user_id, device_id, since, upto):
        tx.put(f"UPDATE to_device_waiting SET devices = replace(devices, :device, :nobody) WHERE {_WAITING}", **stretch)
        tx.put(
            f"DELETE FROM to_device_messages WHERE position IN (SELECT position FROM to_device_waiting WHERE {_DONE})",
            **stretch,
        )
        tx.put(f"DELETE FROM to_device_waiting WHERE {_DONE}", **stretch)


def remove_devices(tx: WriteTransaction, user_id: str, device_ids: Iterable[str]) -> None:
    """Forgets what waits for devices that are gone."""
    for device_id in device_ids:
        remove(tx, user_id, device_id, Vector())


_STRETCH: Final = "user_id = :user_id AND position > :after AND position < :before"
_WAITING: Final = f"{_STRETCH} AND devices <> replace(devices, :device, :nobody)"
_DONE: Final = f"{_STRETCH} AND devices = :nobody"


def _stretches(user_id: str, device_id: str, since: Vector, upto: Vector | None) -> Iterator[dict[str, Any]]:
    """What `_WAITING` asks for: of each writer, what is beyond the one vector and in the other."""
    for after, before in ranges_beyond(since) if upto is None else ranges_between(since, upto):
        yield {
            "user_id": user_id,
            "device": _spelled([device_id]),
            "nobody": _BREAK,
            "after": after,
            "before": before,
        }


def _spelled(device_ids: Sequence[str]) -> str:
    """Ids as JSON strings, which hold no line break, each between two."""
    strings = orjson.dumps(device_ids).decode()[1:-1]
    return f"{_BREAK}{strings.replace(_COMMA, _NEXT)}{_BREAK}"
