"""Dot-separated paths and their escapes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weft.protocol.property_paths import parse_path


@pytest.mark.parametrize(
    ("key", "path"),
    [
        ("content.body", ("content", "body")),
        (r"content.m\.relates_to", ("content", "m.relates_to")),
        (r"content.m\\foo", ("content", "m\\foo")),
        (r"content.m\foo", ("content", "m\\foo")),
        (r"a\\.b", ("a\\", "b")),
        ("a\\", ("a\\",)),
        ("", ("",)),
        (".", ("", "")),
        (r"\.\\\x", (".\\\\x",)),
    ],
)
def test_paths(key: str, path: tuple[str, ...]) -> None:
    assert parse_path(key) == path


@given(st.lists(st.text(r"ab.\ ", max_size=4), min_size=1, max_size=4))
def test_any_names_can_be_written_as_a_path(names: list[str]) -> None:
    assert parse_path(".".join(name.replace("\\", r"\\").replace(".", r"\.") for name in names)) == tuple(names)


@given(st.text())
def test_any_text_is_a_path(text: str) -> None:
    assert parse_path(text)
