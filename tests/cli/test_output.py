from __future__ import annotations

import io
import sys

import pytest

from node.cli.output import ready_output


def test_a_character_that_the_output_lacks_becomes_another(monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding="ascii"))
    ready_output()
    sys.stdout.write("▁ 5 ms\n")
    sys.stdout.flush()
    assert written.getvalue() == b"? 5 ms\n"


def test_an_output_that_is_closed_takes_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    ready_output()
    sys.stdout.write("for nobody\n")
    assert not sys.stdout.isatty()
    sys.stdout.close()
