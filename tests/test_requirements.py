"""The lock files say what pyproject.toml asks for: exactly one version each, with hashes, and the same in every set."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parent.parent
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
RUNTIME = PROJECT["project"]["dependencies"]
EXTRAS = PROJECT["project"]["optional-dependencies"]
SETS = {
    "build": PROJECT["build-system"]["requires"],
    "runtime": RUNTIME,
    "testnet": [*RUNTIME, *EXTRAS["testnet"]],
    "test": [*RUNTIME, *EXTRAS["testnet"], *EXTRAS["test"]],
    "bench": [*RUNTIME, *EXTRAS["bench"]],
    "fuzz": [*RUNTIME, *EXTRAS["fuzz"]],
}


def locked(name: str) -> dict[str, Version]:
    """Versions by canonical name; fails on anything in the file but pinned requirements with their hashes."""
    text = (ROOT / "requirements" / f"{name}.txt").read_text()
    text = re.sub(r"^#.*\n", "", text, flags=re.MULTILINE)
    entry = re.compile(r"(?P<name>[\w.-]+)==(?P<version>[\w.!+]+)(?: ; [^\n]+)?( \\\n +--hash=sha256:[0-9a-f]{64})+\n")
    found = list(entry.finditer(text))
    assert "".join(match.group() for match in found) == text
    return {canonicalize_name(match["name"]): Version(match["version"]) for match in found}


@pytest.mark.parametrize("name", SETS)
def test_every_dependency_is_locked_within_its_range(name: str) -> None:
    versions = locked(name)
    for text in SETS[name]:
        requirement = Requirement(text)
        assert versions[canonicalize_name(requirement.name)] in requirement.specifier, f"run scripts/lock for {text}"


@pytest.mark.parametrize("name", ["build", "runtime", "testnet"])
def test_what_is_shipped_is_what_is_tested(name: str) -> None:
    assert locked(name).items() <= locked("test").items()


def test_peers_of_the_benchmarks_are_no_part_of_anything_else() -> None:
    peers = {canonicalize_name(Requirement(text).name) for text in EXTRAS["bench"]}
    assert all(locked(name).keys().isdisjoint(peers) for name in SETS if name != "bench")


@pytest.mark.parametrize("name", ["bench", "fuzz"])
def test_what_is_measured_and_fuzzed_is_what_is_shipped(name: str) -> None:
    assert locked("runtime").items() <= locked(name).items()


def test_a_node_needs_nothing_that_only_a_testnet_needs() -> None:
    assert locked("runtime").keys().isdisjoint(canonicalize_name(Requirement(text).name) for text in EXTRAS["testnet"])
