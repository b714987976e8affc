"""The names that the package promises, and nothing else."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import node

ROOT = Path(__file__).parent.parent


def test_every_promised_name_is_there_and_listed() -> None:
    for name in node.__all__:
        assert getattr(node, name).__name__ == name
        assert name in dir(node)


def test_other_names_are_refused() -> None:
    with pytest.raises(AttributeError, match="NoSuchName"):
        node.NoSuchName  # type: ignore[attr-defined]  # noqa: B018 - the access is the test


def test_the_package_itself_imports_nothing() -> None:
    program = "import sys, node; sys.exit(sorted(m for m in sys.modules if m.startswith('node.')) or 0)"

    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr) == (0, "")
