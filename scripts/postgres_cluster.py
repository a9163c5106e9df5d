"""A PostgreSQL cluster for tests that goes away with the process it was made for.

    python scripts/postgres_cluster.py PID FOLDER

makes a cluster in FOLDER, starts it on a socket in there, prints its URL and ends. A watcher stops it and removes the
folder once the process PID is gone, however that ended. Nothing in it is safe from a power cut, on purpose.

PostgreSQL refuses to run as root: then it runs as `postgres`, or as `nobody`.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import quote

_SETTINGS = {
    "listen_addresses": "",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "max_connections": "300",
    "shared_buffers": "64MB",
    "autovacuum": "off",
}
#: No PostgreSQL on this machine.
EXIT_MISSING = 3


def main(arguments: list[str]) -> None:
    if arguments[:1] == ["--watch"]:
        watch(int(arguments[1]), Path(arguments[2]))
        return
    pid, folder = int(arguments[0]), Path(arguments[1]).absolute()
    binaries = find_binaries()
    if binaries is None:
        sys.exit(EXIT_MISSING)
    start(binaries, folder)
    subprocess.Popen(
        [sys.executable, __file__, "--watch", str(pid), str(folder)],
        start_new_session=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    print(f"postgresql://weft@/postgres?host={quote(str(folder), safe='')}")


def find_binaries() -> Path | None:
    """The folder of `initdb` and `pg_ctl`: on the PATH, or where Debian keeps them, the newest version first."""
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda p: -int(p.parent.name))
    on_path = [Path(folder) for folder in os.get_exec_path()]
    return next((f for f in (*installed, *on_path) if (f / "initdb").exists() and (f / "pg_ctl").exists()), None)


def start(binaries: Path, folder: Path) -> None:
    """Makes the cluster and waits until it answers."""
    folder.mkdir(mode=0o700)
    if user := _other_user():
        os.chown(folder, user.pw_uid, user.pw_gid)
    data = folder / "data"
    options = ["--auth=trust", "--username=weft", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync"]
    _run(folder, [binaries / "initdb", *options, data])
    settings = "".join(f"{name} = '{value}'\n" for name, value in _SETTINGS.items())
    with (data / "postgresql.conf").open("a", encoding="utf-8") as file:
        file.write(f"{settings}unix_socket_directories = '{folder}'\n")
    _run(folder, [binaries / "pg_ctl", "start", "--wait", "--silent", "--pgdata", data, "--log", folder / "log"])


def watch(pid: int, folder: Path) -> None:
    """Waits for a process to be gone, then stops the cluster and removes it."""
    while _is_alive(pid) and folder.exists():
        time.sleep(0.3)
    binaries = find_binaries()
    if binaries is not None and folder.exists():
        _run(folder, [binaries / "pg_ctl", "stop", "--mode=immediate", "--silent", "--pgdata", folder / "data"])
    shutil.rmtree(folder, ignore_errors=True)


def _other_user() -> pwd.struct_passwd | None:
    """Who runs PostgreSQL when we are root."""
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name: entry for entry in pwd.getpwall()}
    return known.get("postgres") or known["nobody"]


def _run(folder: Path, command: list[Path | str]) -> None:
    user = _other_user()
    with (folder.parent / f"{folder.name}.out").open("w+b") as output:
        # pg_ctl's server inherits the output: a file, since a pipe would stay open with it.
        done = subprocess.run(
            command,
            cwd="/",
            stdout=output,
            stderr=output,
            check=False,
            user=user.pw_uid if user else None,
            group=user.pw_gid if user else None,
            extra_groups=[] if user else None,
        )
        output.seek(0)
        text = output.read().decode(errors="replace")
    (folder.parent / f"{folder.name}.out").unlink(missing_ok=True)
    if done.returncode != 0:
        sys.exit(f"{Path(command[0]).name} failed: {text.strip()}")


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


if __name__ == "__main__":
    main(sys.argv[1:])
