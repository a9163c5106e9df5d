"""`pip install weft` is the protocol core: usable with nothing of the server installed or loaded."""

from __future__ import annotations

import subprocess
import sys

#: Runs first, in a process of its own, where whatever the core may not need can't be imported.
_ALONE = """
import sys

ALLOWED = {"weft", "msgspec", "orjson", "nacl", "_cffi_backend", "cffi", "pycparser", *sys.stdlib_module_names}

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] not in ALLOWED:
            raise ModuleNotFoundError(f"{name} is not installed with the core", name=name)

before = set(sys.modules)
sys.meta_path.insert(0, Absent())
"""

_IMPORT_EVERYTHING = """
import importlib, pkgutil
import weft.protocol
names = [module.name for module in pkgutil.walk_packages(weft.protocol.__path__, "weft.protocol.")]
for name in names:
    importlib.import_module(name)

loaded = set(sys.modules) - before
assert len(names) > 20, names
assert not [name for name in loaded if name.startswith("weft.") and not name.startswith("weft.protocol")], loaded
assert not loaded & {"asyncio", "socket", "sqlite3", "logging"}, loaded & {"asyncio", "socket", "sqlite3", "logging"}
"""

#: What an application does that puts Matrix into its own product: a room, from its first event to a resolved fork.
_USE = """
from weft.protocol.errors import AuthRuleViolation, PeerError
from weft.protocol.event import Event, check_content_hash, seal, verify
from weft.protocol.event_auth import auth_event_keys, authorise
from weft.protocol.room_versions import room_version
from weft.protocol.signatures import SigningKey
from weft.protocol.state_resolution import MemoryReader, resolve_maps

version = room_version("12")
key = SigningKey("ed25519:1", bytes(32))
alice, bob = "@alice:one.example", "@bob:one.example"
reader = MemoryReader()

def say(state, previous, event_type, sender, content, state_key):
    # Builds and signs an event, verifies and authorises it as a receiver would, and returns the state after it.
    keys = [] if previous is None else auth_event_keys(event_type, state_key, sender, content, version)
    pdu = {
        "type": event_type, "sender": sender, "content": content, "state_key": state_key, "origin_server_ts": 1,
        "depth": 1 if previous is None else previous.depth + 1,
        "prev_events": [] if previous is None else [previous.event_id],
        "auth_events": [state[k] for k in keys if k in state],
    }
    if previous is not None:
        pdu["room_id"] = previous.room_id
    made = seal(pdu, version, "one.example", key)
    received = Event.parse(made.pdu, version)
    assert received == made and check_content_hash(received)
    verify(received, lambda server, key_id: key.verify_key)
    known = reader.events(state.values())
    authorise(received, lambda k: known.get(state.get(k)))
    reader.add(received)
    return {**state, received.key: received.event_id}, received

state, create = say({}, None, "m.room.create", alice, {"room_version": "12"}, "")
state, joined = say(state, create, "m.room.member", alice, {"membership": "join"}, alice)
state, levels = say(state, joined, "m.room.power_levels", alice, {"users": {}}, "")
state, rules = say(state, levels, "m.room.join_rules", alice, {"join_rule": "public"}, "")
state, bobs = say(state, rules, "m.room.member", bob, {"membership": "join"}, bob)

try:
    say(state, bobs, "m.room.power_levels", bob, {"users": {bob: 50}}, "")
    raise SystemExit("a member without power changed the power levels")
except AuthRuleViolation as refusal:
    assert refusal.rule, refusal

tampered = dict(bobs.pdu, content={"membership": "leave"})
assert not check_content_hash(Event.parse(tampered, version))
try:
    verify(Event.parse(dict(bobs.pdu, sender="@eve:one.example"), version), lambda server, key_id: key.verify_key)
    raise SystemExit("a signature holds for another sender")
except PeerError:
    pass

# Alice bans Bob while he changes his name: whoever meets both branches ends with the ban.
banned, _ = say(state, bobs, "m.room.member", alice, {"membership": "ban"}, bob)
named, _ = say(state, bobs, "m.room.member", bob, {"membership": "join", "displayname": "Bob"}, bob)
resolved = resolve_maps(version, [banned, named], reader)
assert resolved == resolve_maps(version, [named, banned], reader) == banned, resolved
"""


def _alone(program: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _ALONE + program], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr


def test_the_core_imports_without_the_server() -> None:
    _alone(_IMPORT_EVERYTHING)


def test_the_core_builds_signs_verifies_authorises_and_resolves() -> None:
    _alone(_USE)
