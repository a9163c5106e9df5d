"""The code that the how-to pages show is the code in the tree: a page that says otherwise fails.

A fence names its file after the language. A line `…` stands for whatever is left out.
"""

from __future__ import annotations

import re
from pathlib import Path
from textwrap import dedent

import pytest

ROOT = Path(__file__).parents[1]
_FENCE = re.compile(r"^```\w+ (\S+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
QUOTES = [
    pytest.param(
        match[1], match[2], id=f"{page.stem}:{page.read_text(encoding='utf-8')[: match.start()].count(chr(10)) + 1}"
    )
    for page in sorted(ROOT.glob("docs/how-to/*.md"))
    for match in _FENCE.finditer(page.read_text(encoding="utf-8"))
]


@pytest.mark.parametrize(("file", "code"), QUOTES)
def test_quoted_code_is_in_the_tree(file: str, code: str) -> None:
    text = (ROOT / file).read_text(encoding="utf-8")
    for part in re.split(r"^ *…\n", code, flags=re.MULTILINE):
        assert part in text, f"{file} does not have these lines:\n{dedent(part)}"
