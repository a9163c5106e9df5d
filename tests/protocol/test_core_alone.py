"""`pip install weft` is the protocol core: each module of it imports with nothing of the server installed or loaded."""

from __future__ import annotations

import subprocess
import sys

#: Runs in a process of its own, where whatever the core may not need can't be imported.
_IMPORT_EVERYTHING = """
import importlib, importlib.metadata, pkgutil, sys

ALLOWED = {"weft", "msgspec", "orjson", "nacl", "_cffi_backend", "cffi", "pycparser", *sys.stdlib_module_names}

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] not in ALLOWED:
            raise ModuleNotFoundError(f"{name} is not installed with the core", name=name)

before = set(sys.modules)
sys.meta_path.insert(0, Absent())
import weft.protocol
names = [module.name for module in pkgutil.walk_packages(weft.protocol.__path__, "weft.protocol.")]
for name in names:
    importlib.import_module(name)

loaded = set(sys.modules) - before
assert len(names) > 20, names
assert not [name for name in loaded if name.startswith("weft.") and not name.startswith("weft.protocol")], loaded
assert not loaded & {"asyncio", "socket", "sqlite3", "logging"}, loaded & {"asyncio", "socket", "sqlite3", "logging"}
print(len(names))
"""


def test_the_core_imports_without_the_server() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _IMPORT_EVERYTHING], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
