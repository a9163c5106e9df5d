"""The documents: links lead somewhere, and folders that they name exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    page
    for page in (*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("changelog.d/*.md"))
    if "spec-coverage" not in page.name
)
_LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")
_PATH = re.compile(r"`((?:src/weft|tests|scripts|docs|storage|protocol|http|graph|rooms|server|modules)/[\w./-]+)`")


@pytest.mark.parametrize("page", PAGES, ids=[str(page.relative_to(ROOT)) for page in PAGES])
def test_links_and_paths_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    links = [page.parent / link for link in _LINK.findall(text) if "://" not in link]
    assert not [str(link) for link in links if not link.exists()]
    for path in _PATH.findall(text):
        assert (ROOT / path).exists() or (ROOT / "src" / "weft" / path).exists(), path


def test_every_page_can_be_reached_from_the_index() -> None:
    index = (ROOT / "docs/index.md").read_text(encoding="utf-8")
    linked = {(ROOT / "docs" / link).resolve() for link in _LINK.findall(index) if "://" not in link}
    folders = (ROOT / "docs", ROOT / "docs" / "how-to")
    unreached = [page for page in PAGES if page.parent in folders and page.name != "index.md"]
    assert not [page.name for page in unreached if page.resolve() not in linked]


def test_make_help_names_every_target() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    phony = re.search(r"^\.PHONY: (.*)$", makefile, flags=re.MULTILINE)
    assert phony is not None
    documented = set(re.findall(r"^([a-z-]+):.*## ", makefile, flags=re.MULTILINE))
    assert set(phony[1].split()) == documented
