"""The rate limits: which there are, what they protect, and how generous they are unless an operator says otherwise.

An endpoint names the row that it draws on; some rows are drawn on by the code behind an endpoint too (a failed login,
an invite inside createRoom). A row is a bucket: `burst` requests at once, refilled at `per_second`, one bucket for each
`key`. The defaults suit people and their clients on a small public server; bridges and bots get their own from the
operator.

https://spec.matrix.org/v1.19/client-server-api/#rate-limiting
"""

from __future__ import annotations

from enum import Enum

import msgspec


class Key(Enum):
    """Who shares a bucket."""

    ADDRESS = "the client's address"
    USER = "the account; the client's address where there is none"
    SERVER = "the server that asks"


class RateLimit(msgspec.Struct, frozen=True, kw_only=True):
    """`per_second` and `burst` are requests; `why` is what an operator reads beside the setting."""

    per_second: float
    burst: int
    key: Key
    why: str


RATE_LIMITS: dict[str, RateLimit] = {
    # Who one is.
    "login": RateLimit(
        per_second=0.17,
        burst=10,
        key=Key.ADDRESS,
        why="Guessing passwords and tokens; each try also costs a slow hash.",
    ),
    "registration": RateLimit(
        per_second=0.17, burst=5, key=Key.ADDRESS, why="Accounts made in bulk, and probing which names are taken."
    ),
    "registration_token": RateLimit(
        per_second=0.1, burst=5, key=Key.ADDRESS, why="Guessing registration tokens and the server's shared secret."
    ),
    "validation": RateLimit(
        per_second=0.02,
        burst=10,
        key=Key.ADDRESS,
        why="Messages to e-mail addresses and phones, also by the address that they go to, and guessing their codes.",
    ),
    "refresh": RateLimit(per_second=0.5, burst=20, key=Key.ADDRESS, why="Guessing refresh tokens."),
    "oauth_client": RateLimit(
        per_second=0.2,
        burst=20,
        key=Key.ADDRESS,
        why="Clients register at each login; what they say of themselves is kept.",
    ),
    "rendezvous": RateLimit(
        per_second=5,
        burst=50,
        key=Key.ADDRESS,
        why="Signing in by a QR code: two devices ask each second, and what anybody hands them is kept.",
    ),
    "user_code": RateLimit(
        per_second=0.1,
        burst=15,
        key=Key.ADDRESS,
        why="Guessing the codes that devices show; counted for each account too.",
    ),
    "account": RateLimit(
        per_second=0.1, burst=10, key=Key.USER, why="Work on the account that costs a hash or many room events."
    ),
    # Rooms.
    "message": RateLimit(
        per_second=0.5, burst=20, key=Key.USER, why="Floods of messages, state and redactions, carried to every server."
    ),
    "room_creation": RateLimit(
        per_second=0.05, burst=10, key=Key.USER, why="A new or upgraded room is a dozen events and stays for ever."
    ),
    "join": RateLimit(
        per_second=0.1, burst=20, key=Key.USER, why="Joining and knocking may ask other servers for a whole room."
    ),
    "invite": RateLimit(per_second=0.3, burst=20, key=Key.USER, why="Unwanted invites reach people who never asked."),
    "moderation": RateLimit(
        per_second=2,
        burst=50,
        key=Key.USER,
        why="Leaving, kicking and banning: must be quick when a room is under attack.",
    ),
    # What one looks at.
    "directory": RateLimit(
        per_second=1, burst=30, key=Key.USER, why="Looking up aliases, summaries and directories may ask other servers."
    ),
    "search": RateLimit(per_second=0.5, burst=10, key=Key.USER, why="Full-text search reads much of the database."),
    "user_directory": RateLimit(
        per_second=2,
        burst=50,
        key=Key.USER,
        why="Clients ask at each key stroke; slow enough against copying the directory.",
    ),
    "history": RateLimit(
        per_second=20, burst=100, key=Key.USER, why="Threads, hierarchies and times in a room's past read many rows."
    ),
    "lookup": RateLimit(per_second=20, burst=100, key=Key.USER, why="Small answers that clients ask for often."),
    # What one says about oneself.
    "profile": RateLimit(
        per_second=0.2, burst=10, key=Key.USER, why="A new name or picture is one event in each room that one is in."
    ),
    "presence": RateLimit(
        per_second=0.2, burst=5, key=Key.USER, why="Each change goes to everybody who shares a room."
    ),
    "typing": RateLimit(per_second=2, burst=20, key=Key.USER, why="Each change goes to everybody in the room."),
    "receipt": RateLimit(per_second=5, burst=50, key=Key.USER, why="Each receipt goes to everybody in the room."),
    "to_device": RateLimit(
        per_second=10, burst=200, key=Key.USER, why="Messages to devices are kept until each device has come for them."
    ),
    "settings": RateLimit(per_second=5, burst=100, key=Key.USER, why="Account data and rules are written and synced."),
    "report": RateLimit(per_second=0.1, burst=10, key=Key.USER, why="A person has to read each report."),
    # Files.
    "upload": RateLimit(
        per_second=2, burst=100, key=Key.USER, why="What is uploaded takes disk; an album comes as many files at once."
    ),
    "download": RateLimit(
        per_second=50,
        burst=500,
        key=Key.USER,
        why="Downloads take bandwidth, thumbnails the processor; a list of rooms asks for hundreds of pictures.",
    ),
    "preview": RateLimit(
        per_second=2, burst=50, key=Key.USER, why="Each link that nobody asked for lately has this server fetch a page."
    ),
    # Other servers.
    "federation": RateLimit(
        per_second=50,
        burst=500,
        key=Key.SERVER,
        why="What other servers ask for (not what they send): events, state, directories, keys of users.",
    ),
    "server_keys": RateLimit(
        per_second=10,
        burst=50,
        key=Key.ADDRESS,
        why="Asking this server for other servers' signing keys, which it may have to fetch first.",
    ),
}
