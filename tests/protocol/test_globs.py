"""Globs: what they match, at word boundaries too, and that no pattern makes matching slow."""

from __future__ import annotations

import time
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weft.protocol import globs


def reference(pattern: str, text: str) -> bool:
    """The definition, as a table over both."""

    @cache
    def from_here(i: int, j: int) -> bool:
        if i == len(pattern):
            return j == len(text)
        if pattern[i] == "*":
            return from_here(i + 1, j) or (j < len(text) and from_here(i, j + 1))
        return j < len(text) and pattern[i] in ("?", text[j]) and from_here(i + 1, j + 1)

    return from_here(0, 0)


def inside_word(text: str, place: int) -> bool:
    word = set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")
    return 0 < place < len(text) and text[place - 1] in word and text[place] in word


def reference_word(pattern: str, text: str) -> bool:
    places = [place for place in range(len(text) + 1) if not inside_word(text, place)]
    return any(reference(pattern, text[start:end]) for start in places for end in places if start <= end)


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        ("", "", True),
        ("", "a", False),
        ("*", "", True),
        ("*", "a\nb", True),
        ("?", "", False),
        ("?", "\n", True),
        ("a?c", "abc", True),
        ("a?c", "ac", False),
        ("lunc?*", "lunch plans", True),
        ("lunc?*", "lunch", True),
        ("lunc?*", "lunc", False),
        ("lunc?*", " lunch", False),
        ("a*b*c", "axxbxxc", True),
        ("a*b*c", "acb", False),
        ("*.evil.com", "a.evil.com", True),
        ("*.evil.com", "evil.com", False),
        ("a.c", "abc", False),
        ("[a]", "a", False),
        ("a\\*", "a\\b", True),
        ("ab*bc", "abc", False),
        ("a", "a\n", False),
        ("?a", "xa\n", False),
    ],
)
def test_whole_matches(pattern: str, text: str, expected: bool) -> None:
    assert globs.matcher(pattern)(text) is expected is reference(pattern, text)


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        ("ex*ple", "An example event.", True),
        ("ex*ple", "exple", True),
        ("ex*ple", "An exciting triple-whammy", True),
        ("ex*ple", "An examples event", False),
        ("ex*ple", "hexample", False),
        ("cake", "cake", True),
        ("cake", "cakes", False),
        ("cake", "a cake, please", True),
        ("cake", "a_cake", False),
        ("cake", "écakeé", True),
        ("@room", "hey @room!", True),
        ("@room", "hey@room", True),
        ("@room", "@rooms", False),
        ("c*", "a cake", True),
        ("*e", "a cake", True),
        ("a*b", "a x ab", True),
        ("a*b", "a bc", False),
        ("?ake", "a cake", True),
        ("a b", "x a b y", True),
        ("", "anything", True),
    ],
)
def test_word_matches(pattern: str, text: str, expected: bool) -> None:
    assert globs.word_matcher(pattern)(text) is expected is reference_word(pattern, text)


few = st.text("ab*?. -_\n", max_size=8)


@given(few, st.text("ab. -_\n", max_size=12))
def test_matching_is_the_definition(pattern: str, text: str) -> None:
    assert globs.matcher(pattern)(text) is reference(pattern, text)
    assert globs.word_matcher(pattern)(text) is reference_word(pattern, text)


@given(st.text(max_size=30), st.text(max_size=60))
def test_any_pattern_meets_any_text(pattern: str, text: str) -> None:
    assert globs.matcher(pattern)(text) is reference(pattern, text)
    globs.word_matcher(pattern)(text)


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("*a" * 100 + "b", "a" * 60_000),
        ("a*" * 100 + "b", "a" * 60_000),
        ("a*b", "a " * 30_000),
        ("a*b*c*d", "a b c " * 10_000),
        ("*" * 1000 + "b", "a" * 60_000),
        ("?*?*?*?*?*?*b", "a" * 60_000),
        ("a?*" * 30 + "b", "a" * 60_000),
    ],
)
def test_no_pattern_is_slow(pattern: str, text: str) -> None:
    started = time.process_time()
    assert not globs.matcher(pattern)(text)
    assert not globs.word_matcher(pattern)(text)
    assert time.process_time() - started < 2


@given(few, st.text("ab*?. -_\n", max_size=12))
def test_a_question_mark_may_be_itself(pattern: str, text: str) -> None:
    swap = str.maketrans({"?": "\0"})
    assert globs.star_matcher(pattern)(text) is reference(pattern.translate(swap), text.translate(swap))


@given(st.text("ab", max_size=3), st.text("ab. -_é", max_size=12))
def test_words_without_wildcards(literal: str, text: str) -> None:
    assert globs.contains_word(text, literal) is globs.word_matcher(literal)(text)
