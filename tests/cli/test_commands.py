"""The command line, as people use it: what it makes, what it says, and that a refusal is one line and not a trace."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import json
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from tests.cli.commands import free_port, refused, run
from weft import __version__
from weft.cli import serve, users
from weft.protocol.errors import UserInUse
from weft.server import signing_keys
from weft.server.assembly import TABLES
from weft.server.config import Settings, SettingsError, load
from weft.settings import Listener
from weft.storage.database import DatabaseInUse
from weft.storage.open import open_database


class FakeServer:
    """Stands in for the assembled server: what the commands ask of it is written down."""

    def __init__(self) -> None:
        self.did: list[tuple[object, ...]] = []
        self.refusal: Exception | None = None

    def run(self, settings: Settings, *, ready: Callable[[Sequence[str]], None]) -> None:
        self.did.append(("run", settings.server.names))
        ready(["http://127.0.0.1:8008"])

    @contextlib.asynccontextmanager
    async def accounts(self, settings: Settings) -> AsyncIterator[FakeServer]:
        yield self

    async def create(self, user_id: str, password: str, *, admin: bool | None) -> str:
        self.did.append(("create", user_id, password, admin))
        if self.refusal:
            raise self.refusal
        return user_id

    async def set_password(self, user_id: str, password: str) -> None:
        self.did.append(("set_password", user_id, password))


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> FakeServer:
    fake = FakeServer()
    for module in (serve, users):
        monkeypatch.setattr(module, "assembly", lambda: fake)
    return fake


# init


def test_init_makes_settings_keys_and_a_secret_that_only_the_owner_reads(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "data"
    result = run("init", "--data", folder, "--server-name", "a.example", "--server-name", "b.example:8448")
    assert result.exit_code == 0
    assert "weft.toml, registration.secret, a.example.key, b.example:8448.key" in result.stdout
    settings = load(folder / "weft.toml", environ={})
    assert settings.server.names == ("a.example", "b.example:8448")
    for name in settings.server.names:
        key = signing_keys.read(settings.signing_key_file(name))
        assert key.verify_key.verifies(b"x", key.sign(b"x"))
    assert settings.registration.shared_secret_file is not None
    private = [settings.registration.shared_secret_file, *(folder / "keys").iterdir()]
    assert {stat.S_IMODE(file.stat().st_mode) for file in private} == {0o600}
    assert {stat.S_IMODE(f.stat().st_mode) for f in (folder, folder / "keys")} == {0o700}


def test_init_changes_nothing_that_is_there(data: Path) -> None:
    before = {file: file.read_bytes() for file in data.rglob("*") if file.is_file()}
    assert "exists already: nothing was changed" in refused("init", "--data", data)
    again = run("init", "--data", data, "--if-missing", "--server-name", "other.example")
    assert (again.exit_code, again.output) == (0, "")
    assert {file: file.read_bytes() for file in data.rglob("*") if file.is_file()} == before


def test_init_makes_the_key_of_a_domain_that_was_added(data: Path) -> None:
    file = data / "weft.toml"
    file.write_text(file.read_text().replace('names = ["localhost"]', 'names = ["localhost", "b.example"]'))
    assert "does not exist: weft init --if-missing makes it" in refused("serve", "--data", data)
    assert "b.example.key" in run("init", "--data", data, "--if-missing").stdout
    assert (data / "keys" / "b.example.key").exists()


@pytest.mark.parametrize("name", ["exa mple", "Example.org", "", "a:b:c", "../../x"])
def test_init_refuses_what_is_no_server_name_and_makes_nothing(tmp_path: Path, name: str) -> None:
    assert "is not a server name" in refused("init", "--data", tmp_path / "d", "--server-name", name)
    assert not (tmp_path / "d").exists()


def test_a_key_is_never_overwritten_and_a_broken_one_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "x.key"
    signing_keys.make(file)
    with pytest.raises(FileExistsError):
        signing_keys.make(file)
    for text in ("", "ed25519 a_1", "rsa a_1 AAAA", "ed25519 a_1 AAAA", "ed25519 a-b " + "A" * 43, "ä"):
        file.write_text(text, encoding="utf-8")
        with pytest.raises(SettingsError, match="holds no signing key"):
            signing_keys.read(file)


# keys


def test_a_rotated_key_is_listed_and_a_new_one_signs(data: Path) -> None:
    settings = load(data / "weft.toml")
    file, old_file = settings.signing_key_file("localhost"), settings.old_signing_keys_file("localhost")
    before = [signing_keys.read(file)]
    for number in (1, 2):
        result = run("keys", "rotate", "--data", data)
        assert result.exit_code == 0
        now = signing_keys.read(file)
        assert f"localhost signs with {now.key_id} from now on; {before[-1].key_id} has ended." in result.stdout
        old = signing_keys.read_old(old_file)
        assert [one.key for one in old] == [one.verify_key for one in before]
        assert all(abs(one.expired_ms / 1000 - time.time()) < 60 for one in old)
        assert len({now.key_id, *(one.key_id for one in before)}) == number + 1
        before.append(now)
    assert before[0].to_base64() not in old_file.read_text()
    for one in (file, old_file):
        assert stat.S_IMODE(one.stat().st_mode) == 0o600
    assert sorted(one.name for one in file.parent.iterdir()) == ["localhost.key", "localhost.old-keys"]
    assert f"and before that as {before[0].key_id}, {before[1].key_id}." in run("doctor", "--data", data).stdout


def test_whose_key_is_rotated_must_be_clear(tmp_path: Path) -> None:
    data = tmp_path / "data"
    run("init", "--data", data, "--server-name", "one.test", "--server-name", "two.test")
    settings = data / "weft.toml"
    settings.write_text(settings.read_text().replace("# port = 8008", f"port = {free_port()}"))
    assert refused("keys", "rotate", "--data", data).endswith("name one of one.test, two.test with --domain")
    assert "not a domain of this server" in refused("keys", "rotate", "--data", data, "--domain", "three.test")
    assert run("keys", "rotate", "--data", data, "--domain", "two.test").exit_code == 0
    assert not (data / "keys" / "one.test.old-keys").exists()


@pytest.mark.parametrize("text", ["ed25519 a\n", "ed25519 a b c\n", "rsa a AAAA 5\n", "\xff"])
def test_a_broken_list_of_former_keys_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "old-keys"
    file.write_text(text, encoding="latin-1")
    with pytest.raises(SettingsError, match="no list of former keys"):
        signing_keys.read_old(file)


# serve


def test_serve_says_where_it_is_how_to_make_an_account_and_where_the_data_is(data: Path, server: FakeServer) -> None:
    result = run("serve", "--data", data, "--set", "memory=64M")
    assert result.exit_code == 0
    assert server.did == [("run", ("localhost",))]
    for words in (
        "http://127.0.0.1:8008",
        f"user create --data {data} --set memory=64M NAME",
        "administrator",
        "Ctrl-C",
    ):
        assert words in result.stdout
    assert str(data.resolve()) in result.stdout


def test_serve_on_a_busy_port_says_which_and_why(data: Path, server: FakeServer) -> None:
    with socket.create_server(("127.0.0.1", 0)) as busy:
        port = busy.getsockname()[1]
        line = refused("serve", "--data", data, "--set", f"listeners.0.port={port}")
    assert line.startswith(f"listeners.0: port {port} of 127.0.0.1 is in use")
    assert server.did == []


def test_serve_on_an_address_of_another_machine(data: Path, server: FakeServer) -> None:
    line = refused("serve", "--data", data, "--set", "listeners.0.address=192.0.2.1")
    assert line == "listeners.0: 192.0.2.1 is not an address of this machine"


def test_serve_with_a_broken_setting_says_which_and_why(data: Path, server: FakeServer) -> None:
    assert refused("serve", "--data", data, "--set", "presence.enabeld=true") == (
        '--set presence.enabeld: there is no setting "presence.enabeld"; the nearest is "presence.enabled"'
    )


def test_serve_without_a_data_folder_says_what_makes_it(tmp_path: Path, server: FakeServer) -> None:
    assert "make it with weft init" in refused("serve", "--data", tmp_path / "nowhere")


def test_the_folder_and_the_file_may_come_from_the_environment(data: Path, server: FakeServer) -> None:
    assert run("serve", WEFT_DATA=str(data)).exit_code == 0
    assert run("serve", WEFT_CONFIG=str(data / "weft.toml")).exit_code == 0
    assert run("serve", "--config", data / "weft.toml", WEFT_SERVER_NAMES="env.example").exit_code == 1


# user


def test_create_asks_for_the_password_twice(data: Path, server: FakeServer) -> None:
    result = run("user", "create", "--data", data, "alice", typed="correct horse\ncorrect horse\n")
    assert result.exit_code == 0
    assert "Made @alice:localhost." in result.stdout
    assert "correct horse" not in result.output
    assert server.did == [("create", "@alice:localhost", "correct horse", None)]


@pytest.mark.parametrize(("option", "admin"), [("--admin", True), ("--no-admin", False)])
def test_create_with_a_password_from_standard_input(data: Path, server: FakeServer, option: str, admin: bool) -> None:
    arguments = ("user", "create", "@bob:localhost", option, "--password-file", "-", "--data", data)
    assert run(*arguments, typed="p ssword \n").exit_code == 0
    assert server.did == [("create", "@bob:localhost", "p ssword ", admin)]


def test_reset_password_takes_a_file(data: Path, server: FakeServer, tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("new password")
    result = run("user", "reset-password", "alice", "--password-file", file, "--data", data)
    assert result.exit_code == 0
    assert server.did == [("set_password", "@alice:localhost", "new password")]


def test_what_the_server_refuses_is_one_line(data: Path, server: FakeServer) -> None:
    server.refusal = UserInUse("That name is taken.")
    line = refused("user", "create", "--data", data, "alice", typed="correct horse\ncorrect horse\n")
    assert line.endswith("That name is taken.")


@pytest.mark.parametrize("name", ["@alice:elsewhere.example", "@alice", "@:localhost"])
def test_users_of_other_servers_are_refused(data: Path, server: FakeServer, name: str) -> None:
    assert "is not of this server: it is home to localhost" in refused("user", "create", "--data", data, name)
    assert server.did == []


def test_a_short_password_is_refused(data: Path, server: FakeServer) -> None:
    assert "too short" in refused("user", "create", "--data", data, "a", "--password-file", "-", typed="short\n")
    assert server.did == []


class RegistrationHandler(BaseHTTPRequestHandler):
    """The shared-secret endpoint, as tools know it."""

    secret = ""
    requests: list[dict[str, object]]

    def do_GET(self) -> None:
        self._answer(200, {"nonce": "n0nce"})

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.requests.append(request)
        role = "admin" if request["admin"] else "notadmin"
        text = "\0".join((request["nonce"], request["username"], request["password"], role))
        expected = hmac.new(self.secret.encode(), text.encode(), hashlib.sha1).hexdigest()
        if request["mac"] != expected:
            self._answer(403, {"errcode": "M_FORBIDDEN", "error": "The proof is wrong."})
        else:
            self._answer(200, {"user_id": f"@{request['username']}:localhost", "home_server": "localhost"})

    def _answer(self, status: int, body: object) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def registration(data: Path) -> Iterator[type[RegistrationHandler]]:
    handler = type("Handler", (RegistrationHandler,), {"requests": []})
    handler.secret = (data / "registration.secret").read_text().strip()
    port = load(data / "weft.toml", environ={}).listeners[0].port
    with HTTPServer(("127.0.0.1", port), handler) as http:
        thread = threading.Thread(target=http.serve_forever, args=(0.01,))
        thread.start()
        yield handler
        http.shutdown()
        thread.join()


def create_with(data: Path, *options: str) -> tuple[object, ...]:
    return ("user", "create", "alice", "--data", data, "--password-file", "-", *options)


@pytest.mark.parametrize("admin", [True, False])
def test_create_asks_the_running_server(
    data: Path, server: FakeServer, registration: type[RegistrationHandler], admin: bool
) -> None:
    result = run(*create_with(data, *(["--admin"] if admin else [])), typed="correct horse")
    assert result.exit_code == 0
    assert "Made @alice:localhost." in result.stdout
    assert [request["admin"] for request in registration.requests] == [admin]
    assert server.did == []


def test_a_server_that_listens_elsewhere_than_the_settings_say(data: Path, server: FakeServer) -> None:
    server.refusal = DatabaseInUse("Another process uses the database. Stop it first.")
    line = refused(*create_with(data), typed="correct horse")
    assert line.startswith(
        "Another process uses the database. Stop it first. If it is this server, it listens elsewhere"
    )
    assert line.endswith("--set listeners.0.port=PORT.")


def test_a_refusal_of_the_running_server_is_one_line(
    data: Path, server: FakeServer, registration: type[RegistrationHandler]
) -> None:
    (data / "registration.secret").write_text("another")
    line = refused(*create_with(data), typed="correct horse")
    assert line == "the running server refused: The proof is wrong."


def test_something_else_on_the_port_is_named(data: Path, server: FakeServer) -> None:
    port = load(data / "weft.toml", environ={}).listeners[0].port
    with socket.create_server(("127.0.0.1", port)) as other:

        def answer() -> None:
            for _ in range(2):  # the probe, the request
                connection, _ = other.accept()
                with connection, contextlib.suppress(OSError):
                    connection.sendall(b"SSH-2.0-x\r\n")
                    connection.shutdown(socket.SHUT_WR)
                    connection.recv(4096)

        thread = threading.Thread(target=answer)
        thread.start()
        line = refused(*create_with(data), typed="correct horse")
        thread.join()
    assert f"what listens on 127.0.0.1 port {port} is not Weft" in line


# doctor


def test_doctor_finds_nothing_wrong_with_a_new_folder(data: Path, server: FakeServer) -> None:
    result = run("doctor", "--data", data)
    assert result.exit_code == 0
    assert "FAIL" not in result.stdout
    for words in ("is good", "can be written", "localhost signs as ed25519:", "ports are free", "none yet", "Clock: "):
        assert words in result.stdout


def test_doctor_lists_what_is_wrong_and_fails(data: Path, server: FakeServer) -> None:
    (data / "keys" / "localhost.key").write_text("nonsense")
    (data / "registration.secret").chmod(0o644)
    (data / "weft.db").write_bytes(b"nonsense" * 1000)
    with socket.create_server(("127.0.0.1", 0)) as busy:
        listener = f"listeners=[{{ port = {busy.getsockname()[1]}, resources = ['metrics'] }}]"
        result = run("doctor", "--data", data, "--set", listener, WEFT_PORT="tcp://10.0.0.1:80")
    assert result.exit_code == 1
    for words in (
        "FAIL  Signing key: ",
        "warn  Secrets: ",
        "FAIL  Listeners: listeners.0: port",
        "FAIL  Database: The database ",
        "warn  Environment: WEFT_PORT looks like a setting and is none.",
    ):
        assert words in result.stdout


def test_doctor_says_what_is_exposed(data: Path, server: FakeServer) -> None:
    asyncio.run(make_database(data / "weft.db"))
    options = ("listeners.0.address=0.0.0.0", "registration.mode=open", "rate_limits.enabled=false")
    result = run("doctor", "--data", data, *(part for option in options for part in ("--set", option)))
    assert result.exit_code == 0
    for words in (
        "without TLS",
        "anybody who reaches",
        "rate limits are off",
        "ok    Database: it can be read and is sound.",
    ):
        assert words in result.stdout


async def make_database(file: Path, *, newer: bool = False) -> None:
    database = await open_database(f"sqlite:{file}", TABLES)
    if newer:
        await database.write(lambda tx: tx.run("INSERT INTO migrations VALUES ('weft.storage', 9999, 'x')"))
    await database.close()


def test_doctor_refuses_a_database_from_the_future_and_leaves_it_alone(data: Path) -> None:
    asyncio.run(make_database(data / "weft.db", newer=True))
    before = (data / "weft.db").read_bytes()
    result = run("doctor", "--data", data)
    assert result.exit_code == 1
    assert "FAIL  Database: The database was made by a newer version of Weft" in result.stdout
    assert (data / "weft.db").read_bytes() == before


def test_doctor_knows_a_running_server(data: Path, server: FakeServer, registration: type[RegistrationHandler]) -> None:
    assert "taken to be this server, running" in run("doctor", "--data", data).stdout


def test_doctor_tries_certificates(data: Path, server: FakeServer) -> None:
    for name in ("tls.crt", "tls.key"):
        (data / name).write_text("nonsense")
    listener = "listeners=[{ tls_certificate_file = 'tls.crt', tls_key_file = 'tls.key' }]"
    result = run("doctor", "--data", data, "--set", listener)
    assert result.exit_code == 1
    assert "FAIL  TLS: the certificate and key of listeners.0 don't work" in result.stdout


def test_the_key_of_a_running_server_is_not_rotated(
    data: Path, server: FakeServer, registration: type[RegistrationHandler]
) -> None:
    assert "stop it first" in refused("keys", "rotate", "--data", data)


def test_doctor_with_broken_settings_says_so(data: Path, server: FakeServer) -> None:
    result = run("doctor", "--data", data, "--set", "x=1")
    assert result.exit_code == 1
    assert 'FAIL  Settings: --set x: there is no setting "x"' in result.stdout


# config, version, the entry


def test_config_check_lists_every_problem(data: Path) -> None:
    assert "is good." in run("config", "check", "--data", data).stdout
    (data / "weft.toml").write_text("a = 1\nb = 2\n")
    result = run("config", "check", "--data", data)
    assert result.exit_code == 1
    assert [line.split(": ")[1][-6:] for line in result.stderr.splitlines()] == ["line 1", "line 2"]


def test_sample_and_reference_are_printed(tmp_path: Path) -> None:
    file = tmp_path / "weft.toml"
    file.write_text(run("config", "sample").stdout)
    assert load(file, environ={}).listeners == (Listener(),)
    assert run("config", "reference").stdout.startswith("# Settings\n")


def test_version() -> None:
    assert run("version").stdout == f"weft {__version__}\n"


def test_a_file_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert "file" in refused("init", "--data", tmp_path / "file" / "data")


def weft_process(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)


def test_without_the_server_installed_one_line_says_how_to_get_it() -> None:
    done = weft_process(
        "import sys, importlib.machinery as m\n"
        "find = m.PathFinder.find_spec\n"
        "m.PathFinder.find_spec = lambda name, *rest: None if name == 'click' else find(name, *rest)\n"
        "import weft.cli; weft.cli.main()"
    )
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "pip install 'weft[server]'" in done.stderr


@pytest.mark.parametrize(("variable", "lines"), [("", 1), ("1", 5)])
def test_a_fault_of_ours_is_one_line_unless_the_trace_is_asked_for(variable: str, lines: int) -> None:
    done = weft_process(
        f"import os, sys; os.environ['WEFT_TRACEBACK'] = '{variable}'; sys.argv = ['weft', 'version']\n"
        "import weft.cli, weft.cli.commands as c\n"
        "def broken(*a): raise RuntimeError('bro\\nken')\n"
        "c.version.callback = broken\n"
        "weft.cli.main()"
    )
    assert done.returncode == 1
    assert done.stderr.count("\n") >= lines
    assert ("Traceback" in done.stderr) is bool(variable)
    assert variable or done.stderr.startswith("weft: bro ken (a fault in Weft: RuntimeError")
