"""Holds the imports to the contracts in pyproject.toml, and proves that a breach of each would be found."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def lint(directory: Path) -> tuple[int, str]:
    """Exit status and output of import-linter on the package `node` in that directory."""
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache", "--no-logo"]
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    shutil.copytree(ROOT / "node", tmp_path / "node", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def test_imports_keep_every_contract() -> None:
    status, output = lint(ROOT)
    assert status == 0, output


@pytest.mark.parametrize(
    ("module", "statement", "contract"),
    [
        ("node/wire/header.py", "import node.core", "Imports point one way"),
        ("node/gossip/__init__.py", "import node.peers", "Imports point one way"),
        ("node/transport/rtt.py", "import time", "The core is pure"),
        ("node/core/__init__.py", "import node.transport.udp_socket", "Only shells know the asyncio transports"),
        ("node/peers/__init__.py", "import msgpack", "Each third-party library has one owner"),
    ],
)
def test_a_planted_import_breaks_its_contract(copy: Path, module: str, statement: str, contract: str) -> None:
    with (copy / module).open("a") as source:
        source.write(f"\n{statement}\n")
    status, output = lint(copy)
    assert status == 1
    assert f"{contract} BROKEN" in output


def test_a_package_without_a_layer_is_found(copy: Path) -> None:
    (copy / "node" / "unlisted").mkdir()
    (copy / "node" / "unlisted" / "__init__.py").write_text('"""Belongs nowhere."""\n')
    status, output = lint(copy)
    assert status == 1
    assert "unlisted" in output
