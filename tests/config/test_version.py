from __future__ import annotations

from importlib import metadata

import pytest

from node.config.version import is_compiled, package_version
from node.wire import varint


def test_a_source_tree_that_was_not_installed_has_an_unknown_version(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", absent)
    package_version.cache_clear()
    try:
        assert package_version() == "unknown"
    finally:
        package_version.cache_clear()


@pytest.mark.parametrize(("file", "answer"), [("varint.py", False), ("varint.cpython-311-x86_64-linux-gnu.so", True)])
def test_compiled_is_what_is_loaded_from_machine_code(monkeypatch: pytest.MonkeyPatch, file: str, answer: bool) -> None:
    monkeypatch.setattr(varint, "__file__", f"site-packages/node/wire/{file}")
    assert is_compiled() is answer
