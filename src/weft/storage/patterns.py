"""Texts in patterns of `LIKE`, with `!` as the escape: `column LIKE :pattern ESCAPE '!'`."""

from __future__ import annotations


def escaped(text: str) -> str:
    """A text as the part of a pattern that stands for just this text."""
    return text.replace("!", "!!").replace("%", "!%").replace("_", "!_")
