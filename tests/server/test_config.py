"""Settings: what is read, what is refused and in which words, and that the sample and the page say the same."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest
from psycopg.conninfo import conninfo_to_dict

from weft.protocol.api.client import ENDPOINTS
from weft.protocol.api.rate_limits import RATE_LIMITS
from weft.server.config import (
    Settings,
    SettingsError,
    database_url,
    declared,
    from_values,
    load,
    read_secret,
    reference,
)
from weft.server.config.read import line_of, unknown_variables, variables
from weft.settings import ByteSize, Duration, Limit, Listener, RateLimits

ROOT = Path(__file__).parents[2]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "weft.toml"


def read(file: Path, text: str = "", *, environ: dict[str, str] | None = None, sets: tuple[str, ...] = ()) -> Settings:
    file.write_text(text, encoding="utf-8")
    return load(file, environ=environ or {}, sets=sets)


def test_an_empty_file_is_the_defaults_with_absolute_paths(file: Path) -> None:
    settings = read(file)
    assert settings == from_values({}, base=file.parent)
    assert settings.server.data_dir == file.parent
    assert settings.sqlite_file == file.parent / "weft.db"
    assert settings.signing_key_file("localhost") == file.parent / "keys" / "localhost.key"


def test_the_data_folder_is_beside_the_file_and_paths_are_in_it(file: Path) -> None:
    settings = read(file, '[server]\ndata_dir = "kept"\nkeys_dir = "/etc/weft/keys"')
    assert settings.sqlite_file == file.parent / "kept" / "weft.db"
    assert settings.server.keys_dir == Path("/etc/weft/keys")


def test_several_listeners_and_domains(file: Path) -> None:
    settings = read(
        file,
        """
        [server]
        names = ["a.example", "b.example:8448"]
        [[listeners]]
        port = 8008
        [[listeners]]
        address = "::1"
        port = 9000
        resources = ["metrics"]
        """,
    )
    assert settings.server.names == ("a.example", "b.example:8448")
    assert [(listener.address, listener.port) for listener in settings.listeners] == [
        ("127.0.0.1", 8008),
        ("::1", 9000),
    ]


REFUSED = [
    (
        "unknown",
        '[registration]\n\nmod = "open"',
        'weft.toml, line 3: there is no setting "registration.mod"; the nearest is "registration.mode"',
    ),
    ("unknown section", "[presense]\n", 'weft.toml, line 1: there is no setting "presense"; the nearest is "presence"'),
    (
        "in the wrong section",
        '[server]\nurl = "sqlite:x.db"',
        'line 2: there is no setting "server.url"; the nearest is "database.url"',
    ),
    (
        "in a list",
        "[[listeners]]\nport = 1\n[[listeners]]\nprot = 2",
        'line 4: there is no setting "listeners.1.prot"; the nearest is "listeners.1.port"',
    ),
    (
        "in a limit",
        "[rate_limits]\nlogin = { per_second = 1, bust = 2 }",
        'line 2: there is no setting "rate_limits.login.bust"',
    ),
    (
        "wrong type",
        '[presence]\nenabled = "yes"',
        "weft.toml, line 2: presence.enabled: expected true or false, got a string",
    ),
    (
        "wrong type in a list",
        '[[listeners]]\n\nport = "http"',
        "line 3: listeners.0.port: expected a whole number, got a string",
    ),
    ("out of range", "[[listeners]]\nport = 70000", "line 2: listeners.0.port: expected a whole number <= 65535"),
    ("not one of", '[registration]\nmode = "invite"', 'registration.mode: expected "closed" or "token" or "open"'),
    ("no size", 'memory = "lots"', 'line 1: memory: expected a size such as "512M" or "2G", got "lots"'),
    ("a size of the wrong type", "memory = true", "line 1: memory: expected a size"),
    ("no duration", "[sessions]\naccess_token_lifetime = 5", "access_token_lifetime: expected a duration"),
    ("missing", "[[registration.terms]]\nid = 'privacy'", "registration.terms.0: needs `version`"),
    ("server name", '[server]\nnames = ["exa mple"]', 'server.names: "exa mple" is not a server name'),
    ("server name in capitals", '[server]\nnames = ["Example.org"]', 'server.names: write "example.org"'),
    ("server name twice", '[server]\nnames = ["a", "a"]', 'server.names: "a" is named twice'),
    ("no server name", "[server]\nnames = []", "server.names: expected a list of length >= 1"),
    ("no address", '[[listeners]]\naddress = "localhost"', 'listeners.0.address: "localhost" is not an IP address'),
    ("same port", "[[listeners]]\n[[listeners]]", "listeners.1.port: 127.0.0.1 port 8008 is listened on already"),
    ("half of TLS", f'[[listeners]]\ntls_certificate_file = "{__file__}"', "TLS needs both"),
    ("missing file", '[registration]\nshared_secret_file = "nowhere"', "does not exist or can't be read"),
    ("database", '[database]\nurl = "mysql://x"', 'database.url: expected "sqlite:FILE" or'),
    ("database without a file", '[database]\nurl = "sqlite::memory:"', 'database.url: write "sqlite:" and a file'),
    ("network", '[federation]\ndenied_addresses = ["10.0.0.0/99"]', "is not an IP address or network"),
    ("url", '[server]\npublic_url = "example.org"', "server.public_url: "),
    ("room version", '[rooms]\ndefault_version = "99"', "rooms.default_version: there is no room version '99'"),
    ("not TOML", "[server", "weft.toml is not TOML"),
]


@pytest.mark.parametrize(("text", "words"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED])
def test_what_is_wrong_is_said_in_one_line_with_its_place(file: Path, text: str, words: str) -> None:
    with pytest.raises(SettingsError) as caught:
        read(file, text)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_every_problem_is_listed(file: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        read(file, "a = 1\nb = 2\nc = 3")
    assert len(caught.value.problems) == 3
    assert str(caught.value).endswith("(and 2 more: see weft config check)")


def test_a_missing_file_says_what_makes_it(file: Path) -> None:
    with pytest.raises(SettingsError, match="make it with weft init"):
        load(file, environ={})


def test_a_file_in_another_encoding_is_refused(file: Path) -> None:
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(SettingsError, match="is not UTF-8 text"):
        load(file, environ={})


def test_the_command_line_wins_over_the_environment_and_that_over_the_file(file: Path) -> None:
    text = "[[listeners]]\nport = 1\n[passwords]\ntime_cost = 3\nminimum_length = 9"
    environ = {"WEFT_LISTENERS_0_PORT": "2", "WEFT_PASSWORDS_TIME_COST": "4", "PATH": "/bin"}
    settings = read(file, text, environ=environ, sets=("listeners.0.port=3",))
    assert settings.listeners[0].port == 3
    assert settings.passwords.time_cost == 4
    assert settings.passwords.minimum_length == 9


@pytest.mark.parametrize(
    ("option", "path", "value"),
    [
        ("memory=1G", "memory", ByteSize(1 << 30)),
        ("sessions.access_token_lifetime=90s", "sessions.access_token_lifetime", Duration(90_000)),
        ("presence.enabled=false", "presence.enabled", False),
        ("server.names=a.example, b.example", "server.names", ("a.example", "b.example")),
        ('server.names=["a.example"]', "server.names", ("a.example",)),
        ("server_notices.room_name=true", "server_notices.room_name", "true"),
        ("rate_limits.login={ per_second = 1, burst = 2 }", "rate_limits.login", Limit(per_second=1, burst=2)),
        ("rate_limits.login.burst=3", "rate_limits.login", Limit(per_second=RATE_LIMITS["login"].per_second, burst=3)),
        ("listeners=[{ port = 1 }, { port = 2 }]", "listeners", (Listener(port=1), Listener(port=2))),
        ("listeners.1.port=9", "listeners", (Listener(), Listener(port=9))),
    ],
)
def test_values_on_the_command_line(file: Path, option: str, path: str, value: object) -> None:
    found: object = read(file, sets=(option,))
    for name in path.split("."):
        found = getattr(found, name)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("databse.url=x", '--set databse.url: there is no setting "databse.url"; the nearest is "database.url"'),
        ("memory", "--set memory: write it as name=value"),
        ("presence.enabled=maybe", "--set presence.enabled: presence.enabled: "),
        ("listeners.5.port=1", "--set listeners.5.port: listeners.5.port: there is no number 5"),
        ("listeners.port=1", '--set listeners.port: there is no setting "listeners.port"'),
        ("listeners.0.port=99999", "--set listeners.0.port: listeners.0.port: expected a whole number <= 65535"),
        ("rooms.default_version=0", "--set rooms.default_version: rooms.default_version: there is no room version"),
        ("=1", '--set : there is no setting ""'),
    ],
)
def test_a_broken_option_is_named(file: Path, option: str, words: str) -> None:
    with pytest.raises(SettingsError) as caught:
        read(file, sets=(option,))
    assert words in str(caught.value)


def test_a_broken_variable_is_named(file: Path) -> None:
    with pytest.raises(SettingsError, match="environment variable WEFT_MEMORY: memory: expected a size"):
        read(file, environ={"WEFT_MEMORY": "much"})


def test_other_variables_are_left_alone_and_can_be_listed() -> None:
    environ = {"WEFT_SERVICE_HOST": "10.0.0.1", "WEFT_DATA": "data", "WEFT_MEMORY": "1G", "HOME": "/"}
    assert unknown_variables(environ) == ["WEFT_SERVICE_HOST"]


def test_each_setting_has_a_variable_of_its_own() -> None:
    for setting in declared.settings():
        ((_, _, place),) = variables({setting.variable: ""})
        assert tuple("*" if part == 0 else part for part in place) == setting.path


def test_each_rate_limit_has_a_setting_and_each_endpoint_a_rate_limit_that_exists() -> None:
    table = RateLimits().table()
    assert {name: (row.per_second, row.burst) for name, row in RATE_LIMITS.items()} == {
        name: (limit.per_second, limit.burst) for name, limit in table.items()
    }
    assert set(RateLimits.__struct_fields__) == {"enabled", *table}
    assert {endpoint.rate_limit for endpoint in ENDPOINTS} - {None} <= set(table)


def test_settings_are_frozen(file: Path) -> None:
    settings = read(file)
    for section, name in ((settings, "memory"), (settings.presence, "enabled"), (settings.listeners[0], "port")):
        with pytest.raises(AttributeError):
            setattr(section, name, 0)


def test_sizes_and_durations_are_written_as_they_are_read() -> None:
    for text, number in [("512M", 512 << 20), ("2G", 2 << 30), ("1500", 1500), ("0", 0), ("64K", 65536)]:
        assert ByteSize.parse(text) == number
        assert str(ByteSize(number)) == text
    for text, number in [("250ms", 250), ("90s", 90_000), ("5m", 300_000), ("7d", 604_800_000), ("36h", 129_600_000)]:
        assert Duration.parse(text) == number
        assert str(Duration(number)) == text


def test_secrets_are_one_line_of_a_file(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    with pytest.raises(SettingsError, match="can't be read"):
        read_secret(file)
    file.write_text("\n")
    with pytest.raises(SettingsError, match="is empty"):
        read_secret(file)
    file.write_text("s3cret\n")
    assert read_secret(file) == "s3cret"


def test_the_address_of_the_database_has_the_password_of_its_file(file: Path) -> None:
    assert database_url(read(file)) == f"sqlite:{file.parent / 'weft.db'}"
    (file.parent / "secret").write_text("p&ss wörd\n")
    for url, whole in [
        ("postgresql://weft@db/weft", "postgresql://weft@db/weft?password=p%26ss%20w%C3%B6rd"),
        ("postgresql://db/weft?sslmode=require", "postgresql://db/weft?sslmode=require&password=p%26ss%20w%C3%B6rd"),
    ]:
        assert database_url(read(file, sets=(f"database.url={url}",))) == url
        settings = read(file, sets=(f"database.url={url}", "database.password_file=secret"))
        assert database_url(settings) == whole
        assert conninfo_to_dict(database_url(settings))["password"] == "p&ss wörd"


def test_the_line_of_a_value_is_found_by_its_innermost_table() -> None:
    text = "a = 1\n[s]\nk = 2\n[[l]]\nx = 1\n[[l]]\n\ny.z = 1\n"
    assert line_of(text, ("a",)) == 1
    assert line_of(text, ("s", "k")) == 3
    assert line_of(text, ("s", "other")) == 2
    assert line_of(text, ("l", 1, "y", "z")) == 8
    assert line_of(text, ("l", 0, "y")) == 4
    assert line_of(text, ("nothing",)) is None


def test_the_sample_is_the_defaults(file: Path) -> None:
    assert read(file, reference.sample()) == read(file, "")


def test_the_sample_holds_what_was_chosen(file: Path) -> None:
    assert read(file, reference.sample({"server.names": ["b.example"]})).server.names == ("b.example",)


def test_the_sample_with_every_default_uncommented_is_still_the_defaults(file: Path) -> None:
    text = re.sub(r"^# (\w+ = )", r"\1", reference.sample(), flags=re.MULTILINE)
    assert read(file, text) == read(file, "")
    assert text.count("\nport = 8008") == 1


def test_the_examples_of_the_sample_have_the_right_types(file: Path) -> None:
    text = re.sub(r"^# for example: (\w+ = )", r"\1", reference.sample(), flags=re.MULTILINE)
    for name in (
        "postgres.password",
        "tls.crt",
        "tls.key",
        "registration.tokens",
        "registration.secret",
        "my-ca.pem",
        "s3.secret",
        "turn.secret",
        "mail.password",
        "mail-ca.pem",
        "sms.token",
        "sms.json",
        "turn.password",
        "livekit.secret",
        "company.secret",
    ):
        (file.parent / name).write_text("x")
    registration = {"id": "irc", "url": None, "as_token": "a" * 32, "hs_token": "h" * 32, "sender_localpart": "irc"}
    (file.parent / "irc-registration.yaml").write_text(json.dumps({**registration, "namespaces": {}}))
    url = "database.url=postgresql://weft@localhost/weft"
    assert read(file, text, sets=(url,)).registration.terms[0].id == "privacy"


def test_every_setting_is_in_the_sample_or_in_an_example() -> None:
    text = reference.sample()
    for setting in declared.settings():
        assert re.search(rf"\b{setting.name} = ", text), setting.path


def test_the_page_is_current() -> None:
    assert (ROOT / "docs/settings.md").read_text(encoding="utf-8") == reference.page(), "run `make docs`"


def test_the_page_explains_every_setting() -> None:
    for setting in declared.settings():
        assert f"`{setting.variable}`" in reference.page()


def test_toml_spells_what_toml_reads() -> None:
    for value in ('with "quotes" and \\', True, 7, 0.25, ("a", "b"), ()):
        read_back = tomllib.loads(f"v = {reference.toml(value)}")["v"]
        assert (tuple(read_back) if isinstance(read_back, list) else read_back) == value
