"""What registrations say, and whose names are whose by them."""

from __future__ import annotations

from typing import Any

import pytest

from weft.protocol.application_services import Registration, Registrations, read_registration

SERVER = "here.test"


def registration(**changes: Any) -> Registration:
    fields = {
        "id": "irc",
        "url": "http://localhost:9999/",
        "as_token": "as-token-of-irc",
        "hs_token": "hs-token-of-irc",
        "sender_localpart": "ircbot",
        "namespaces": {
            "users": [{"exclusive": True, "regex": "@_irc_.*"}, {"exclusive": False, "regex": "@.*"}],
            "aliases": [{"exclusive": True, "regex": "#_irc_.*"}],
            "rooms": [{"regex": "!watched"}],
        },
        **changes,
    }
    return read_registration(fields, SERVER)


def test_what_it_says() -> None:
    read = registration(protocols=["irc"], rate_limited=False)
    assert read.url == "http://localhost:9999"
    assert read.sender == "@ircbot:here.test"
    assert read.protocols == ("irc",)
    assert not read.rate_limited
    assert not read.receive_ephemeral
    assert registration(url=None).url is None
    assert registration(namespaces=None).users == ()


@pytest.mark.parametrize("name", ["receive_ephemeral", "push_ephemeral", "de.sorunome.msc2409.push_ephemeral"])
def test_each_spelling_of_ephemeral(name: str) -> None:
    assert registration(**{name: True}).receive_ephemeral


@pytest.mark.parametrize(
    ("user_id", "has", "alone"),
    [
        ("@_irc_ann:here.test", True, True),
        ("@ircbot:here.test", True, True),
        ("@alice:here.test", True, False),
        ("@_irc_ann:elsewhere.test", False, False),
        ("@x_irc_ann:here.test", True, False),
    ],
)
def test_whose_user_it_is(user_id: str, has: bool, alone: bool) -> None:
    read = registration()
    assert read.has_user(user_id) is has
    assert read.excludes_from_user(user_id) is alone
    assert Registrations([read]).user_is_taken(user_id) is alone
    assert not Registrations([read]).user_is_taken(user_id, by="irc")


def test_whose_room_and_alias_it_is() -> None:
    read = registration()
    assert read.has_alias("#_irc_x:here.test")
    assert not read.has_alias("#x:here.test")
    assert read.has_room("!watched:anywhere.test")
    assert not read.has_room("!other:here.test")


def test_tokens_and_ids_are_different() -> None:
    both = Registrations([registration(), registration(id="gitter", as_token="as-token-of-gitter")])
    found = both.by_token("as-token-of-gitter")
    assert found is not None
    assert found.id == "gitter"
    assert both.by_token("as-token-of-nobody") is None
    with pytest.raises(ValueError, match="id"):
        Registrations([registration(), registration(as_token="as-token-of-gitter")])
    with pytest.raises(ValueError, match="as_token"):
        Registrations([registration(), registration(id="gitter")])


@pytest.mark.parametrize(
    "changes",
    [
        {"id": ""},
        {"id": 5},
        {"as_token": "with spaces in it"},
        {"as_token": "ümlaut-token"},
        {"hs_token": "short"},
        {"url": "localhost:9999"},
        {"url": 5},
        {"sender_localpart": "Ircbot"},
        {"sender_localpart": None},
        {"namespaces": []},
        {"namespaces": {"users": {}}},
        {"namespaces": {"users": ["@.*"]}},
        {"namespaces": {"users": [{"regex": "*"}]}},
        {"namespaces": {"users": [{"regex": "@.*", "exclusive": "yes"}]}},
        {"protocols": [5]},
        {"receive_ephemeral": "yes"},
    ],
)
def test_what_is_no_registration(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        registration(**changes)


@pytest.mark.parametrize("value", [None, [], "text", 5])
def test_what_is_none_at_all(value: object) -> None:
    with pytest.raises(ValueError, match="registration"):
        read_registration(value, SERVER)
