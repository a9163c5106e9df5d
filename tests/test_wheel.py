"""What `pip install weft` brings: the whole package with its data, the command, and no dependency of the server's.

The wheel is built from the files that git would have, in a folder of its own, without a network.
"""

from __future__ import annotations

import importlib.metadata
import shutil
import subprocess
import sys
import tomllib
import zipfile
from email.message import Message
from email.parser import Parser
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
PACKAGE = ROOT / "src" / "weft"
_BUILD = "import sys; from setuptools import build_meta; build_meta.build_wheel(sys.argv[1])"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    shutil.copytree(ROOT / "src", source / "src", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    built = subprocess.run(
        [sys.executable, "-c", _BUILD, out], cwd=source, capture_output=True, text=True, timeout=120, check=False
    )
    assert built.returncode == 0, built.stderr
    (file,) = out.glob("*.whl")
    return zipfile.ZipFile(file)


@pytest.fixture(scope="module")
def metadata(wheel: zipfile.ZipFile) -> Message:
    (name,) = (name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
    return Parser().parsestr(wheel.read(name).decode())


def test_it_holds_every_file_of_the_package(wheel: zipfile.ZipFile) -> None:
    here = {
        str(file.relative_to(PACKAGE.parent))
        for file in PACKAGE.rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }
    there = {name for name in wheel.namelist() if not name.split("/")[0].endswith(".dist-info")}
    assert here == there
    kinds = {Path(name).suffix for name in there}
    assert {".py", ".sql", ".html", ".css", ".js"} <= kinds, "migrations and pages are part of it"
    assert "weft/py.typed" in there


def test_the_core_needs_three_libraries_and_the_server_is_an_extra(metadata: Message) -> None:
    needs = [Requirement(text) for text in metadata.get_all("Requires-Dist", [])]
    core = {need.name for need in needs if need.marker is None}
    assert core == {"msgspec", "orjson", "PyNaCl"}
    assert {"server", "dev"} == set(metadata.get_all("Provides-Extra", []))
    server = {need.name for need in needs if need.marker and need.marker.evaluate({"extra": "server"})}
    assert {"uvicorn", "click", "apsw", "psycopg"} <= server
    assert not server & {"pytest", "mypy"}


def test_its_metadata(metadata: Message) -> None:
    assert metadata["Name"] == "weft"
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata["Requires-Python"] == PROJECT["requires-python"]
    assert metadata["Description-Content-Type"] == "text/markdown"


def test_it_brings_the_weft_command(wheel: zipfile.ZipFile) -> None:
    (name,) = (name for name in wheel.namelist() if name.endswith(".dist-info/entry_points.txt"))
    assert "[console_scripts]\nweft = weft.cli:main" in wheel.read(name).decode()


def test_what_is_installed_here_is_what_is_pinned() -> None:
    """Otherwise tests would say little about what people get."""
    pinned = [Requirement(text) for text in (*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["server"])]
    wrong = [str(need) for need in pinned if importlib.metadata.version(need.name) not in need.specifier]
    assert not wrong
